"""A hundred more planted claims: wrong numbers at right paths, other looks, other kinds."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from operator_core.agent.diagnosis import Claim, Diagnosis, Predicate
from operator_core.agent.support import recheck_report, supported
from operator_core.monitor.types import Observation, Part

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWN, BEFORE, LATER, OTHERS, NONE = 7, 5, 9, 8, 77
"""Looks: of the diagnosis, one before it, one after it, one of another cluster, and no look."""

BIG = 2**53


def _store(store_id: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any value of a store
    return {"id": store_id, "state_name": "Up", "leader_count": 120, "labels": {}, **more}


DATA: dict[str, Any] = {
    "stores": {
        "1": _store(1, available_share=0.30000000000000004, address="tikv-1:20160"),
        "4": _store(4, state_name="Down", leader_count=0, heartbeat_ns=BIG + 1, note=None),
        "10": _store(10, labels={"zone": "a", "": "empty", "a/b": 1, "a~b": 2}),
    },
    "order": [3, 1, 2],
    "nested": [[1, 2], [3, [4]]],
    "names": ["balance-leader", "balance-region"],
    "empty": {"list": [], "map": {}, "text": "", "zero": 0, "no": False, "none": None},
    "text": {"one": "1", "float": "0.5", "true": "true", "null": "null", "nan": "NaN"},
    "number": {"one": 1, "half": 0.5, "below": -1, "tiny": 5e-324, "minus": -0.0},
    "signs": {"tikv": "tikv", "\u0442ikv": 1, "Up": "U\u0440", "\ufb01x": "fix", "K": "\u212a"},
}


def _look(look_id: int, subject: str, after: int, data: dict[str, Any]) -> Observation:
    at = NOW + timedelta(seconds=after)
    parts = {
        "pd": Part(source="pd", observed_at=at, data=data),
        "half": Part(source="m", observed_at=at, complete=False, data={"seen": 1}),
    }
    return Observation(id=look_id, subject=subject, observed_at=at, parts=parts)


LOOKS = {
    OWN: _look(OWN, "prod", 0, DATA),
    BEFORE: _look(BEFORE, "prod", -30, {"stores": {"4": _store(4)}, "gone": 1}),
    LATER: _look(LATER, "prod", 60, {"stores": {"4": _store(4, leader_count=5)}, "new": 1}),
    OTHERS: _look(OTHERS, "dev", 0, DATA),
}


class Planted(NamedTuple):
    """A claim: on the diagnosis's own look, if it names no other."""

    path: str
    predicate: str
    value: Any = None
    look: int | None = OWN


