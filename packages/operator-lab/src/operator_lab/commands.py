"""The commands `operator lab run`, `list` and `new`; they return data, the CLI draws it."""

import asyncio
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from operator_core.actions.types import ParamDef
from operator_core.clock import utc_now
from operator_core.errors import RequestError
from operator_core.lab import lab_of
from operator_core.logs import get_logger
from operator_core.plugin import PluginCommand, Report
from operator_core.runtime.plugins import load_plugin, plugin_names
from operator_core.types import JsonObject
from operator_lab.grade import Marks
from operator_lab.jobs import Result, check_all, jobs_of, run_jobs
from operator_lab.play import lab_for
from operator_lab.report import COLUMNS, failures, page, rows_of, to_json
from operator_lab.scenario import Scenario, ScenarioError, find_scenarios, load_scenario
from operator_lab.template import TEMPLATE

log = get_logger(__name__)

SHIPPED = Path(__file__).parent / "scenarios"
_SHOWN_FAILURES = 40


def _option(kind: str, description: str, default: object = None) -> ParamDef:
    return ParamDef.model_validate(
        {"type": kind, "description": description, "required": False, "default": default}
    )


def shipped_places() -> list[Path]:
    """Return the folders of all scenarios that are installed: the lab's, and those of plugins."""
    labs = [lab_of(load_plugin(name)) for name in plugin_names()]
    return [SHIPPED, *(one.scenarios for one in labs if one is not None)]


def chosen(files: Sequence[str], wanted: str, subject: str = "") -> list[Scenario]:
    """Return the scenarios of some files or folders, or all that are installed.

    Args:
        files: files and folders; none: all that are installed.
        wanted: only this set; empty: all.
        subject: only those on the lab of this plugin; empty: all.

    Raises:
        ScenarioError: a file cannot be read, or nothing is left.
    """
    places = [Path(file) for file in files] or shipped_places()
    found = [load_scenario(path) for path in find_scenarios(places)]
    kept = [one for one in found if wanted in {"", one.set} and subject in {"", one.subject}]
    if not kept:
        sets, subjects = ({getattr(one, key) for one in found} for key in ("set", "subject"))
        raise ScenarioError(
            f"There is no scenario in set {wanted or 'any'!r} for subject {subject or 'any'!r}; "
            f"sets are {', '.join(sorted(sets))}; subjects are {', '.join(sorted(subjects))}."
        )
    return kept


def to_play(values: JsonObject) -> list[Scenario]:
    """Return what `run` plays: what plays in real time only where something of it was named.

    Raises:
        ScenarioError: a file cannot be read, or nothing is left.
    """
    files, wanted, subject = values.get("files") or [], values["set"], values["subject"]
    found = chosen(files, wanted, subject)
    if files or wanted or subject:
        return found
    labs = {one.subject: lab_for(one) for one in {one.subject: one for one in found}.values()}
    return [one for one in found if not labs[one.subject].is_real_time]


async def run(values: JsonObject) -> Report:
    """Play scenarios and say how right Operator was."""
    if values["seeds"] < 1 or values["jobs"] < 0:
        raise RequestError("--seeds must be 1 or more, and --jobs 0 or more.")
    scenarios = to_play(values)
    for one, idle in check_all(scenarios):
        if idle:
            log.warning("unknown_names", file=one.file, names="; ".join(idle))
    if values["docs"]:
        _page_of(Path(values["docs"]), [], "")  # a page that cannot be written is told at once
    jobs = jobs_of(scenarios, values["seeds"])
    processes = values["jobs"] or os.cpu_count() or 1
    results = await asyncio.to_thread(run_jobs, jobs, processes, _tell)
    marks = [one.marks for one in results]
    data = to_json(marks)
    if values["docs"]:
        _write(Path(values["docs"]), results, values)
    wrong = failures(marks)
    return Report(
        title="How right it was",
        columns=COLUMNS,
        rows=rows_of(marks),
        summary="\n".join([_summary(data), *wrong[:_SHOWN_FAILURES]]),
        data=data,
        is_good=not (data["harmful"] or data["false_actions"] or data["errors"]),
    )


