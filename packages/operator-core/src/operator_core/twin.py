"""The port of a twin: a model of a cluster, built from one look, on which actions are rehearsed.

A twin is a value. Applying a call to it changes nothing: it says what would come of the call,
and returns the twin of the cluster as it would be then. The same look and the same calls give
the same answers.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from operator_core.actions.types import ActionRequest


class BlastRadius(NamedTuple):
    """How much is touched, as shares of the whole; None: not known.

    Attributes:
        data_share: of the data that is moved or that its holder stops serving.
        leader_share: of the leaders that move or pause.
        client_share: of the clients that notice it.
        quorum_share: of the failures that the cluster can still afford and that this uses up.
    """

    data_share: float | None = None
    leader_share: float | None = None
    client_share: float | None = None
    quorum_share: float | None = None


class Change(NamedTuple):
    """A number of the observation that becomes another one; None: it comes or goes.

    Attributes:
        path: where it stands, such as ``stores/4/leader_count``.
        before: what it is.
        after: what it will be.
    """

    path: str
    before: float | None
    after: float | None


class Prediction(NamedTuple):
    """What would come of one call.

    Attributes:
        seconds: how long it takes until the effect is there.
        changes: the numbers that a look afterwards shows changed.
        better: the safety rules that hold better then, in words.
        worse: why it must not be done: rules that hold less, or that it cannot work, in words.
        breached: names of the rules that hold less then; the rest of `worse` cannot work.
        mended: names of the rules that hold better then.
        blast: how much it touches.
        then: the twin of the cluster as it is then.
    """

    seconds: float
    blast: BlastRadius
    then: "Twin"
    changes: tuple[Change, ...] = ()
    better: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    breached: frozenset[str] = frozenset()
    mended: frozenset[str] = frozenset()


class Twin(Protocol):
    """A model of one cluster at one moment."""

    def apply(self, call: ActionRequest) -> Prediction | None:
        """Return what would come of a call; None: this twin has no model of that action."""
        ...


class Breach(NamedTuple):
    """How far a safety rule is from holding.

    Attributes:
        amount: 0 where it holds; more is worse.
        words: how it stands, for people.
    """

    amount: float
    words: str


def names_of(words: Iterable[str]) -> frozenset[str]:
    """Return the names of the rules that `compare` told of in words."""
    return frozenset(one.partition(":")[0] for one in words)


def compare(
    before: Mapping[str, Breach], after: Mapping[str, Breach]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the rules that are less broken than before, and those that are more, in words.

    Args:
        before: each rule by its name.
        after: the same rules.
    """
    holds = Breach(0.0, "holds")
    better, worse = [], []
    for name in sorted({*before, *after}):
        old, new = before.get(name, holds), after.get(name, holds)
        if new.amount > old.amount:
            worse.append(f"{name}: {new.words}")
        elif new.amount < old.amount:
            better.append(f"{name}: {new.words if new.amount else 'holds again'}")
    return tuple(better), tuple(worse)
