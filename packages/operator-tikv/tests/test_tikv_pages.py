"""Pages of metrics and answers of Prometheus in forms that other releases and products give."""

from __future__ import annotations

import math
from typing import Any

import pytest

from operator_tikv.metrics.exposition import lines_of, require_metrics
from operator_tikv.metrics.prometheus import vector_of
from operator_tikv.pd.errors import PdAnswerError

Json = Any
INF = math.inf
ONE: Json = {"instance": "10.0.0.1:20180"}


@pytest.mark.parametrize(
    ("page", "name", "samples"),
    [
        pytest.param(
            '# TYPE x histogram\nx_bucket{le="1"} 5 # {trace_id="a}b"} 0.5 1600.0\n'
            'x_bucket{le="+Inf"} 6 # {} 0.5\n# EOF\n',
            "x_bucket",
            [({"le": "1"}, 5.0), ({"le": "+Inf"}, 6.0)],
            id="exemplars of OpenMetrics",
        ),
        pytest.param(
            'x_total{a="b"} 5 1600.5\nx_created{a="b"} 1.6e9\n# EOF',
            "x_total",
            [({"a": "b"}, 5.0)],
            id="time stamps, times of creation, and the mark at the end",
        ),
        pytest.param(
            'x 1e+06\nx{a="1"} +Inf\nx{a="2"} -Inf\nx{a="3"} NaN\nx{a="4"} Inf 123\n',
            "x",
            [({}, 1e6), ({"a": "1"}, INF), ({"a": "2"}, -INF), ({"a": "4"}, INF)],
            id="no numbers and endless ones",
        ),
        pytest.param(
            'x{a="b } c",d="# {e=\\"f\\"}",g=" # {h"} 7\n',
            "x",
            [({"a": "b } c", "d": '# {e="f"}', "g": " # {h"}, 7.0)],
            id="braces in labels",
        ),
        pytest.param(
            '# TYPE x gauge\r\nx{a="b"} 7\r\n',
            "x",
            [({"a": "b"}, 7.0)],
            id="ends of lines as Windows has them",
        ),
        pytest.param(
            'x { a = "b" , } 7 \nx2{a="c"} 8\n',
            "x",
            [({"a": "b"}, 7.0)],
            id="spaces wherever they may be",
        ),
        pytest.param(
            'x{quantile="0.5",new_label="of a later release"} 1\nx_sum 3\nx_count 2\n',
            "x",
            [({"quantile": "0.5", "new_label": "of a later release"}, 1.0)],
            id="a summary with a label more",
        ),
        pytest.param("# EOF\n", "x", [], id="nothing"),
    ],
)
def test_a_page_is_read(page: str, name: str, samples: list[tuple[dict[str, str], float]]) -> None:
    require_metrics(page, "http://kv-1:20180/metrics")
    assert [(line.labels, line.value) for line in lines_of(page, name)] == samples


def answer(result: Json, kind: str = "vector", **more: Json) -> Json:
    return {"status": "success", **more, "data": {"resultType": kind, "result": result}}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param(
            answer([{"metric": ONE, "value": [1.5, "2"]}], warnings=["w"], infos=["i"]),
            [(ONE, 2.0)],
            id="with warnings",
        ),
        pytest.param(answer([], stats={}, isPartial=False), [], id="of another product, empty"),
        pytest.param(answer(None), [], id="null for nothing"),
        pytest.param(answer([{"metric": {}, "value": ["1.5", "+Inf"]}]), [({}, INF)], id="endless"),
        pytest.param(
            answer(
                [
                    {"metric": ONE, "histogram": [1, {"count": "1", "sum": "2"}]},
                    {"metric": ONE, "value": [1, "3"]},
                ]
            ),
            [(ONE, 3.0)],
            id="a native histogram beside a number",
        ),
        pytest.param(
            answer([{"metric": ONE, "value": [1, "2"]}] * 2),
            [(ONE, 2.0), (ONE, 2.0)],
            id="a series twice",
        ),
    ],
)
def test_an_answer_of_prometheus_is_read(
    value: Json, found: list[tuple[dict[str, str], float]]
) -> None:
    assert vector_of(value) == found


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"status": "error", "errorType": "bad_data", "error": "parse error"}, "parse error"),
        (answer([1, "2"], "scalar"), "unknown shape"),
        (answer([1, "x"], "string"), "unknown shape"),
        (answer([], "matrix"), "unknown shape"),
        (answer([{"metric": ONE, "value": [1]}]), "unknown shape"),
        (answer([{"metric": None, "value": [1, "2"]}]), "unknown shape"),
        ([], "unknown shape"),
        (None, "unknown shape"),
    ],
)
def test_what_is_no_vector_is_a_clear_error(value: Json, words: str) -> None:
    with pytest.raises(PdAnswerError, match=words):
        vector_of(value)
