"""Finding the packages of subjects that are installed, by entry point."""

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from operator_core.errors import ConfigurationError
from operator_core.types import COMMANDS_GROUP, ENTRY_POINT_GROUP, JsonObject

if TYPE_CHECKING:
    from operator_core.plugin import CommandPack, SubjectPlugin
    from operator_core.subject import FullSubject


def plugin_names() -> list[str]:
    """Return the names of the installed plugins, without loading them."""
    return sorted(_entry_points())


def command_names() -> list[str]:
    """Return the names that commands of packages go by, without loading them."""
    every = entry_points()  # all at once: each call reads the metadata of every package
    groups = (ENTRY_POINT_GROUP, COMMANDS_GROUP)
    return sorted({name for group in groups for name in every.select(group=group).names})


def load_plugin(name: str) -> "SubjectPlugin":
    """Return a plugin.

    Raises:
        ConfigurationError: it is not installed, or cannot be loaded.
    """
    found = _entry_points().get(name)
    if found is None:
        known = ", ".join(plugin_names()) or "none"
        raise ConfigurationError(f"No plugin {name!r} is installed. Installed: {known}.")
    return cast("SubjectPlugin", _loaded(found))


def load_commands(name: str) -> "SubjectPlugin | CommandPack":
    """Return what offers the commands of a name: a plugin, or a package that is no subject.

    Raises:
        ConfigurationError: it is not installed, or cannot be loaded.
    """
    found = _entry_points(COMMANDS_GROUP).get(name)
    return load_plugin(name) if found is None else cast("CommandPack", _loaded(found))


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"Plugin {point.name!r} cannot be loaded: {error}.") from error


async def connect(record: JsonObject) -> "FullSubject":
    """Return the subject of a connection that the ledger remembers.

    Args:
        record: name, plugin and settings, as `ControlDB.list_subjects` gives them.

    Raises:
        ConfigurationError: the plugin is not there, or its settings mean nothing to it.
    """
    from operator_core.subject import complete  # noqa: PLC0415 - the help names plugins only

    plugin = load_plugin(record["plugin"])
    subject = complete(await plugin.connect(record["settings"]))
    subject.name = record["name"]
    return subject


def _entry_points(group: str = ENTRY_POINT_GROUP) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}
