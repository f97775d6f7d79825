"""The bar of CONTRIBUTING.md that no other tool measures, held on every file.

Each check is also shown a bad snippet: a check that cannot fail is worth nothing.
"""

import configparser
from collections.abc import Callable, Iterator, Sequence

import pytest

import tidy_checks as checks
from tidy_source import REPOSITORY, Function, Module, of_tests, product

MAX_FUNCTION_LINES = 50
LONG_FUNCTION_LINES = 25
MAX_LONG_SHARE = 0.10
SHORT_FUNCTION_LINES = 10
MIN_SHORT_SHARE = 0.50
MAX_FILE_LINES = 400
SMALL_FILE_LINES = 250
MIN_SMALL_SHARE = 0.50

# They read every file there is, which takes long on a crowded machine.
pytestmark = pytest.mark.timeout(240)

PRODUCT = product()
EVERYTHING = [*PRODUCT, *of_tests()]
EVERYWHERE: list[checks.Check] = [
    checks.missing_annotations,
    checks.bare_type_ignores,
    checks.swallowed_errors,
    checks.unexplained_skips,
]
IN_PRODUCT: list[checks.Check] = [
    checks.clock_reads,
    checks.environment_reads,
    checks.testing_in_production,
    checks.plugin_reaches_into_core,
]


@pytest.fixture(scope="module", autouse=True)
def _forget_what_was_parsed() -> Iterator[None]:
    yield
    for module in EVERYTHING:
        module.forget()


def snippet(text: str, name: str = "operator_core/sample.py") -> Module:
    """Return a module that is not in the repository."""
    return Module(f"packages/sample/src/{name}", text)


def name_of(check: checks.Check) -> str:
    """Return how a check is called in the list of tests."""
    return check.__name__


def findings(check: checks.Check, modules: Sequence[Module]) -> list[str]:
    """Return what a check finds in all modules."""
    return [finding for module in modules for finding in check(module)]


# --- the repository holds the bar --------------------------------------------------------


@pytest.mark.parametrize("check", EVERYWHERE, ids=name_of)
def test_every_file_passes(check: checks.Check) -> None:
    assert "\n".join(findings(check, EVERYTHING)) == ""


@pytest.mark.parametrize("check", IN_PRODUCT, ids=name_of)
def test_every_shipped_file_passes(check: checks.Check) -> None:
    assert "\n".join(findings(check, PRODUCT)) == ""


def test_modules_import_each_other_in_one_direction() -> None:
    assert "\n".join(checks.import_cycles(PRODUCT)) == ""


def faults_of_functions(functions: Sequence[Function]) -> list[str]:
    """Return what is wrong with the sizes of functions."""
    faults = [
        f"{function.where}: {function.lines} lines, at most {MAX_FUNCTION_LINES}"
        for function in functions
        if function.lines > MAX_FUNCTION_LINES
    ]
    long = [function for function in functions if function.lines > LONG_FUNCTION_LINES]
    if len(long) > MAX_LONG_SHARE * len(functions):
        faults.append(f"{len(long)} of {len(functions)} functions are long:")
        faults += [f"{function.where}: {function.lines} lines" for function in long]
    short = sum(function.lines < SHORT_FUNCTION_LINES for function in functions)
    if short <= MIN_SHORT_SHARE * len(functions):
        faults.append(f"only {short} of {len(functions)} functions are short")
    return faults


def faults_of_files(modules: Sequence[Module]) -> list[str]:
    """Return what is wrong with the sizes of files."""
    sizes = {module.path: module.text.count("\n") for module in modules}
    faults = [
        f"{path}:1: {lines} lines, at most {MAX_FILE_LINES}"
        for path, lines in sizes.items()
        if lines > MAX_FILE_LINES
    ]
    small = sum(lines < SMALL_FILE_LINES for lines in sizes.values())
    if small <= MIN_SMALL_SHARE * len(sizes):
        faults.append(f"only {small} of {len(sizes)} files are small")
    return faults


@pytest.mark.parametrize("modules", [PRODUCT, EVERYTHING], ids=["product", "everything"])
def test_functions_are_short(modules: list[Module]) -> None:
    functions = [function for module in modules for function in module.measured_functions]
    assert "\n".join(faults_of_functions(functions)) == ""


