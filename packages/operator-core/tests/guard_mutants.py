"""Guards with one branch taken out, made from their source."""

import __future__

import ast
import copy
import importlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import operator_core

ROOT = Path(operator_core.__file__).parent


class Mutant(NamedTuple):
    """One change of one function.

    Attributes:
        guard: the function, as ``module:function`` below operator_core.
        change: what is changed, in words.
        tree: the function as it is then.
    """

    guard: str
    change: str
    tree: ast.AST


@cache
def source_of(guard: str) -> str:
    """Return the source of a function, or of a method."""
    place, _, name = guard.partition(":")
    text = (ROOT / f"{place.replace('.', '/')}.py").read_text()
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        inner = getattr(node, "body", [])
        node = next(one for one in inner if getattr(one, "name", "") == part)
    return ast.unparse(node)


def tree_of(guard: str) -> ast.stmt:
    """Return a function's syntax."""
    return ast.parse(source_of(guard)).body[0]


# --- branches that are taken out --------------------------------------------------------


def mutants(guard: str) -> Iterator[Mutant]:
    """Yield a guard with each of its branches taken out in turn.

    A branch that refuses never does; one that lets pass early always does; one part of a
    condition, or of a chain of guards, is left out.
    """
    whole = tree_of(guard)
    nodes = list(ast.walk(whole))
    for number, node in enumerate(nodes):
        for change, edit in _edits(node):
            twin = copy.deepcopy(whole)
            _replace(twin, list(ast.walk(twin))[number], edit)
            yield Mutant(guard, change, twin)


def _edits(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield what a node becomes, in words and as syntax."""
    if isinstance(node, ast.If):
        calm = _lets_pass(node.body[-1])
        for words, test in _tests(node.test, passes=calm):
            yield words, ast.If(test, node.body, node.orelse)
    elif isinstance(node, ast.IfExp) and _is_calm(node.body) != _is_calm(node.orelse):
        for words, test in _tests(node.test, passes=_is_calm(node.body)):
            yield words, ast.IfExp(test, node.body, node.orelse)
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.BoolOp):
        yield from (
            (f"without {words}", ast.Return(rest)) for words, rest in _shorter(node.value, ast.Or)
        )


def _tests(test: ast.expr, *, passes: bool) -> Iterator[tuple[str, ast.expr]]:
    yield f"{ast.unparse(test)} -> {passes}", ast.Constant(passes)
    for words, rest in _shorter(test, ast.And if passes else ast.Or):
        yield f"{ast.unparse(test)} without {words}", rest


def _shorter(test: ast.expr, kind: type[ast.boolop]) -> Iterator[tuple[str, ast.expr]]:
    if not (isinstance(test, ast.BoolOp) and isinstance(test.op, kind)):
        return
    for number, left_out in enumerate(test.values):
        rest = [one for place, one in enumerate(test.values) if place != number]
        yield ast.unparse(left_out), rest[0] if len(rest) == 1 else ast.BoolOp(test.op, rest)


def _lets_pass(last: ast.stmt) -> bool:
    return isinstance(last, ast.Return) and _is_calm(last.value)


def _is_calm(value: ast.expr | None) -> bool:
    calm_names = isinstance(value, ast.Call) and ast.unparse(value.func) == "frozenset"
    empty = isinstance(value, ast.Constant) and value.value in (None, "")
    return value is None or empty or calm_names or ast.unparse(value) == "()"


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list):
                value[:] = [new if one is old else one for one in value]


# --- put in place -----------------------------------------------------------------------


def edited(guard: str, old: str, new: str) -> Mutant:
    """Return a guard with a piece of its text replaced, as a hand in the source would."""
    text = source_of(guard)
    assert old in text, f"{guard} has no {old!r}"
    return Mutant(guard, f"{old} -> {new}", ast.parse(text.replace(old, new)).body[0])


def put_in_place(mutant: Mutant, patch: pytest.MonkeyPatch) -> None:
    """Let a mutant stand wherever its function stood."""
    place, _, name = mutant.guard.partition(":")
    module: Any = importlib.import_module(f"operator_core.{place}")
    tree = ast.fix_missing_locations(ast.Module([mutant.tree], []))  # type: ignore[list-item]
    made: dict[str, Any] = {}
    # Names that stand in annotations only are not there to be evaluated.
    code = compile(tree, module.__file__, "exec", __future__.annotations.compiler_flag)
    exec(code, vars(module), made)  # noqa: S102 - our own source
    owner, _, method = name.rpartition(".")
    if owner:
        patch.setattr(getattr(module, owner), method, made[method])
    else:
        replace_everywhere(patch, getattr(module, name), made[name])


def replace_everywhere(patch: pytest.MonkeyPatch, function: object, other: object) -> None:
    """Replace a function in every module that has imported it."""
    modules = [one for name, one in sys.modules.items() if name.startswith("operator_core")]
    for module in modules:
        for key in [key for key, value in vars(module).items() if value is function]:
            patch.setattr(module, key, other)
