"""Life cycles as tables: state, event, state. A missing entry raises and changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from operator_core.errors import TransitionError

State = TypeVar("State", bound=Enum)
Event = TypeVar("Event", bound=Enum)


@dataclass(frozen=True)
class Machine(Generic[State, Event]):
    """One life cycle: its name and the table of its transitions."""

    name: str
    table: Mapping[tuple[State, Event], State]

    def after(self, state: State, event: Event) -> State:
        """Return the state that follows.

        Raises:
            TransitionError: the table has no such transition.
        """
        try:
            return self.table[state, event]
        except KeyError:
            raise TransitionError(
                f"A {self.name} that is {state.value} cannot {event.value}. "
                f"Possible: {', '.join(self.events_of(state)) or 'nothing, it has ended'}."
            ) from None

    def sources(self, event: Event) -> frozenset[State]:
        """Return the states that an event may leave."""
        return frozenset(state for state, name in self.table if name is event)

    def events_of(self, state: State) -> list[str]:
        """Return the names of the events that a state accepts."""
        return [event.value for source, event in self.table if source is state]

    def diagram(self) -> str:
        """Return the table as lines of a Mermaid state diagram, for the docs."""
        rows = [f"    {a.value} --> {b.value}: {e.value}" for (a, e), b in self.table.items()]
        return "\n".join(["stateDiagram-v2", *rows])