@pytest.mark.parametrize("modules", [PRODUCT, EVERYTHING], ids=["product", "everything"])
def test_files_are_small(modules: list[Module]) -> None:
    assert "\n".join(faults_of_files(modules)) == ""


def layers_of_core() -> list[str]:
    """Return the modules that the layers contract names."""
    contracts = configparser.ConfigParser()
    contracts.read(REPOSITORY / ".importlinter", encoding="utf-8")
    text = contracts["importlinter:contract:layers"]["layers"]
    return [name.strip("()") for name in text.replace(":", " ").split()]


def outside_the_layers(modules: Sequence[Module], layers: Sequence[str]) -> list[str]:
    """Return the modules of core that no layer holds."""
    layers = [*layers, checks.TESTING]
    return [
        module.at(1, "belongs to no layer of .importlinter")
        for module in modules
        if module.name.startswith("operator_core.")
        and not any(f"{module.name}.".startswith(f"{layer}.") for layer in layers)
        and not (module.is_package and any(layer.startswith(module.name) for layer in layers))
    ]


def test_every_module_of_core_has_its_layer() -> None:
    assert "\n".join(outside_the_layers(PRODUCT, layers_of_core())) == ""


# --- each check finds what it is there for -----------------------------------------------


BAD: list[tuple[checks.Check, str]] = [
    (checks.missing_annotations, "def f(a) -> None: ..."),
    (checks.missing_annotations, "def f(*a) -> None: ..."),
    (checks.missing_annotations, "def f(*, a=1) -> None: ..."),
    (checks.missing_annotations, "async def f(a: int): ..."),
    (checks.missing_annotations, "class C:\n    def f(self, a) -> None: ..."),
    (checks.missing_annotations, "class C:\n    @staticmethod\n    def f(a) -> None: ..."),
    (checks.bare_type_ignores, "a = 1  # type:" + " ignore"),
    (checks.bare_type_ignores, "a = 1  # type:" + "ignore[]"),
    (checks.swallowed_errors, "try:\n    f()\nexcept Exception:\n    pass"),
    (checks.swallowed_errors, "try:\n    f()\nexcept (ValueError, BaseException):\n    ..."),
    (checks.swallowed_errors, "try:\n    f()\nexcept:\n    'nothing'"),
    (checks.swallowed_errors, "with contextlib.suppress(Exception):\n    f()"),
    (checks.unexplained_skips, "@pytest.mark.skip\ndef test_a() -> None: ..."),
    (checks.unexplained_skips, "@pytest.mark.skip()\ndef test_a() -> None: ..."),
    (checks.unexplained_skips, "@pytest.mark.skipif(True)\ndef test_a() -> None: ..."),
    (checks.unexplained_skips, "pytestmark = [pytest.mark.xfail]"),
    (checks.unexplained_skips, "pytest.skip()"),
    (checks.clock_reads, "import datetime\nnow = datetime.datetime.now()"),
    (checks.clock_reads, "from datetime import datetime as d\nread = d.utcnow"),
    (checks.clock_reads, "from datetime import date\ntoday = date.today()"),
    (checks.clock_reads, "from time import time\nnow = time()"),
    (checks.clock_reads, "import time\nnow = time.time()"),
    (checks.environment_reads, "import os\nhome = os.environ['HOME']"),
    (checks.environment_reads, "from os import getenv\nhome = getenv('HOME')"),
    (checks.testing_in_production, "from operator_core.testing import conformance"),
    (checks.testing_in_production, "from operator_core import testing"),
    (checks.testing_in_production, "def f() -> None:\n    import pytest"),
]

GOOD: list[tuple[checks.Check, str]] = [
    (checks.missing_annotations, "class C:\n    def f(self, a: int) -> None: ..."),
    (checks.missing_annotations, "class C:\n    @classmethod\n    def f(cls) -> None: ..."),
    (checks.bare_type_ignores, "a = 1  # type:" + " ignore[misc]"),
    (checks.swallowed_errors, "try:\n    f()\nexcept ValueError:\n    pass"),
    (checks.swallowed_errors, "try:\n    f()\nexcept Exception:\n    log()\n    raise"),
    (checks.unexplained_skips, "@pytest.mark.skip(reason='why')\ndef test_a() -> None: ..."),
    (checks.unexplained_skips, "@pytest.mark.skip('why')\ndef test_a() -> None: ..."),
    (checks.clock_reads, "import time\nnow = time.monotonic()"),
    (checks.clock_reads, "now = clock.now()"),
    (checks.environment_reads, "import os\nname = os.path.join('a', 'b')"),
    (checks.testing_in_production, "import operator_core.actions.types"),
    (checks.testing_in_production, "if TYPE_CHECKING:\n    import pytest"),
]


