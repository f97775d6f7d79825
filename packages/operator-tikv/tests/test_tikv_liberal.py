"""What releases of PD print differently means the same: generated variants of captured answers."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from operator_tikv.actions.params import printed, same_value, scalar
from operator_tikv.actions.placement import covers, objects
from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.pd.parse import fit
from operator_tikv.pd.types import (
    EvictConfig,
    Members,
    RegionInfo,
    Regions,
    ReplicateConfig,
    ScheduleConfig,
    StoreInfo,
    Stores,
)
from tikv_support import fixture

Json = Any
CAPTURED: list[tuple[str, type[BaseModel]]] = [
    ("fx_stores_v4.0.14.json", Stores),
    ("fx_stores_v3.0.0-beta.json", Stores),
    ("fx_stores_two_dead_v1.1.json", Stores),
    ("fx_store_4.0.10_large_labelled.json", StoreInfo),
    ("fx_store_offline_draining_v5.1.json", StoreInfo),
    ("fx_region_2voters_1down_1learner_v6.5.json", RegionInfo),
    ("fx_members_v4.0.14.json", Members),
    ("fx_config_replicate_v8.5.json", ReplicateConfig),
]


def changed(draw: st.DrawFn, value: Json) -> Json:
    """The same value as another release might print it."""
    if isinstance(value, dict):
        made = {key: changed(draw, item) for key, item in value.items()}
        if draw(st.booleans()):
            made["a-key-of-tomorrow"] = draw(st.sampled_from([None, 1, "x", [], {}, [{"a": 1}]]))
        return {
            key: None if item in ([], "") and draw(st.booleans()) else item
            for key, item in made.items()
        }
    if isinstance(value, list):
        return [changed(draw, item) for item in value]
    if isinstance(value, bool):
        return draw(st.sampled_from([value, str(value).lower()]))
    if isinstance(value, int):
        return draw(st.sampled_from([value, str(value)]))
    return value


@st.composite
def variants(draw: st.DrawFn) -> tuple[type[BaseModel], Json, Json]:
    name, model = draw(st.sampled_from(CAPTURED))
    captured = fixture(name)
    return model, captured, json.loads(json.dumps(changed(draw, captured)))


@pytest.mark.timeout(20)
@settings(max_examples=60, deadline=None)
@given(variants())
def test_an_answer_means_the_same_however_it_is_printed(
    case: tuple[type[BaseModel], Json, Json],
) -> None:
    model, captured, variant = case
    assert fit(model, variant, "GET /x") == fit(model, captured, "GET /x")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "store", "stores", "status", "leader", "peers", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.timeout(20)
@settings(max_examples=80, deadline=None)
@given(ANY_JSON)
def test_any_answer_is_understood_or_a_clear_error(value: Json) -> None:
    models = (Stores, StoreInfo, RegionInfo, Regions, Members, ScheduleConfig, EvictConfig)
    for model in models:
        with contextlib.suppress(PdAnswerError):
            fit(model, value, "GET /x")
    with contextlib.suppress(PdAnswerError):
        assert all(isinstance(item, dict) for item in objects(value, "/x"))


@pytest.mark.parametrize(
    "leader",
    [None, {}, {"role_name": ""}, {"id": 0, "store_id": 0}, {"store_id": None}, ...],
)
def test_every_form_of_no_leader_is_no_leader(leader: Json) -> None:
    body: Json = {"id": 4, "peers": [{"id": "7", "store_id": 1}]}
    if leader is not ...:
        body["leader"] = leader
    region = fit(RegionInfo, body, "GET /region/id/4")
    assert region.leader_store_id == 0
    assert region.peers[0].is_voter


def test_ids_beyond_two_to_the_53_are_kept_whole_in_both_forms() -> None:
    member_id = 18_446_744_073_709_551_557
    for printed_id in (member_id, str(member_id)):
        body: Json = {"members": [{"name": "pd-0", "member_id": printed_id}], "leader": None}
        members = fit(Members, body, "GET /members")
        assert members.members[0].member_id == member_id


def test_a_time_that_was_never_set_is_none() -> None:
    status: Json = {"start_ts": "0001-01-01T00:00:00Z", "last_heartbeat_ts": ""}
    store = fit(StoreInfo, {"store": {"id": 1}, "status": status}, "GET /store/1")
    assert store.last_heartbeat is None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("true", True),
        ("30m0s", "1800s"),
        ("8", 8),
        (8.0, "8"),
        ("0.80", 0.8),
        ("zone,host", "zone, host"),
        (["byte", "key"], "byte,key"),
        ("1h", "1h0m0s"),
    ],
)
def test_values_of_the_configuration_are_compared_by_what_they_mean(
    left: Json, right: Json
) -> None:
    if isinstance(left, str) and "," in left:
        left = left.split(",")
    assert same_value(left, right)
    assert same_value(printed(left), right)


def test_different_values_are_different() -> None:
    for left, right in [("true", "false"), (4, "8"), ("30m", "31m"), ("a", "b"), ([], "a")]:
        assert not same_value(left, right)  # type: ignore[arg-type]


def test_a_value_is_sent_as_pd_ctl_would() -> None:
    assert [scalar(text) for text in ("8", "0.75", "true", "30m0s")] == [8, 0.75, "true", "30m0s"]


def test_what_pd_leaves_out_when_empty_is_covered() -> None:
    wanted: Json = {"id": "a", "count": 3, "start_key": "", "label_constraints": []}
    assert covers({"id": "a", "count": 3, "extra": 1}, wanted)
    assert covers({"id": "a", "count": 3, "start_key": ""}, {**wanted, "is_witness": False})
    assert not covers({"id": "a", "count": 2}, wanted)
    assert covers({"start_key": "7480AB"}, {"start_key": "7480ab"})