ROUNDED = [
    Planted("pd/stores/1/available_share", "eq", 0.3),
    Planted("pd/stores/1/available_share", "eq", "0.30000000000000004"),
    Planted("pd/stores/1/available_share", "le", 0.3),
    Planted("pd/stores/1/available_share", "lt", 0.30000000000000004),
    Planted("pd/stores/1/available_share", "ne", 0.30000000000000004),
    Planted("pd/stores/1/leader_count", "eq", 120.0000001),
    Planted("pd/stores/1/leader_count", "eq", 119.99999999999),
    Planted("pd/stores/1/leader_count", "gt", 120),
    Planted("pd/stores/1/leader_count", "lt", 120.0),
    Planted("pd/number/tiny", "eq", 0),
    Planted("pd/number/tiny", "le", 0.0),
    Planted("pd/number/minus", "lt", 0),
    Planted("pd/number/minus", "ne", 0),
    Planted("pd/number/half", "eq", 0.5000000000000001),
]
BEYOND_2_53 = [
    Planted("pd/stores/4/heartbeat_ns", "eq", BIG),
    Planted("pd/stores/4/heartbeat_ns", "eq", float(BIG)),
    Planted("pd/stores/4/heartbeat_ns", "eq", float(BIG + 2)),
    Planted("pd/stores/4/heartbeat_ns", "le", BIG),
    Planted("pd/stores/4/heartbeat_ns", "le", float(BIG)),
    Planted("pd/stores/4/heartbeat_ns", "ge", BIG + 2),
    Planted("pd/stores/4/heartbeat_ns", "ne", BIG + 1),
    Planted("pd/stores/4/heartbeat_ns", "gt", 10**400),
    Planted("pd/stores/4/heartbeat_ns", "lt", -(10**400)),
    Planted("pd/stores/4/heartbeat_ns", "eq", str(BIG + 1)),
]
OTHER_LOOKS = [
    Planted("pd/stores/4/state_name", "eq", "Down", BEFORE),
    Planted("pd/stores/4/state_name", "eq", "Up"),
    Planted("pd/gone", "exists"),
    Planted("pd/order", "exists", None, BEFORE),
    Planted("pd/order/0", "eq", 3, BEFORE),
    Planted("pd/stores/4/leader_count", "eq", 5, LATER),
    Planted("pd/new", "exists", None, LATER),
    Planted("pd/new", "eq", 1, LATER),
    Planted("pd/gone", "absent", None, LATER),
    Planted("pd/stores/4/leader_count", "ne", 0, LATER),
    Planted("pd/stores/4/state_name", "eq", "Down", OTHERS),
    Planted("pd/stores/4", "exists", None, OTHERS),
    Planted("pd/gone", "absent", None, OTHERS),
    Planted("pd/stores/4/state_name", "eq", "Down", NONE),
    Planted("pd/zz", "absent", None, NONE),
    Planted("pd/zz", "ne", 1, NONE),
    Planted("pd/stores/4/state_name", "eq", "Down", None),
    Planted("pd/stores/4/state_name", "eq", "Down", -OWN),
    Planted("pd/stores/4/state_name", "eq", "Down", 0),
]
OTHER_PLACES = [
    Planted("pd/stores/1/state_name", "eq", "Down"),
    Planted("pd/stores/01/state_name", "eq", "Up"),
    Planted("pd/stores/1.0/state_name", "eq", "Up"),
    Planted("pd/stores/+1/state_name", "eq", "Up"),
    Planted("pd/stores/0/state_name", "exists"),
    Planted("pd/stores/40/state_name", "eq", "Down"),
    Planted("pd/stores/store-4/state_name", "eq", "Down"),
    Planted("stores/4/state_name", "eq", "Down"),
    Planted("PD/stores/4/state_name", "eq", "Down"),
    Planted("pd/stores/4/state", "eq", "Down"),
    Planted("pd/stores/4/state_name/0", "eq", "D"),
    Planted("pd/stores/4/note/x", "exists"),
    Planted("pd.stores.4.state_name", "eq", "Down"),
    Planted("pd/stores/4/labels/zone", "exists"),
    Planted("pd/stores/10/labels/a/b", "exists"),
    Planted("pd/stores/10/labels/a~b", "eq", 1),
    Planted("pd/stores/10/labels/a~1b", "eq", 2),
    Planted("pd/stores/10/labels/zone/", "exists"),
    Planted("pd/stores/__class__", "exists"),
    Planted("pd/stores/keys", "exists"),
    Planted("half/unseen", "absent"),
    Planted("pd2/unseen", "absent"),
    Planted("pd/stores/4/note", "absent"),
    Planted("pd/stores/99", "ne", "Down"),
    Planted("pd/stores/99", "eq", None),
]
OTHER_KINDS = [
    Planted("pd/text/one", "eq", 1),
    Planted("pd/number/one", "eq", "1"),
    Planted("pd/number/one", "eq", value=True),
    Planted("pd/text/true", "eq", value=True),
    Planted("pd/text/null", "eq", None),
    Planted("pd/text/float", "ge", 0.5),
    Planted("pd/text/nan", "eq", float("nan")),
    Planted("pd/number/one", "ge", float("nan")),
    Planted("pd/number/one", "lt", float("inf")),
    Planted("pd/empty/zero", "eq", value=False),
    Planted("pd/empty/no", "eq", 0),
    Planted("pd/empty/no", "le", 0),
    Planted("pd/empty/text", "eq", None),
    Planted("pd/empty/none", "eq", ""),
    Planted("pd/empty/list", "eq", {}),
    Planted("pd/empty/map", "eq", []),
    Planted("pd/empty/list", "ne", []),
    Planted("pd/empty/list/0", "exists"),
    Planted("pd/empty/list", "contains", []),
    Planted("pd/empty/map", "contains", ""),
    Planted("pd/empty/text", "contains", None),
    Planted("pd/empty/list", "absent"),
    Planted("pd/number/one", "eq", [1]),
]
LISTS_AND_TEXT = [
    Planted("pd/order", "eq", [1, 2, 3]),
    Planted("pd/order", "eq", [3, 1]),
    Planted("pd/order", "eq", [3, 1, 2, 2]),
    Planted("pd/order", "ne", [3, 1, 2]),
    Planted("pd/order", "contains", [3, 1]),
    Planted("pd/order", "contains", "3"),
    Planted("pd/order", "gt", [1]),
    Planted("pd/order/3", "exists"),
    Planted("pd/nested", "contains", 1),
    Planted("pd/nested", "contains", [2, 1]),
    Planted("pd/nested/1/1", "eq", 4),
    Planted("pd/names", "contains", "balance"),
    Planted("pd/names", "contains", "balance-leader,balance-region"),
    Planted("pd/names", "contains", "Balance-leader"),
    Planted("pd/stores/1/address", "contains", "tikv-10"),
    Planted("pd/stores/1/leader_count", "contains", 1),
    Planted("pd/stores/1/leader_count", "contains", "12"),
    Planted("pd/stores", "contains", 4),
    Planted("pd/stores", "contains", "Down"),
    Planted("pd/signs/Up", "eq", "Up"),
    Planted("pd/signs/t\u0456kv", "exists"),
    Planted("pd/signs/tikv", "eq", "\u0442ikv"),
    Planted("pd/signs/fix", "exists"),
    Planted("pd/signs/K", "eq", "K"),
    Planted("pd/signs/tikv", "contains", "k\u200b"),
    Planted("pd/signs/tikv", "lt", "tikv"),
    Planted("pd/signs/tikv", "gt", "tikv\x00"),
]
FALSE = [
    *ROUNDED, *BEYOND_2_53, *OTHER_LOOKS, *OTHER_PLACES, *OTHER_KINDS, *LISTS_AND_TEXT
]  # fmt: skip
TRUE = [
    Planted("pd/stores/1/available_share", "gt", 0.3),
    Planted("pd/stores/4/heartbeat_ns", "eq", BIG + 1),
    Planted("pd/stores/4/heartbeat_ns", "gt", float(BIG)),
    Planted("pd/stores/4/heartbeat_ns", "lt", 10**400),
    Planted("pd/stores/4/state_name", "eq", "Up", BEFORE),
    Planted("pd/gone", "exists", None, BEFORE),
    Planted("pd/gone", "absent"),
    Planted("pd/stores/4/note", "eq"),
    Planted("pd/stores/10/labels/", "eq", "empty"),
    Planted("pd/stores/10/labels/a~1b", "eq", 1),
    Planted("pd/order", "eq", [3.0, 1, 2]),
    Planted("pd/nested", "contains", [3, [4]]),
    Planted("pd/empty/list", "eq", []),
    Planted("pd/empty/text", "contains", ""),
    Planted("pd/number/minus", "eq", 0),
    Planted("pd/number/tiny", "gt", 0),
    Planted("pd/stores/1/address", "contains", "tikv-1:"),
    Planted("pd/signs/\u0442ikv", "eq", 1),
    Planted("pd/text/true", "ne", value=True),
    Planted("pd/stores", "contains", "4"),
]


