"""Rehearsals: what a twin says would come of proposals, and how right it was; pure."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, median
from typing import NamedTuple

from operator_core.actions.types import ActionProposal, ActionRequest
from operator_core.agent.paths import resolve
from operator_core.errors import UnsafeError
from operator_core.monitor.types import Observation
from operator_core.subject import Subject, complete, has_twin
from operator_core.twin import BlastRadius, Change, Prediction, Twin, names_of
from operator_core.types import JsonObject

BROKEN_TWIN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a twin raises that meets a cluster unlike any its author knew: then nothing is known."""

SMALL_SHARE, MEDIUM_SHARE = 0.1, 0.4
"""Up to here a blast radius is called small, and medium."""

MET_ERROR = 0.25
"""Up to here the numbers of a rehearsal count as met, see `Measured.number_error`."""


class Rehearsal(NamedTuple):
    """What would come of one step, and of all that is rehearsed with it.

    Attributes:
        seconds: how long the step takes; None: not known.
        changes: the numbers that the step changes.
        better: the safety rules that hold better after some step.
        worse: why it must not be done, each with the step that is at fault.
        blast: the most that any of the steps touches; None: not known.
        undo: what gets worse where the steps are taken back after they are done.
    """

    seconds: float | None = None
    changes: tuple[Change, ...] = ()
    better: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    blast: BlastRadius | None = None
    undo: tuple[str, ...] = ()

    @property
    def tier(self) -> str:
        """The blast radius as one word."""
        shares = [share for share in self.blast or () if share is not None]
        if self.blast is None or not shares:
            return "unknown"
        largest = max(shares)
        if largest <= SMALL_SHARE:
            return "small"
        return "medium" if largest <= MEDIUM_SHARE else "large"

    def to_json(self) -> JsonObject:
        """Return it as JSON, for the ledger."""
        return {
            "seconds": self.seconds,
            "changes": [list(one) for one in self.changes],
            "better": list(self.better),
            "worse": list(self.worse),
            "blast": self.blast._asdict() if self.blast else None,
            "undo": list(self.undo),
        }

    @classmethod
    def of_json(cls, data: JsonObject) -> "Rehearsal":
        """Return the rehearsal that `to_json` wrote down."""
        return cls(
            seconds=data["seconds"],
            changes=tuple(Change(*one) for one in data["changes"]),
            better=tuple(data["better"]),
            worse=tuple(data["worse"]),
            blast=BlastRadius(**data["blast"]) if data["blast"] else None,
            undo=tuple(data.get("undo", ())),
        )


def rehearse(
    twin: Twin, calls: Sequence[ActionRequest], undos: Sequence[ActionRequest] = ()
) -> tuple[Rehearsal, ...]:
    """Return the rehearsal of each call, one after the other on a twin.

    A step that makes something worse condemns all, even where a later one would mend it: the
    cluster is in that state in between. From a step on that the twin has no model of nothing is
    known, so the blast radius of all is not known.

    Args:
        twin: the cluster as it is.
        calls: the steps in their order.
        undos: what would take them back, in the order in which it would run.
    """
    predictions = _predictions(twin, calls)
    known = [one for one in predictions if one is not None]
    worse = _told(calls, [one.worse if one else () for one in predictions])
    better = dict.fromkeys(words for one in known for words in one.better)
    undoing = _undoing(predictions[-1], undos) if predictions else []
    mended = frozenset(name for one in known for name in one.mended)
    whole = Rehearsal(
        better=tuple(better),
        worse=(*worse, *_harm(undoing, mended)),
        undo=tuple(f"{undo.action_name}: {words}" for undo, one in undoing for words in one.worse),
        blast=_largest([one.blast for one in known]) if len(known) == len(calls) else None,
    )
    return tuple(
        whole._replace(seconds=one.seconds, changes=one.changes) if one else whole
        for one in predictions
    )


