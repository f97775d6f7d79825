"""The table of crash points, seeds and effects; pure."""

from collections.abc import Iterator, Mapping

from operator_core.testing.crash.campaign import Key
from operator_core.testing.crash.judge import Tally

HEAD = (
    f"{'crash point':<30} {'fault':<8} {'engine':<9} {'seeds':>5} {'runs':>5} {'effects':>8} "
    f"{'once':>7} {'none':>6} {'in doubt':>9} {'wrong':>6}"
)


def lines(tallies: Mapping[Key, Tally]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield HEAD
    yield "-" * len(HEAD)
    for (blow, engine), tally in tallies.items():
        point = str(blow.point) if blow else "(none)"
        fault = blow.fault.value if blow else ""
        yield _line((point, fault, engine), tally)
    yield "-" * len(HEAD)
    yield _line(("all", "", ""), sum(tallies.values(), start=Tally()))


def _line(names: tuple[str, str, str], tally: Tally) -> str:
    point, fault, engine = names
    effects = tally.once + tally.none + tally.doubt
    return (
        f"{point:<30} {fault:<8} {engine:<9} {len(tally.seeds):>5} {tally.runs:>5} {effects:>8} "
        f"{tally.once:>7} {tally.none:>6} {tally.doubt:>9} {len(tally.faults):>6}"
    )
