"""What every command shares: its global options, the ledger, and how it is run."""

import inspect
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from typer.core import TyperGroup

from operator_core import config
from operator_core.cli.text import given
from operator_core.errors import LedgerUnavailableError
from operator_core.types import DEFAULT_PAGE_SIZE

if TYPE_CHECKING:
    from operator_core.cli.render import Draw
    from operator_core.db.address import LedgerAddress

Row = TypeVar("Row")

Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="<path or url>",
        help="The ledger: a file, or postgresql://… "
        f"({config.LEDGER_VARIABLE} in the environment).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
As = Annotated[
    str | None, typer.Option("--as", help="Who acts; you, if not given.", metavar="NAME")
]
Id = Annotated[int, typer.Argument(min=1, max=2**63 - 1, metavar="ID", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]
After = Annotated[
    int, typer.Option("--after", min=0, max=2**63 - 1, help="Only ids greater than this.")
]
PAGE = DEFAULT_PAGE_SIZE

Handler = Callable[..., Coroutine[object, object, None]]
"""A command: takes a `Session` and its own options."""


@dataclass(frozen=True)
class Given:
    """The global options as far as somebody gave them."""

    db: str | None = None
    person: str | None = None
    json: bool = False
    debug: bool = False

    def updated(self, db: str | None, person: str | None, *, as_json: bool) -> "Given":
        """Return these options with those that stand further right."""
        return replace(
            self,
            db=self.db if db is None else db,
            person=self.person if person is None else person,
            json=as_json or self.json,
        )


@dataclass(frozen=True)
class Session:
    """One run of a command.

    Attributes:
        db_path: where the ledger lies.
        person: who acts.
        json: whether JSON is asked for.
        debug: whether tracebacks are asked for.
    """

    db_path: "LedgerAddress"
    person: str
    json: bool
    debug: bool = False

    @property
    def ledger_exists(self) -> bool:
        """Whether the ledger is there already; a server's is made when it is first opened."""
        return not isinstance(self.db_path, Path) or self.db_path.exists()

    def require_ledger(self) -> None:
        """Return only where the ledger's file is there.

        Raises:
            LedgerUnavailableError: it is not.
        """
        if not self.ledger_exists:
            raise LedgerUnavailableError(
                f"No ledger at {self.db_path}: start with `operator up`, or name another with --db."
            )


def session_of(options: Given) -> Session:
    """Return the session that the options describe.

    Raises:
        RequestError: ``--as`` or ``--db`` is empty.
    """
    person = config.person() if options.person is None else given(options.person, "--as")
    from operator_core.db.address import is_postgres  # noqa: PLC0415 - `--help` needs no ledger

    address = config.ledger_address() if options.db is None else given(options.db, "--db")
    path = address if is_postgres(address) else config.expanded(address)
    return Session(path, person, options.json, options.debug)


@contextmanager
def readable(session: Session) -> Iterator[Session]:
    """Give a session that can read; of a ledger that nobody may write to, it has a copy."""
    path = session.db_path
    if is_writable(path):
        yield session
        return
    from operator_core.db.sqlite.reading import undisturbed  # noqa: PLC0415 - rare

    with undisturbed(path) as copy:
        yield replace(session, db_path=copy)


def is_writable(path: "LedgerAddress") -> bool:
    """Return whether a ledger can be opened where it lies: a log stands beside it meanwhile."""
    if not isinstance(path, Path) or not path.exists():
        return True
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def new_app() -> typer.Typer:
    """Return an app for one command."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def new_group(text: str, cls: type[TyperGroup] | None = None) -> typer.Typer:
    """Return a group of commands that takes the global options too.

    Args:
        text: the help.
        cls: how its arguments are read, if not as they stand.
    """
    app = typer.Typer(
        cls=cls, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False
    )

    @app.callback(help=text)
    def remember(
        context: typer.Context, db: Db = None, person: As = None, *, as_json: Json = False
    ) -> None:
        keep(context, db, person, as_json=as_json)

    return app


def keep(
    context: typer.Context,
    db: str | None,
    person: str | None,
    *,
    as_json: bool,
    debug: bool = False,
) -> Given:
    """Remember global options for the commands to the right, and return all there are."""
    before = context.obj if isinstance(context.obj, Given) else Given(debug=debug)
    now = before.updated(db, person, as_json=as_json)
    context.obj = now
    return now


def command(
    app: typer.Typer, name: str | None = None, *, ledger: bool = True, reads: bool = False
) -> Callable[[Handler], Handler]:
    """Register a coroutine function as a command; its docstring is the help.

    Its parameters after the session become the command's own, and the global options are
    added.

    Args:
        app: where it is registered.
        name: the command's name; the function's if not given.
        ledger: whether the ledger must be there already.
        reads: whether it only looks, so that it needs no ledger that can be written.
    """

    def register(handler: Handler) -> Handler:
        def invoke(context: typer.Context, **values: object) -> None:
            session = session_of(_taken(context, values))
            if ledger:
                session.require_ledger()
            with readable(session) if reads else nullcontext(session) as one:
                run(handler(one, **values))

        invoke.__dict__["__signature__"] = _signature(handler)
        app.command(name or handler.__name__, help=inspect.getdoc(handler))(invoke)
        return handler

    return register


def _taken(context: typer.Context, values: dict[str, object]) -> Given:
    """Take the global options out of a command's values."""
    db, person, as_json = values.pop("db"), values.pop("person"), values.pop("as_json")
    return keep(
        context,
        db if isinstance(db, str) else None,
        person if isinstance(person, str) else None,
        as_json=bool(as_json),
    )


def _signature(handler: Handler) -> inspect.Signature:
    own = list(inspect.signature(handler).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("db", kind, default=None, annotation=Db),
        inspect.Parameter("person", kind, default=None, annotation=As),
        inspect.Parameter("as_json", kind, default=False, annotation=Json),
    ]
    first = inspect.Parameter("context", kind, annotation=typer.Context)
    return inspect.Signature([first, *(one.replace(kind=kind) for one in own), *shared])


def run(work: Coroutine[object, object, None]) -> None:
    """Run a command's coroutine to its end."""
    import asyncio  # noqa: PLC0415 - `--help` needs no event loop

    from operator_core.cli.leaving import leaving  # noqa: PLC0415 - likewise

    asyncio.run(leaving(work))


def show(session: Session, data: object, draw: "Draw") -> None:
    """Print data as JSON where that is asked for, else draw it for a person."""
    if session.json:
        print_json(data)
        return
    from operator_core.cli.render import console  # noqa: PLC0415 - `--json` draws nothing

    console().print(draw())


def page(rows: list[Row], limit: int, key: Callable[[Row], int | None]) -> list[Row]:
    """Return one page of rows that were asked for with one more, and say if more follow."""
    if len(rows) > limit:
        note(f"More follow: --after {key(rows[limit - 1])}")
    return rows[:limit]


def print_json(data: object) -> None:
    """Print data as JSON; all but ASCII is escaped, so nothing in it can act."""
    typer.echo(json.dumps(data, default=_plain, indent=2, ensure_ascii=True, allow_nan=False))


def _plain(value: object) -> object:
    """Return what JSON knows for a value that it does not."""
    from pydantic import BaseModel  # noqa: PLC0415 - `--help` needs no models
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - as above

    # Before pydantic 2.14 a deferred model is made only where it is asked itself.
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return to_jsonable_python(value)


def note(text: str) -> None:
    """Tell something beside the data, on stderr."""
    typer.echo(text, err=True)
