"""The checks of test_tidy.py: each takes one module and returns its findings."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator

from tidy_source import Import, Module, type_of_function

Check = Callable[[Module], list[str]]

CLOCK_READERS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.time",
    "time.time_ns",
}
ENVIRONMENT_READERS = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}
CLOCK_MODULE = "operator_core.clock"
CONFIG_MODULE = "operator_core.config"
TESTING = "operator_core.testing"
TEST_TOOLS = {"hypothesis", "inline_snapshot", "pytest", "respx"}
LAB = "operator_lab"
"""No subject: it plays the whole loop, and so it stands above all of core."""

PORTS = {
    "operator_core.actions.lifecycle",
    "operator_core.actions.retry",
    "operator_core.actions.types",
    "operator_core.agent.diagnosis",
    "operator_core.agent.model",
    "operator_core.agent.odd_failures",
    "operator_core.call_failures",
    "operator_core.clock",
    "operator_core.config",
    "operator_core.errors",
    "operator_core.lab",
    "operator_core.lab_real",
    "operator_core.lifecycle",
    "operator_core.local_cluster",
    "operator_core.local_processes",
    "operator_core.monitor.lifecycle",
    "operator_core.monitor.types",
    "operator_core.monitor.verification",
    "operator_core.plugin",
    "operator_core.plugin_settings",
    "operator_core.process_supervisor",
    "operator_core.subject",
    "operator_core.tls",
    "operator_core.twin",
    "operator_core.types",
}
"""Ground, words and ports: all of core that a plugin may see."""


def missing_annotations(module: Module) -> list[str]:
    """Find parameters and results without a type."""
    methods = set(_bound_methods(module))
    findings = []
    for node in module.functions():
        arguments = _arguments(node)[1 if node in methods else 0 :]
        untyped = [argument.arg for argument in arguments if argument.annotation is None]
        untyped += [] if node.returns else ["its result"]
        findings += [module.at(node.lineno, f"{node.name}: {name} has no type") for name in untyped]
    return findings


def _arguments(node: type_of_function) -> list[ast.arg]:
    given = node.args
    starred = [argument for argument in (given.vararg, given.kwarg) if argument]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *starred]


def _bound_methods(module: Module) -> Iterator[type_of_function]:
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, type_of_function) and not _is_static(child):
                    yield child


def _is_static(node: type_of_function) -> bool:
    return any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)


def bare_type_ignores(module: Module) -> list[str]:
    """Find type errors that are silenced without saying which."""
    return [
        module.at(line, "type error ignored without its code")
        for line, comment in module.comments()
        if re.search(r"#\s*type:\s*ignore(?!\[\w)", comment)
    ]


def swallowed_errors(module: Module) -> list[str]:
    """Find handlers of every exception that do nothing."""
    return [
        module.at(node.lineno, "any error is swallowed")
        for node in module.nodes
        if isinstance(node, ast.ExceptHandler | ast.Call) and _swallows(node)
    ]


def _swallows(node: ast.ExceptHandler | ast.Call) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return _catches_everything(node.type) and all(map(_does_nothing, node.body))
    suppresses = ast.unparse(node.func) in {"suppress", "contextlib.suppress"}
    return suppresses and any(map(_catches_everything, node.args))


def _catches_everything(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_catches_everything(element) for element in caught.elts)
    return caught is None or ast.unparse(caught) in {"Exception", "BaseException"}


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def clock_reads(module: Module) -> list[str]:
    """Find uses of the system's clock outside the module that injects it."""
    return [] if module.name == CLOCK_MODULE else _uses(module, CLOCK_READERS, CLOCK_MODULE)


def environment_reads(module: Module) -> list[str]:
    """Find uses of the environment outside the configuration."""
    if module.name == CONFIG_MODULE:
        return []
    return _uses(module, ENVIRONMENT_READERS, CONFIG_MODULE)


def _uses(module: Module, names: set[str], owner: str) -> list[str]:
    return [
        module.at(line, f"{name} belongs to {owner} alone")
        for line, name in module.dotted_names()
        if name in names
    ]


def unexplained_skips(module: Module) -> list[str]:
    """Find tests that are left out without a reason."""
    called = {node.func for node in module.nodes if isinstance(node, ast.Call)}
    findings = [
        module.at(node.lineno, f"{ast.unparse(node)} without a reason")
        for node in module.nodes
        if isinstance(node, ast.Attribute) and node not in called and _leaves_out(node)
    ]
    return findings + [
        module.at(node.lineno, f"{ast.unparse(node.func)} without a reason")
        for node in module.nodes
        if isinstance(node, ast.Call) and _leaves_out(node.func) and not _has_reason(node)
    ]


def _leaves_out(node: ast.expr) -> bool:
    return bool(re.fullmatch(r"pytest\.mark\.(skip|skipif|xfail)|pytest\.skip", ast.unparse(node)))


def _has_reason(call: ast.Call) -> bool:
    positional = ast.unparse(call.func).endswith(".skip") and bool(call.args)
    return positional or any(keyword.arg == "reason" for keyword in call.keywords)


def testing_in_production(module: Module) -> list[str]:
    """Find shipped code, other than the testing kit, that needs the testing kit."""
    if _is_within(module.name, TESTING):
        return []
    return [
        module.at(found.line, f"shipped code imports {found.target}")
        for found in module.imports()
        if _is_within(found.target, TESTING) or found.target.split(".")[0] in TEST_TOOLS
    ]


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def plugin_reaches_into_core(module: Module) -> list[str]:
    """Find a plugin that sees more of core than ground, words and ports."""
    if module.name.split(".")[0] in {"operator_core", LAB}:
        return []
    return [
        module.at(found.line, f"a plugin may not see {found.target}")
        for found in module.imports()
        if _is_within(found.target, "operator_core") and not _is_port(found)
    ]


def _is_port(found: Import) -> bool:
    return any(_is_within(found.target, port) for port in PORTS)


def import_cycles(modules: Iterable[Module]) -> list[str]:
    """Find modules that cannot be imported without each other.

    Imports inside functions and for types alone are left out: they run later or never.
    """
    edges = _module_edges(list(modules))
    reach = {name: _reachable(name, edges) for name in edges}
    groups = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in edges
        if name in reach[name]
    }
    return [f"import cycle: {' <-> '.join(group)}" for group in sorted(groups)]


def _module_edges(modules: list[Module]) -> dict[str, set[str]]:
    names = {module.name for module in modules}
    return {
        module.name: {
            target
            for found in module.imports()
            if found.at_module_level and (target := _imported_module(found.target, names))
        }
        for module in modules
    }


def _imported_module(target: str, names: set[str]) -> str | None:
    """Return the module that gives a name: itself, or the one that holds it."""
    holder = target.rpartition(".")[0]
    return next((name for name in (target, holder) if name in names), None)


def _reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += edges[name]
    return seen
