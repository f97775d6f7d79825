"""Owners of leases: what their names tell, and when such a process is surely dead."""

import pytest

from operator_core.owner import Process, Sighting, is_dead, name_of, process_of, short_name

HERE = Process("web-1", 17, 4_000, "b00t")
OTHER = HERE._replace(pid=23)
RUNS = Sighting(there=True, started_ticks=OTHER.started_ticks)


@pytest.mark.parametrize("host", ["web-1", "fe80::1", ""])
def test_a_name_tells_of_its_process(host: str) -> None:
    process = OTHER._replace(host=host)
    assert process_of(name_of(process, "a1b2")) == process


@pytest.mark.parametrize(
    "name",
    [
        "",
        "one",
        "web-1:23:a1b2c3d4",  # as version 0.1.0 named them
        "web-1:23:4000:b00t",
        "web-1:x:4000:b00t:a1",
        "web-1:23:-1:b00t:a1",
        "web-1:0:4000:b00t:a1",  # signals to 0 go to a whole group
        "web-1:²:4000:b00t:a1",
        "web-1:23:4000::a1",
    ],
)
def test_other_names_tell_of_none(name: str) -> None:
    assert process_of(name) is None


@pytest.mark.parametrize(
    ("sighting", "dead"),
    [
        (RUNS, False),
        (Sighting(there=False), True),
        (RUNS._replace(started_ticks=4_001), True),  # its number was given again
        (RUNS._replace(ended=True), True),
        (Sighting(there=None), False),
        (Sighting(there=True), False),  # it may not be looked at
        (Sighting(there=True, ended=True), False),
    ],
)
def test_only_what_is_surely_gone_is_dead(sighting: Sighting, *, dead: bool) -> None:
    assert is_dead(OTHER, HERE, sighting) is dead


@pytest.mark.parametrize("elsewhere", [{"host": "web-2"}, {"place": "other"}])
def test_nothing_is_known_of_other_machines_boots_and_namespaces(elsewhere: dict[str, str]) -> None:
    process = OTHER._replace(**elsewhere)  # type: ignore[arg-type] # texts, as the fields are
    assert not is_dead(process, HERE, Sighting(there=False))


def test_a_process_is_called_by_host_and_number_and_others_by_their_name() -> None:
    assert short_name("vm:29675:669618:dcba473b42bc:0f90e41a") == "vm:29675"
    assert [short_name(one) for one in ("ann", "a:b", "")] == ["ann", "a:b", ""]