@pytest.mark.parametrize(("check", "text"), BAD)
def test_a_check_finds_the_fault_and_its_place(check: checks.Check, text: str) -> None:
    found = check(snippet(text))
    assert len(found) == 1
    assert found[0].startswith("packages/sample/src/operator_core/sample.py:")


@pytest.mark.parametrize(("check", "text"), GOOD)
def test_a_check_leaves_good_code_alone(check: checks.Check, text: str) -> None:
    assert check(snippet(text)) == []


@pytest.mark.parametrize(
    ("check", "owner", "text"),
    [
        (checks.clock_reads, "clock", "import time\nnow = time.time()"),
        (checks.environment_reads, "config", "import os\nhome = os.environ"),
        (checks.testing_in_production, "testing/kit", "import pytest"),
    ],
)
def test_the_owner_of_a_thing_may_use_it(check: checks.Check, owner: str, text: str) -> None:
    assert check(snippet(text, f"operator_core/{owner}.py")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from operator_core.db.actions import ActionDB", 1),
        ("from operator_core.actions import ActionExecutor", 1),
        ("def f() -> None:\n    import operator_core.runtime", 1),
        ("from operator_core.actions.types import ActionType", 0),
        ("from operator_core.subject import Subject", 0),
        ("import httpx", 0),
    ],
)
def test_a_plugin_sees_only_ground_words_and_ports(text: str, expected: int) -> None:
    found = checks.plugin_reaches_into_core(snippet(text, "operator_sample/client.py"))
    assert len(found) == expected


A_USES_B = "from operator_core.b import thing"
B_USES_A = "import operator_core.a"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (A_USES_B, B_USES_A, ["import cycle: operator_core.a <-> operator_core.b"]),
        (
            "from . import b",
            "from .a import x",
            ["import cycle: operator_core.a <-> operator_core.b"],
        ),
        (A_USES_B, f"def f() -> None:\n    {B_USES_A}", []),
        (A_USES_B, f"if TYPE_CHECKING:\n    {B_USES_A}", []),
        (A_USES_B, "", []),
    ],
)
def test_an_import_cycle_is_found(a: str, b: str, expected: list[str]) -> None:
    modules = [snippet(a, "operator_core/a.py"), snippet(b, "operator_core/b.py")]
    assert checks.import_cycles(modules) == expected


def test_lines_of_a_function_are_those_with_code() -> None:
    docstring = '    """Doc.\n\n    More.\n    """\n'
    text = f"def f(a: int) -> int:\n{docstring}\n    # why\n    return (\n        a\n    )\n"
    assert [function.lines for function in snippet(text).measured_functions] == [4]


def sized(*lines: int) -> list[Function]:
    """Return functions of these sizes."""
    return [Function("a.py:1: f", size) for size in lines]


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        (sized(5, 5, 5, 5, 5, 5, 5, 5, 5, 51), "51 lines, at most 50"),
        (sized(5, 5, 5, 26), "1 of 4 functions are long"),
        (sized(5, 15), "only 1 of 2 functions are short"),
    ],
)
def test_sizes_of_functions_can_fail(functions: list[Function], expected: str) -> None:
    assert any(expected in fault for fault in faults_of_functions(functions))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([401, 1, 1], "401 lines, at most 400"), ([250, 249], "only 1 of 2 files are small")],
)
def test_sizes_of_files_can_fail(sizes: list[int], expected: str) -> None:
    modules = [snippet("\n" * lines, f"operator_core/m{lines}.py") for lines in sizes]
    assert any(expected in fault for fault in faults_of_files(modules))


def test_a_module_without_a_layer_is_found() -> None:
    modules = [snippet("", "operator_core/new.py"), snippet("", "operator_core/db/rows.py")]
    assert len(outside_the_layers(modules, ["operator_core.db"])) == 1


def test_the_checks_see_the_repository() -> None:
    seen: Callable[[str], bool] = {module.path for module in EVERYTHING}.__contains__
    assert seen("packages/operator-core/src/operator_core/types.py")
    assert seen("tests/test_tidy.py")