def claim_of(one: Planted, weight: float = 1.0) -> Claim:
    """Return a planted claim as a diagnosis has it."""
    return Claim(
        statement="so", path=one.path, predicate=Predicate(one.predicate), value=one.value,
        observation_id=one.look, weight=weight,
    )  # fmt: skip


def diagnosed(claims: list[Claim]) -> Diagnosis:
    """Return what a model said that believes all of its claims."""
    return Diagnosis(
        id=1, ticket_id=1, observation_id=OWN, subject="prod", created_at=NOW, diagnoser="model",
        cause="c", hypothesis="h", confidence=1.0, evidence=claims,
    )  # fmt: skip


def test_a_hundred_are_planted_and_none_stands_twice() -> None:
    assert len({repr(one) for one in FALSE}) == len(FALSE) >= 100


@pytest.mark.parametrize("planted", FALSE)
def test_a_false_claim_is_struck_and_no_true_one(planted: Planted) -> None:
    true = [claim_of(one) for one in TRUE]
    stored = supported(diagnosed([claim_of(planted, weight=5.0), *true]), LOOKS)
    assert stored.evidence == true
    assert [one.claim for one in stored.struck] == [claim_of(planted, weight=5.0)]
    assert stored.confidence == pytest.approx(len(TRUE) / (len(TRUE) + 5))
    read = Diagnosis.model_validate_json(stored.model_dump_json())
    after = {look_id: _read_back(look) for look_id, look in LOOKS.items()}
    assert recheck_report(read, after)["is_unchanged"]
    alone = supported(diagnosed([claim_of(planted)]), LOOKS)
    assert (alone.is_unknown, alone.confidence, alone.escalate) == (True, 0.0, True)


def _read_back(look: Observation) -> Observation:
    """Return a look as it comes back from the ledger or from a file."""
    return Observation.model_validate_json(look.model_dump_json())
