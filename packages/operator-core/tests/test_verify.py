"""When a remedy is proven, as a table: a row is what the looks show and what comes of it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_core.monitor.config import Patience
from operator_core.monitor.types import Invariant, Observation, Part, Violation
from operator_core.monitor.verification import Capacity, Verdict, Verification
from operator_core.monitor.verify import MIN_LOOKS, Sight, advance, is_proven, lost, shown

ENDED = datetime(2026, 1, 26, 15, 0, tzinfo=UTC)
PATIENCE = Patience(soak_seconds=60, verify_seconds=120, blind_seconds=900, gap_seconds=100)

WELL, BROKEN, BLIND, WORSE, LESS = "well", "broken", "blind", "worse", "less"


def sight(at_seconds: float, kind: str) -> Sight:
    return Sight(
        look_id=int(at_seconds),
        at=ENDED + timedelta(seconds=at_seconds),
        broken=kind == BROKEN,
        unread="pd could not be read" if kind == BLIND else "",
        newly_broken=("store 2 is slow",) if kind == WORSE else (),
        lost=("stores 4 is gone",) if kind == LESS else (),
    )


def begun() -> Verification:
    return Verification(ticket_id=1, diagnosed_at=ENDED, started_at=ENDED, ended_at=ENDED)


def judged(looks: Iterable[tuple[float, str]]) -> Verification:
    proof = begun()
    for at_seconds, kind in looks:
        proof = advance(proof, sight(at_seconds, kind), PATIENCE)
    return proof


def every(step: int, until: int, kind: str, since: int = 0) -> list[tuple[float, str]]:
    return [(at, kind) for at in range(since, until + 1, step)]


W, V, N = Verdict.WAITING, Verdict.VERIFIED, Verdict.NOT_VERIFIED

Looks = list[tuple[float, str]]
TABLE: dict[str, tuple[Looks, Verdict, str]] = {
    "gone, and stays gone": (every(10, 60, WELL), V, ""),
    "gone for less than the soak": (every(10, 50, WELL), W, "gone for 50 s"),
    "gone for long, but in too few looks": ([(0, WELL), (70, WELL)], W, "gone for 70 s"),
    "looks far apart are enough when there are three": (every(90, 180, WELL), V, ""),
    "still there, early": (every(10, 120, BROKEN), W, "still there 120 s"),
    "still there, late": (every(10, 130, BROKEN), N, "still there 130 s"),
    "gone late": ([*every(10, 120, BROKEN), *every(10, 190, WELL, 130)], V, ""),
    "it comes and goes": (
        [*every(10, 50, WELL), (60, BROKEN), *every(10, 110, WELL, 70), (125, BROKEN)],
        N,
        "still there 125 s",
    ),
    "one broken look begins the soak again": (
        [*every(10, 50, WELL), (60, BROKEN), *every(10, 120, WELL, 70)],
        W,
        "gone for 50 s",
    ),
    "one blind look begins the soak again": (
        [*every(10, 50, WELL), (60, BLIND), *every(10, 120, WELL, 70)],
        W,
        "gone for 50 s",
    ),
    "blind looks prove nothing": (every(10, 890, BLIND), W, "pd could not be read"),
    "blind for too long": (every(10, 910, BLIND), N, "could not be checked: pd"),
    "sight comes and goes for too long": (
        [(at, BLIND if at % 50 == 0 else WELL) for at in range(0, 911, 10)],
        N,
        "gone for 0 s",
    ),
    "nobody watched during the soak": (
        [*every(10, 20, WELL), *every(10, 190, WELL, 150)],
        W,
        "gone for 40 s",
    ),
    "something else broke": (every(10, 180, WORSE), W, "store 2 is slow"),
    "something else broke and stays broken": (
        every(10, 190, WORSE),
        N,
        "broken since the remedy began: store 2 is slow",
    ),
    "something else broke for a while": ([*every(10, 100, WORSE), (110, WELL)], V, ""),
    "deleting the broken thing is no remedy": (every(10, 60, LESS), N, "stores 4 is gone"),
    "a loss is told after the soak only": (every(10, 50, LESS), W, "gone for"),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_verdicts(name: str) -> None:
    looks, verdict, reason = TABLE[name]
    proof = judged(looks)
    assert proof.verdict is verdict
    assert reason in "; ".join(proof.reasons)
    assert (proof.decided_at is None) == (verdict is W)


def test_a_verdict_stays_while_what_is_seen_goes_on() -> None:
    proof = judged(every(10, 130, BROKEN))
    decided_at = proof.decided_at
    for at_seconds in range(140, 210, 10):
        proof = advance(proof, sight(at_seconds, WELL), PATIENCE)
    assert (proof.verdict, proof.decided_at) == (N, decided_at)
    assert is_proven(proof, sight(200, WELL), PATIENCE)
    assert not is_proven(proof, sight(210, LESS), PATIENCE)


LOOKS = st.lists(st.sampled_from([WELL, BROKEN, BLIND, WORSE, LESS]), max_size=40)


@given(LOOKS, st.integers(min_value=1, max_value=90))
def test_nothing_is_verified_unless_the_last_looks_show_a_whole_soak(
    kinds: list[str], step: int
) -> None:
    proof = begun()
    for index, kind in enumerate(kinds):
        proof = advance(proof, sight(index * step, kind), PATIENCE)
        if proof.verdict is V:
            looks = max(MIN_LOOKS, 60 // step)
            gone = kinds[: index + 1][-looks:]
            assert kind == WELL
            assert len(gone) == looks
            assert not {BROKEN, BLIND} & set(gone)
            return


def capacity(stores: str, replicas: float = 3) -> Capacity:
    return Capacity(members={"stores": tuple(stores)}, amounts={"max_replicas": replicas})


LOSSES = {
    "nothing": (capacity("123"), (), ()),
    "more": (capacity("1234", 5), (), ()),
    "a member": (capacity("12"), (), ("stores 3 is gone",)),
    "a member in exchange for another": (capacity("124"), (), ("stores 3 is gone",)),
    "a declared member": (capacity("12"), ("stores/3",), ()),
    "another than declared": (capacity("13"), ("stores/3",), ("stores 2 is gone",)),
    "an amount": (capacity("123", 1), ("stores/3",), ("max_replicas fell from 3 to 1",)),
    "a declared amount": (capacity("123", 1), ("max_replicas",), ()),
    "all": (
        Capacity(),
        (),
        (
            *(f"stores {one} is gone" for one in "123"),
            "max_replicas fell from 3 to 0",
        ),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_table_of_losses(name: str) -> None:
    after, declared, said = LOSSES[name]
    assert lost(capacity("123"), after, declared) == said


def test_a_declared_name_is_escaped_as_paths_are() -> None:
    before = Capacity(members={"pd_members": ("pd/0", "pd-1")})
    after = Capacity(members={"pd_members": ("pd-1",)})
    assert lost(before, after, ("pd_members/pd~10",)) == ()


def _dark(observation: Observation) -> Iterable[Violation]:
    for name, burns in observation.data("lamps").items():
        if not burns:
            yield Violation(invariant="dark", target=name, message="it is dark")


RULES = (Invariant("dark", "A lamp is out", _dark, needs=("lamps",)),)


def look(complete: bool = True, **lamps: bool) -> Observation:  # noqa: FBT002 - a look
    part = Part(source="eyes", observed_at=ENDED, complete=complete, data=dict(lamps))
    return Observation(observed_at=ENDED, parts={"lamps": part})


def test_what_a_look_shows_of_a_problem() -> None:
    assert shown(RULES, look(one=False), "dark", "one") == (True, "")
    assert shown(RULES, look(one=True), "dark", "one") == (False, "")
    assert shown(RULES, look(two=False), "dark", "one") == (False, "")
    assert shown(RULES, look(complete=False), "dark", "one") == (False, "lamps could not be read")
    assert shown((), look(one=True), "dark", "one")[1] == "what it is judged by could not be read"
