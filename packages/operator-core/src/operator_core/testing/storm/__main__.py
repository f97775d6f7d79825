"""``python -m operator_core.testing.storm``: let it storm, and say what is wrong at the end."""

import argparse
import asyncio
import random
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pydantic import BaseModel

from operator_core.actions.audit import ActionAuditor
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.testing.crash.places import SETTINGS
from operator_core.testing.postgres import PostgresServer
from operator_core.testing.storm.judge import End, counts, faults
from operator_core.testing.storm.terms import Terms
from operator_core.testing.storm.troubles import SmallDisk
from operator_core.testing.storm.weather import OF_ALL, OF_DISKS, OF_SERVERS, Strike, Weather

LEASE_SECONDS = 1.0
_SHOWN_FAULTS = 20
ENGINES = ("sqlite", "postgres")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, for each engine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--strike", action="append", choices=[one.value for one in Strike])
    parser.add_argument("--keep", type=Path, default=Path(".cache/storm"))
    return parser.parse_args()


def storm(engine: str, chosen: argparse.Namespace) -> list[str]:
    """Let it storm over one engine; say what came of it, and return what is wrong."""
    folder = chosen.keep.absolute() / engine
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer(SETTINGS)) if engine == "postgres" else None
        own = not server and SmallDisk.can_be_made()
        disk = stack.enter_context(SmallDisk(folder / "disk")) if own else None
        address = server.url if server else str(folder / ("disk" if disk else "") / "ledger.db")
        terms = Terms(address, str(folder), chosen.seed, LEASE_SECONDS)
        possible = [*OF_ALL, *(OF_SERVERS if server else ()), *(OF_DISKS if disk else ())]
        strikes = [one for one in possible if not chosen.strike or one in chosen.strike]
        weather = Weather(terms, strikes or possible, random.Random(chosen.seed), server, disk)
        with weather:
            weather.blow(chosen.seconds)
        end, found = asyncio.run(_judged(terms, weather, settled=weather.settle() == 0))
    struck = ", ".join(f"{times} x {one}" for one, times in sorted(weather.happened.items()))
    came = ", ".join(f"{times:,} {what}" for what, times in sorted(counts(end).items()))
    _say(f"{engine}, seed {chosen.seed}: {struck}: {came}, {len(found)} wrong")
    return found


async def _judged(terms: Terms, weather: Weather, *, settled: bool) -> tuple[End, list[str]]:
    async with ActionDB(terms.address) as db:
        end = End(
            proposals=await db.list_proposals(),
            effects=terms.effects.read(),
            workflows=await db.list_workflows(),
            stood_still=weather.stood_still,
            lease_seconds=terms.lease_seconds,
            broken_audit=await ControlDB(db.ledger).first_broken_audit_row(),
            settled=settled,
        )
        found = list(faults(end))
        if found:
            events = await ActionAuditor(db.ledger).list_events()
            _keep(Path(terms.folder), proposals=end.proposals, audit=events)
    return end, found


def _keep(folder: Path, **rows: Sequence[BaseModel]) -> None:
    """Keep what the ledger said: it goes with its server, or with its disk."""
    for name, each in rows.items():
        lines = "\n".join(one.model_dump_json() for one in each)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run() -> int:
    """Run what the command line says; return the exit code."""
    chosen = arguments()
    found = [fault for one in chosen.engine or ENGINES for fault in storm(one, chosen)]
    for fault in found[:_SHOWN_FAULTS]:
        _say(f"WRONG {fault}")
    if found:
        _say(f"What the ledger said, the effects and the log are in {chosen.keep}.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(run())
