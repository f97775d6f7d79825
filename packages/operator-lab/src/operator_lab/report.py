"""Scores as a table, for the terminal and for the page of the docs; pure."""

from collections.abc import Mapping, Sequence

from operator_core.types import JsonObject
from operator_lab.grade import Marks
from operator_lab.score import KINDS, STAGES, Score, Share, scores

BEGIN = "<!-- judgement: begin; written by `operator lab run --docs` -->"
END = "<!-- judgement: end -->"

COLUMNS = (
    "set",
    "plays",
    "detected",
    "right cause first",
    "in first two",
    "right remedy",
    "mitigated",
    "verified",
    "quiet stays quiet",
    "harmful",
    "wrong",
    "false",
    "abstained",
    "beside",
    "no result",
)


def rows_of(marks: Sequence[Marks]) -> list[list[str]]:
    """Return a row for each set, and one for all."""
    return [_row(one) for one in scores(marks)]


def _row(score: Score) -> list[str]:
    shares = [_told(score.shares[kind]) for kind in KINDS]
    bad = (score.harmful, score.wrong, score.false_actions)
    numbers = (*bad, score.abstained, score.beside, score.errors)
    return [score.set, str(score.plays), *shares, *map(str, numbers)]


def _told(share: Share) -> str:
    if not share.of:
        return "-"
    low, high = share.interval
    return f"{share.right}/{share.of} ({low:.0%} to {high:.0%})"


def failures(marks: Sequence[Marks]) -> list[str]:
    """Return, for each play that is not fully right, what is not."""
    return [f"{_name(one)}: {'; '.join(_faults(one))}" for one in marks if not one.is_full]


def _name(marks: Marks) -> str:
    seed = "" if marks.seed is None else f", seed {marks.seed}"
    return f"{marks.scenario} ({marks.set}{seed})"


def _faults(marks: Marks) -> list[str]:
    if marks.error:
        return [f"no result: {marks.error}"]
    kinds = dict(zip(KINDS, COLUMNS[2:9], strict=True))
    missed = [f"not {words}" for kind, words in kinds.items() if getattr(marks, kind) is False]
    missed += ["not settled on a right cause"] if marks.settled is False else []
    deeds = [("harmful", marks.harmful), ("wrong", marks.wrong), ("false", marks.false_actions)]
    bad = [f"{word}: {deed}" for word, found in deeds for deed in found]
    return [*missed, *bad, f"seen: {', '.join(marks.seen) or 'nothing'}"]


def to_json(marks: Sequence[Marks]) -> JsonObject:
    """Return everything, for a program."""
    total = scores(marks)[-1]
    return {
        "plays": [one.model_dump() for one in marks],
        "scores": [
            {**one._asdict(), "shares": _shares(one.shares), "within": _shares(one.within)}
            for one in scores(marks)
        ],
        "harmful": total.harmful,
        "false_actions": total.false_actions,
        "errors": total.errors,
        "failures": failures(marks),
    }


def _shares(shares: Mapping[str, Share]) -> JsonObject:
    return {
        kind: {"right": one.right, "of": one.of, "interval": list(one.interval)}
        for kind, one in shares.items()
    }


def page(text: str, marks: Sequence[Marks], made_by: str) -> str:
    """Return a page with the results between its two marks.

    Args:
        text: the page as it is.
        marks: of all plays.
        made_by: the version, the date and the command, for people.

    Raises:
        ValueError: the page has no marks to write between.
    """
    head, found, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"there is no place between {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{made_by}\n\n{_markdown(marks)}\n{END}{tail}"


def _markdown(marks: Sequence[Marks]) -> str:
    table = [_line(COLUMNS), _line(["---"] * len(COLUMNS)), *map(_line, rows_of(marks))]
    total = scores(marks)[-1]
    times = total.times
    spread = [_line(["stage, seconds of the cluster's time", "median", "9 of 10 within"])]
    spread += [_line(["---"] * 3)]
    spread += [
        _line([STAGES[key], _number(key, a), _number(key, b)]) for key, (a, b) in times.items()
    ]
    wrong = [f"- {one}" for one in failures(marks)] or ["- nothing"]
    goals = ["Within two minutes:", "", *_goals(total)]
    return "\n".join([*table, "", *spread, "", *goals, "", "Not fully right:", "", *wrong, ""])


def _goals(score: Score) -> list[str]:
    return [f"- {STAGES[stage]}: {_told(share)}" for stage, share in score.within.items()]


def _number(stage: str, value: float) -> str:
    return f"{value:.1f}" if stage.endswith("_looks") else f"{value:.0f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
