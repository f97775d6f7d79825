"""Names of those who hold leases, and the one rule by which such a process is known to be dead.

A lease ends by itself when its owner is gone. A process on the same boot of the same machine
need not wait for that: the name says which process it was, and the system knows whether that
one is there. Whoever is not sure waits for the end of the lease.
"""

from typing import NamedTuple

_PARTS_AFTER_HOST = 4


class Process(NamedTuple):
    """One process, told apart from all others that ever have its number.

    Attributes:
        host: the machine's name.
        pid: its number.
        started_ticks: when it started, in the system's ticks since boot.
        place: stands for the boot and the namespaces in which the two hold.
    """

    host: str
    pid: int
    started_ticks: int
    place: str


class Sighting(NamedTuple):
    """What a look for a process's number found.

    Attributes:
        there: whether a process has the number; None: nobody can tell.
        started_ticks: when that one started; None: nobody can tell.
        ended: it runs no more, and only waits for its parent to take note.
    """

    there: bool | None
    started_ticks: int | None = None
    ended: bool = False


def name_of(process: Process, nonce: str) -> str:
    """Return a name for an owner of leases in a process.

    Args:
        process: where it lives.
        nonce: tells apart the owners in one process.
    """
    return f"{process.host}:{process.pid}:{process.started_ticks}:{process.place}:{nonce}"


def process_of(name: str) -> Process | None:
    """Return the process that an owner's name tells of; None: it tells of none."""
    host, *parts = name.rsplit(":", _PARTS_AFTER_HOST)
    if len(parts) != _PARTS_AFTER_HOST or not (_is_number(parts[0]) and _is_number(parts[1])):
        return None
    pid, started_ticks, place, _ = parts
    return Process(host, int(pid), int(started_ticks), place) if int(pid) and place else None


def is_dead(process: Process, here: Process, sighting: Sighting) -> bool:
    """Return whether a process surely runs no more; False wherever that is not sure.

    Args:
        process: the one in question.
        here: the one that asks.
        sighting: what the one that asks sees under the number of the other.
    """
    if (process.host, process.place) != (here.host, here.place):
        return False
    if sighting.there is None or (sighting.there and sighting.started_ticks is None):
        return False
    return (
        not sighting.there
        or sighting.started_ticks != process.started_ticks  # the number was given again
        or sighting.ended
    )


def is_living(process: Process, here: Process, sighting: Sighting) -> bool:
    """Return whether another process of this machine surely runs, or stands still.

    Takes what `is_dead` takes.
    """
    if (process.host, process.place) != (here.host, here.place) or process.pid == here.pid:
        return False
    is_it = sighting.started_ticks == process.started_ticks
    return sighting.there is True and is_it and not sighting.ended


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def short_name(who: str) -> str:
    """Return host and number of a process from its name as an owner; of others the whole name."""
    process = process_of(who)
    return f"{process.host}:{process.pid}" if process else who