def _summary(data: JsonObject) -> str:
    wrong, plays = len(data["failures"]), len(data["plays"])
    return f"{wrong} of {plays} plays were not fully right:" if wrong else "Every play was right."


def _tell(result: Result) -> None:
    marks = result.marks
    if not marks.is_full:
        log.warning("not_right", scenario=marks.scenario, set=marks.set, seed=marks.seed)


def _write(place: Path, results: Sequence[Result], values: JsonObject) -> None:
    made = (
        f"Operator {version('operator-core')}, {utc_now().date().isoformat()}, rules only, "
        f"`operator lab run --seeds {values['seeds']} --docs {place}`: "
        f"{len({one.marks.scenario for one in results})} scenarios, {len(results)} plays."
    )
    text = _page_of(place, [one.marks for one in results], made)
    try:
        place.write_text(text, "utf-8")
    except OSError as error:
        raise RequestError(f"{place} cannot be written: {error}") from error


def _page_of(place: Path, marks: Sequence[Marks], made: str) -> str:
    try:
        return page(place.read_text("utf-8"), marks, made)
    except (OSError, ValueError) as error:
        raise RequestError(f"{place} cannot be written: {error}") from error


async def list_them(values: JsonObject) -> Report:
    """List scenarios."""
    found = chosen(values.get("files") or [], values["set"], values["subject"])
    rows = [[one.set, one.name, one.subject, one.expect.ends, one.file] for one in found]
    data = {"scenarios": [one.model_dump(exclude={"table"}) for one in found]}
    columns = ("set", "name", "subject", "ends", "file")
    return Report("Scenarios", columns, rows, f"{len(rows)} scenarios", data)


async def new(values: JsonObject) -> Report:
    """Write a scenario to begin with."""
    place = Path(values["file"])
    await asyncio.to_thread(_write_new, place)
    told = f"Wrote {place}. Next: operator lab run {place}"
    return Report("New scenario", summary=told, data={"file": str(place)})


def _write_new(place: Path) -> None:
    try:
        with place.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except OSError as error:
        raise RequestError(f"{place} cannot be written: {error.strerror}.") from error


_FILES = _option("list", "Scenario files, or folders of them; all that are installed, if none")
_SET = _option("str", "Only the scenarios of this set", "")
_SUBJECT = _option("str", "Only the scenarios on the lab of this plugin", "")


class LabCommands:
    """What the package offers at the entry point ``operator.commands``."""

    name = "lab"
    summary = "scenarios: faults on purpose, and how right Operator is about them"
    commands: Sequence[PluginCommand] = (
        PluginCommand(
            "run",
            "Play scenarios through the whole loop, and mark what came of them; those in real time "
            "only where files, a set or a subject are named. "
            "Exits with 1 where an action did harm, was done on a quiet cluster, or a play broke.",
            {
                "files": _FILES,
                "set": _SET,
                "subject": _SUBJECT,
                "seeds": _option("int", "Plays of each scenario, with other random choices", 1),
                "jobs": _option("int", "Processes at once; 0: as many as there are processors", 0),
                "docs": _option("str", "Write the results between the marks of this page", ""),
            },
            run,
            "files",
            "my-scenario.toml",
        ),
        PluginCommand(
            "list",
            "List scenarios.",
            {"files": _FILES, "set": _SET, "subject": _SUBJECT},
            list_them,
            "files",
        ),
        PluginCommand(
            "new",
            "Write a scenario to begin with; it runs as it is.",
            {"file": ParamDef(type="str", description="Where to write it; must not exist")},
            new,
            "file",
            "my-scenario.toml",
        ),
    )


plugin = LabCommands()
