"""What holds of detection whatever a monitor gets to see."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from detect_world import BLIND, FAILED, HEALTHY, NOTHING, Watch, keys, rule, stores_down
from operator_core.clock import from_text, to_text
from operator_core.monitor.types import Observation, Sighting, Violation

# --- properties -----------------------------------------------------------------------


def stored(sighting: Sighting) -> Sighting:
    """Return a sighting as it comes back from the ledger."""
    since = sighting.clear_since
    return Sighting(
        Violation.model_validate_json(sighting.violation.model_dump_json()),
        from_text(to_text(sighting.first_seen_at)),
        from_text(to_text(sighting.last_seen_at)),
        None if since is None else from_text(to_text(since)),
    )


NAMES = st.lists(st.sampled_from(["a", "b", "c"]), unique=True)
LOOKS = st.lists(
    st.tuples(
        st.floats(0, 50),
        st.one_of(NAMES.map(lambda names: stores_down(*names)), st.sampled_from([BLIND, FAILED])),
    ),
    max_size=15,
)
TIMES = st.sampled_from([0.0, 10.0, 30.0])


@given(LOOKS, TIMES, TIMES)
def test_an_unreadable_look_never_clears_or_changes_what_it_did_not_see(
    looks: list[tuple[float, Observation]], grace: float, clear: float
) -> None:
    watch, now = Watch(rule(grace=grace, clear=clear)), 0.0
    for seconds, observation in looks:
        now += seconds
        before = {k: s for k, s in watch.sightings.items() if k.startswith("store_down:")}
        detection = watch.look(now, observation)
        if observation in (BLIND, FAILED):
            after = {k: s for k, s in detection.sightings.items() if k.startswith("store_down:")}
            assert after == before
            assert not any(key.startswith("store_down:") for key in detection.cleared)


@given(st.lists(st.tuples(st.floats(0.1, 29), st.floats(0.1, 29)), max_size=20))
def test_flapping_faster_than_the_clear_time_never_clears(flaps: list[tuple[float, float]]) -> None:
    watch, now = Watch(rule(grace=20, clear=30)), 100.0
    watch.look(0, stores_down("a"))
    watch.look(now, stores_down("a"))
    for gone, back in flaps:
        assert watch.look(now + gone / 2, HEALTHY).cleared == NOTHING
        assert watch.look(now + gone, HEALTHY).cleared == NOTHING
        now += gone + back
        assert keys(watch.look(now, stores_down("a")).present) == ["store_down:a"]


@given(st.lists(st.floats(0.1, 19), max_size=20))
def test_flapping_faster_than_the_grace_never_opens(looks: list[float]) -> None:
    watch, now = Watch(rule(grace=20, clear=30)), 0.0
    for seconds in looks:
        assert watch.look(now, stores_down("a")).present == ()
        assert watch.look(now + seconds, HEALTHY).cleared == NOTHING
        now += seconds + 1
    assert not watch.open


@given(LOOKS, TIMES, TIMES)
def test_a_restart_between_two_looks_changes_nothing(
    looks: list[tuple[float, Observation]], grace: float, clear: float
) -> None:
    steady, restarted = (Watch(rule(grace=grace, clear=clear)) for _ in range(2))
    now = 0.0
    for seconds, observation in looks:
        now += seconds
        restarted.sightings = {k: stored(v) for k, v in restarted.sightings.items()}
        assert steady.look(now, observation) == restarted.look(now, observation)


@given(LOOKS, TIMES, TIMES, st.data())
def test_a_lost_memory_neither_loses_nor_doubles_a_ticket(
    looks: list[tuple[float, Observation]], grace: float, clear: float, data: st.DataObject
) -> None:
    watch, now, resolved = Watch(rule(grace=grace, clear=clear)), 0.0, NOTHING
    for seconds, observation in looks:
        now += seconds
        if data.draw(st.booleans()):
            watch.forget()
        before = set(watch.open)
        detection = watch.look(now, observation)
        shown = set(keys(detection.present))
        assert detection.cleared <= before | resolved
        resolved = (resolved | detection.cleared) - shown
        assert not detection.cleared & shown
        assert {key for key in before if key in keys(detection.pending)} == set()
    for extra in (100, 200, 300):
        watch.look(now + extra, HEALTHY)
    assert not watch.open


@given(LOOKS, TIMES, TIMES)
def test_the_arguments_are_not_changed(
    looks: list[tuple[float, Observation]], grace: float, clear: float
) -> None:
    watch, now = Watch(rule(grace=grace, clear=clear)), 0.0
    for seconds, observation in looks:
        now += seconds
        given_sightings = watch.sightings
        before = copy.deepcopy(given_sightings)
        watch.look(now, observation)
        assert given_sightings == before
