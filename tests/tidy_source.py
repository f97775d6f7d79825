"""What the checks of test_tidy.py read: modules, their imports, the size of their functions."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

type_of_function = ast.FunctionDef | ast.AsyncFunctionDef
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True)
class Function:
    """A function and how many lines of code it has."""

    where: str
    lines: int


@dataclass(frozen=True)
class Import:
    """A name that a module imports; `from a import b` asks for "a.b"."""

    target: str
    line: int
    at_module_level: bool


@dataclass(frozen=True)
class Module:
    """The text of one Python file, with the dotted name it is imported by."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Return the syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Return every node of the tree; most checks walk through all of them."""
        return list(ast.walk(self.tree))

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        """Return every token."""
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @cached_property
    def name(self) -> str:
        """Return the dotted name: what follows src/ in the path."""
        inner = self.path.rpartition("/src/")[2].removesuffix(".py")
        return inner.removesuffix("/__init__").replace("/", ".")

    def forget(self) -> None:
        """Keep the text alone: two million nodes and tokens make collecting garbage slow."""
        for derived in ("tree", "nodes", "tokens", "measured_functions"):
            vars(self).pop(derived, None)

    @property
    def is_package(self) -> bool:
        """Tell whether this is the `__init__` of a package."""
        return self.path.endswith("/__init__.py")

    def at(self, line: int, text: str) -> str:
        """Return a finding that an editor can jump to."""
        return f"{self.path}:{line}: {text}"

    def functions(self) -> Iterator[type_of_function]:
        """Return each function and method, the nested ones too."""
        return (node for node in self.nodes if isinstance(node, type_of_function))

    def comments(self) -> Iterator[tuple[int, str]]:
        """Return each comment with its line."""
        for token in self.tokens:
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string

    def code_lines(self) -> set[int]:
        """Return the lines that hold code: no blanks, comments and docstrings."""
        lines: set[int] = set()
        for token in self.tokens:
            if token.type not in _NO_CODE:
                lines.update(range(token.start[0], token.end[0] + 1))
        return lines - self._docstring_lines()

    def _docstring_lines(self) -> set[int]:
        lines: set[int] = set()
        for node in self.nodes:
            if isinstance(node, ast.Expr) and _is_text(node.value):
                lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        return lines

    @cached_property
    def measured_functions(self) -> list[Function]:
        """Return each function with its number of lines."""
        code = self.code_lines()
        return [
            Function(
                self.at(node.lineno, node.name),
                len(code & set(range(node.lineno, (node.end_lineno or node.lineno) + 1))),
            )
            for node in self.functions()
        ]

    def imports(self) -> list[Import]:
        """Return every import but those under `if TYPE_CHECKING`."""
        return list(self._imports(self.tree, at_module_level=True))

    def _imports(self, node: ast.AST, *, at_module_level: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and _is_type_checking(child.test):
                for statement in child.orelse:
                    yield from self._imports(statement, at_module_level=at_module_level)
            elif isinstance(child, ast.Import | ast.ImportFrom):
                for target in self._targets(child):
                    yield Import(target, child.lineno, at_module_level)
            else:
                inside = isinstance(child, type_of_function | ast.Lambda)
                yield from self._imports(child, at_module_level=at_module_level and not inside)

    def _targets(self, node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        base = node.module or ""
        if node.level:
            package = self.name.split(".")
            package = package[: len(package) - node.level + self.is_package]
            base = ".".join([*package, base] if base else package)
        return [f"{base}.{alias.name}" for alias in node.names]

    def dotted_names(self) -> Iterator[tuple[int, str]]:
        """Return each use of a dotted name, spelled in full whatever it was imported as."""
        origins = self._origins()
        for node in self.nodes:
            if isinstance(node, ast.Attribute | ast.Name) and (name := _dotted(node)):
                first, dot, rest = name.partition(".")
                yield node.lineno, origins.get(first, first) + dot + rest

    def _origins(self) -> dict[str, str]:
        origins: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Import):
                origins |= {alias.asname: alias.name for alias in node.names if alias.asname}
        return origins


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (holder := _dotted(node.value)):
        return f"{holder}.{node.attr}"
    return None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def load(*patterns: str) -> list[Module]:
    """Return the modules of the repository that match one of the patterns."""
    paths = {path for pattern in patterns for path in REPOSITORY.glob(pattern)}
    return [
        Module(path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(paths)
    ]


def product() -> list[Module]:
    """Return the modules that are shipped."""
    return load("packages/*/src/**/*.py")


def of_tests() -> list[Module]:
    """Return the modules of the tests."""
    return load("packages/*/tests/**/*.py", "tests/**/*.py", "conftest.py")
