"""Names that a package gives and loads when they are first asked for.

A process uses few of all its machines, and a restart goes on sooner without those it never needs.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def late(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package that loads a name's module when it is asked for.

    Args:
        package: the package's own name.
        homes: each name that it gives so, with the module where that stands.
    """

    def give(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, found)  # the next time nobody asks here
        return found

    return give