def rehearse_steps(twin: Twin, steps: Sequence[ActionProposal]) -> dict[int, Rehearsal]:
    """Return the rehearsal of each of some steps that belong together, by the proposal's id.

    Args:
        twin: the cluster as it is.
        steps: one entry of `together`.
    """
    calls = [ActionRequest(action_name=one.action_name, parameters=one.parameters) for one in steps]
    undos = [one.compensation for one in reversed(steps) if one.compensation is not None]
    said = rehearse(twin, calls, undos)
    return dict(zip((int(one.id or 0) for one in steps), said, strict=True))


def together(proposals: Iterable[ActionProposal]) -> list[list[ActionProposal]]:
    """Return the steps of each workflow in their order, and each other proposal by itself.

    What undoes a step is rehearsed by itself too, right before it runs.
    """
    groups: dict[tuple[str, int | None], list[ActionProposal]] = {}
    for one in proposals:
        alone = one.workflow_id is None or one.compensates_proposal_id is not None
        key = ("proposal", one.id) if alone else ("workflow", one.workflow_id)
        groups.setdefault(key, []).append(one)
    return [sorted(steps, key=lambda one: one.execution_order) for steps in groups.values()]


def _predictions(twin: Twin, calls: Sequence[ActionRequest]) -> list[Prediction | None]:
    found: list[Prediction | None] = []
    here: Twin | None = twin
    for call in calls:
        prediction = here.apply(call) if here is not None else None
        here = prediction.then if prediction is not None else None
        found.append(prediction)
    return found


def _undoing(
    last: Prediction | None, undos: Sequence[ActionRequest]
) -> list[tuple[ActionRequest, Prediction]]:
    """Return what would come of taking back the steps after they are done."""
    found = _predictions(last.then, undos) if last is not None else []
    return [(undo, one) for undo, one in zip(undos, found, strict=False) if one is not None]


def _harm(
    undoing: Iterable[tuple[ActionRequest, Prediction]], mended: frozenset[str]
) -> Iterator[str]:
    """Yield why steps must not be done whose undoing would do harm of its own.

    Who takes back a repair brings back what was broken: that is no harm of its own, and whether it
    may be is asked when it is about to run. Nor is an undo that cannot work.
    """
    for undo, found in undoing:
        for words in found.worse:
            if not names_of([words]).isdisjoint(found.breached - mended):
                yield f"undoing it ({undo.action_name}): {words}"


def _told(calls: Sequence[ActionRequest], worse: Sequence[Sequence[str]]) -> tuple[str, ...]:
    several = len(calls) > 1
    return tuple(
        f"step {number} ({call.action_name}): {words}" if several else words
        for number, (call, found) in enumerate(zip(calls, worse, strict=True), 1)
        for words in found
    )


def _largest(blasts: Sequence[BlastRadius]) -> BlastRadius:
    columns = zip(*blasts, strict=True)
    return BlastRadius(*(None if None in column else max(column) for column in columns))


def foresee(
    subject: Subject | None, seen: Observation | None, call: ActionRequest
) -> Rehearsal | None:
    """Return what would come of one call on the cluster as it was just seen.

    Args:
        subject: the cluster's side.
        seen: the look.
        call: what is about to be done.

    Returns:
        None where the subject has no twins; a rehearsal that knows nothing where this look makes
        none, or one that its author did not foresee.
    """
    if subject is None or seen is None or not has_twin(subject):
        return None
    try:
        twin = complete(subject).twin(seen)
        return rehearse(twin, [call])[0] if twin is not None else Rehearsal()
    except BROKEN_TWIN:
        return Rehearsal()


def widened(known: BlastRadius | None, fresh: Rehearsal | None) -> BlastRadius | None:
    """Return the larger of a blast radius that was known and that of a fresh rehearsal.

    What is not known is the largest; without a fresh rehearsal it stays what it was.
    """
    if fresh is None or known is None or fresh.blast is None:
        return known if fresh is None else None
    return _largest([known, fresh.blast])


