"""A quick and strict reader of the Prometheus text format for a few metrics of many.

A store prints ten thousand lines of which some hundred are wanted. The general parser of
`prometheus_client` makes an object of each line; this one goes over the page once and looks
no further than the name of a line that is not wanted.
"""

import math
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.pd.parse import shorten

_LABEL: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(,|$)')
_SAMPLE: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*[ \t]*(\{[^\n]*\})?[ \t]+[-+0-9NI]"
_BRACES: Final = re.compile(r'\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\}')
_EXEMPLAR: Final = " # {"
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Line:
    """One sample: its labels and its value."""

    labels: dict[str, str]
    value: float


def require_metrics(text: str, source: str) -> None:
    """Return only for a page of metrics.

    Raises:
        PdAnswerError: it is something else, such as a login page.
    """
    head = text.lstrip()[:4000]
    if not head.startswith("#") and not re.match(_SAMPLE, head):
        raise PdAnswerError(f"{source} gave no metrics: {shorten(head[:200])!r}.")


def lines_of(text: str, name: str) -> Iterator[Line]:
    """Yield the samples of one name; those that are no number are left out.

    Args:
        text: the page.
        name: the whole name of the samples, such as ``x_bucket``.

    Raises:
        PdAnswerError: a line of that name is no sample.
    """
    for _, labels, value in samples_of(text, {name}):
        yield Line(dict(labels_of(labels)), value)


def samples_of(text: str, names: Container[str]) -> Iterator[tuple[str, str, float]]:
    """Yield the samples of some names: name, labels as they are printed, value.

    Raises:
        PdAnswerError: a line of one of those names is no sample.
    """
    for line in text.split("\n"):
        name = line.partition("{")[0]
        if name not in names:
            if " " not in name and "\t" not in name:
                continue
            name = name.replace("\t", " ").partition(" ")[0]
            if name not in names:
                continue
        labels, value = _sample(line, len(name))
        if not math.isnan(value):
            yield name, labels, value


@lru_cache(maxsize=1 << 15)
def labels_of(text: str) -> Mapping[str, str]:
    """Read what stands between the braces; a page has the same ones at every look.

    Raises:
        PdAnswerError: these are no labels.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip()):
        match = _LABEL.match(text, at)
        if match is None:
            raise PdAnswerError(f"Labels of metrics cannot be read: {shorten(text)!r}.")
        found[match[1]] = _unescaped(match[2])
        at = match.end()
    return MappingProxyType(found)


def _sample(line: str, name_length: int) -> tuple[str, float]:
    head, _, number = line.rpartition(" ")
    is_plain = head.endswith("}") and head[name_length] == "{" and _EXEMPLAR not in line
    try:
        if is_plain:
            return head[name_length + 1 : -1], float(number)
        labels, rest = _halves(line[name_length:].strip())
        return labels, float(rest.split(None, 1)[0])
    except (IndexError, ValueError):
        raise PdAnswerError(f"A line of metrics cannot be read: {shorten(line)!r}.") from None


def _halves(rest: str) -> tuple[str, str]:
    """Split what follows a name into the labels and the rest, whatever stands behind the value."""
    if _EXEMPLAR in rest and (braces := _BRACES.match(rest)):  # rare, and slow to look for
        return braces[1], rest[braces.end() :]
    if not rest.startswith("{"):
        return "", rest
    close = rest.rfind("}")
    return rest[1:close], rest[close + 1 :]


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[0]), text)
