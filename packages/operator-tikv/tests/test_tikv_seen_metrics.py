"""Pages of metrics and answers of Prometheus that people have shown in public are read.

`fixtures/pd/seen_metrics.json` holds a page as it was shown and the same process a minute later,
what is made of the two, and where it was shown.
"""

from __future__ import annotations

from typing import Any

import pytest

from operator_tikv.metrics.exposition import require_metrics
from operator_tikv.metrics.prometheus import vector_of
from operator_tikv.metrics.reduce import Memory, readings, reduced, remembered
from operator_tikv.metrics.signals import PD_SIGNALS, TIKV_SIGNALS
from operator_tikv.pd.errors import PdAnswerError
from tikv_support import fixture

Json = Any
SEEN: dict[str, list[dict[str, Json]]] = fixture("seen_metrics.json")


def name_of(seen: dict[str, Json]) -> str:
    return str(seen["name"])


@pytest.mark.parametrize("seen", SEEN["pages"], ids=name_of)
def test_a_page_that_was_seen_is_read(seen: dict[str, Json]) -> None:
    found: dict[str, Json] = {}
    for signals in (TIKV_SIGNALS, PD_SIGNALS):
        memory = Memory()
        for at, text in ((0.0, seen["page"]), (60.0, seen["after"])):
            require_metrics(text, "a page")
            memory = remembered(memory, reduced(text, signals, at), signals)
        found |= readings(memory, signals)
    told = {name: found.get(name) for name in seen["tells"]}
    assert told == pytest.approx(seen["tells"], rel=0.01)
    assert seen["tells"] or not found


@pytest.mark.parametrize("seen", SEEN["answers"], ids=name_of)
def test_an_answer_that_was_seen_is_read(seen: dict[str, Json]) -> None:
    assert [value for _, value in vector_of(seen["answer"])] == seen["values"]


@pytest.mark.parametrize("seen", SEEN["refused"], ids=name_of)
def test_an_answer_that_says_nothing_is_told(seen: dict[str, Json]) -> None:
    with pytest.raises(PdAnswerError, match=seen["told"]):
        vector_of(seen["answer"])


def test_each_tells_where_it_was_shown() -> None:
    every = [one for kind in SEEN.values() for one in kind]
    assert len({one["name"] for one in every}) == len(every)
    assert all(one["source"] for one in every)