def require_safe(rehearsal: Rehearsal) -> None:
    """Return only where a rehearsal found nothing that gets worse.

    Raises:
        UnsafeError: it did; the message says what.
    """
    if rehearsal.worse:
        raise UnsafeError(
            f"Rehearsed on a twin of the cluster and refused: {'; '.join(rehearsal.worse)}. "
            "Mend that first, or propose something else."
        )


# --- how right it was -----------------------------------------------------------------


class Measured(NamedTuple):
    """How far a prediction was from what came.

    Attributes:
        seconds: how long it took.
        actual: what stood at the path of each predicted change; None: nothing.
        number_error: mean error of the numbers, in units of the predicted change (1: as wrong
            as predicting that nothing happens); None: no number was predicted.
    """

    seconds: float
    actual: tuple[float | None, ...] = ()
    number_error: float | None = None

    def to_json(self) -> JsonObject:
        """Return it as JSON, for the ledger."""
        return {
            "seconds": self.seconds,
            "actual": list(self.actual),
            "number_error": self.number_error,
        }

    @classmethod
    def of_json(cls, data: JsonObject) -> "Measured":
        """Return what `to_json` wrote down."""
        return cls(data["seconds"], tuple(data["actual"]), data["number_error"])


def measure(rehearsal: Rehearsal, seen: Observation, seconds: float) -> Measured:
    """Return how far a prediction was from what came.

    Args:
        rehearsal: of the step.
        seen: a look after the effect.
        seconds: how long it took.
    """
    actual = tuple(_number(seen, change.path) for change in rehearsal.changes)
    errors = [_error(one, now) for one, now in zip(rehearsal.changes, actual, strict=True)]
    return Measured(seconds, actual, round(fmean(errors), 4) if errors else None)


def came_true(rehearsal: Rehearsal, seen: Observation) -> bool:
    """Return whether a look shows what a rehearsal said; what knew nothing foretold nothing.

    Args:
        rehearsal: of the step.
        seen: a look after the effect.
    """
    if rehearsal.blast is None or rehearsal.worse:
        return False
    error = measure(rehearsal, seen, 0.0).number_error
    return error is None or error <= MET_ERROR


def _number(seen: Observation, path: str) -> float | None:
    value = resolve(seen, path).value
    return float(value) if isinstance(value, int | float) else None


def _error(change: Change, actual: float | None) -> float:
    if actual is None or change.after is None:
        return 0.0 if actual is change.after else 1.0
    return abs(actual - change.after) / max(abs(change.after - (change.before or 0.0)), 1.0)


class Calibration(NamedTuple):
    """How right the twin was about one action.

    Attributes:
        action: its name.
        times: how often it was rehearsed, done and measured.
        number_error: the mean of `Measured.number_error`; None: no number was predicted.
        time_ratio: the median of how long it took over how long it should; None: not known.
    """

    action: str
    times: int
    number_error: float | None
    time_ratio: float | None


def calibration(results: Iterable[tuple[str, Rehearsal, Measured]]) -> list[Calibration]:
    """Return how right the twin was about each action, by name.

    Args:
        results: action, prediction and what came of it.
    """
    by_action: dict[str, list[tuple[Rehearsal, Measured]]] = {}
    for action, said, came in results:
        by_action.setdefault(action, []).append((said, came))
    return [_calibrated(action, pairs) for action, pairs in sorted(by_action.items())]


def _calibrated(action: str, pairs: Sequence[tuple[Rehearsal, Measured]]) -> Calibration:
    errors = [came.number_error for _, came in pairs if came.number_error is not None]
    ratios = [came.seconds / said.seconds for said, came in pairs if said.seconds]
    return Calibration(
        action,
        len(pairs),
        round(fmean(errors), 4) if errors else None,
        round(median(ratios), 4) if ratios else None,
    )
