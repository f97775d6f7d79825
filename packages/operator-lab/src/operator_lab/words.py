"""What came of a play, as data that can be stored, compared and marked."""

from pydantic import BaseModel, ConfigDict


class _Word(BaseModel):
    model_config = ConfigDict(frozen=True)


class SeenTicket(_Word):
    """One ticket of a play; times are seconds from its beginning.

    Attributes:
        key: the problem.
        first_seen: when Operator first saw it.
        opened: when the ticket was opened.
        diagnosed: when its first diagnosis was made, if any.
        causes: the causes of that diagnosis, the likeliest first; ``unknown`` is an answer.
        escalated: whether a person was asked.
        last_cause: what its last diagnosis names.
        resolved: when it was resolved, if it was.
        verified: whether its remedy was proven to have helped.
        follows: whether it was told as a consequence of another ticket's cause.
        unseen_until: the last look before it was first seen.
        grace: how long its rule lets it pass.
        looks_every: the usual distance of looks.
    """

    key: str
    first_seen: float
    opened: float
    unseen_until: float = 0.0
    grace: float = 0.0
    looks_every: float = 30.0
    diagnosed: float | None = None
    causes: tuple[str, ...] = ()
    last_cause: str = ""
    escalated: bool = False
    resolved: float | None = None
    verified: bool = False
    follows: bool = False

    @property
    def rule(self) -> str:
        """The rule that was broken."""
        return self.key.partition(":")[0]


class Deed(_Word):
    """One call that reached the cluster; times are seconds from the beginning.

    Attributes:
        action: what was called.
        parameters: with what, as text.
        began: when it was sent.
        ended: when the answer came.
        error: what it failed with, if it did.
        did_harm: whether less data was served after it than before, and no fault came between.
        asked: whether the scenario's person asked for it, to see it refused.
    """

    action: str
    parameters: str = ""
    began: float = 0.0
    ended: float = 0.0
    error: str = ""
    did_harm: bool = False
    asked: bool = False


class Proposed(_Word):
    """One proposal of a play; times are seconds from its beginning."""

    action: str
    proposed: float
    approved: float | None = None
    status: str = "proposed"


class Played(_Word):
    """One play from its beginning to its end.

    Attributes:
        scenario: its name.
        set: its kind.
        seed: of the play; None: the scenario's own.
        tickets: all tickets, in the order in which they were opened.
        proposals: all proposals.
        deeds: what reached the cluster.
        unavailable: parts of the data that nobody serves in the end.
        exposed: parts that have too few whole copies in the end.
        leftovers: what was left on the cluster.
        fault_seconds: when faults began or ended.
        error: why there is no result, where the lab itself failed.
    """

    scenario: str
    set: str = "single"
    seed: int | None = None
    tickets: tuple[SeenTicket, ...] = ()
    proposals: tuple[Proposed, ...] = ()
    deeds: tuple[Deed, ...] = ()
    unavailable: int = 0
    exposed: int = 0
    leftovers: tuple[str, ...] = ()
    fault_seconds: tuple[float, ...] = ()
    error: str = ""

    @property
    def own_deeds(self) -> tuple[Deed, ...]:
        """What Operator did by itself, and not because the scenario's person asked."""
        return tuple(deed for deed in self.deeds if not deed.asked)
