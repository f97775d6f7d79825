"""What is built for others holds everything that is needed to run, scenarios too."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
BIN = Path(sys.executable).parent
BUILD = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
LIST = """
import json, operator_lab, operator_tikv
from operator_tikv.lab import TikvLab
from operator_tikv.simulator.scenario import build, read_scenario
from operator_lab.scenario import load_scenario
paths = sorted(TikvLab.scenarios.glob("*.toml"))
found = load_scenario(paths[0])
build(read_scenario({**found.table, "name": found.name, "duration": found.duration})).advance(600)
files = [operator_lab.__file__, operator_tikv.__file__, *map(str, paths)]
print(json.dumps({"files": files, "scenarios": list(map(str, paths))}))
"""

pytestmark = pytest.mark.real


def build(package: Path, folder: Path) -> Path:
    """Build the wheel of a package with the backend that its `pyproject.toml` names."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=package,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each package."""
    folder = tmp_path_factory.mktemp("wheels")
    return {package.name: build(package, folder) for package in PACKAGES}


def test_a_wheel_has_every_file_of_its_package(wheels: dict[str, Path]) -> None:
    for package in PACKAGES:
        source = package / "src"
        wanted = {
            path.relative_to(source).as_posix()
            for path in source.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        with zipfile.ZipFile(wheels[package.name]) as wheel:
            assert wanted <= set(wheel.namelist()), package.name


def test_the_scenarios_are_found_where_only_wheels_are(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", LIST],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert all(Path(path).is_relative_to(tmp_path) for path in told["files"])
    shipped = {path.name for path in ROOT.glob("packages/operator-tikv/src/**/scenarios/*.toml")}
    assert len(shipped) > 50
    assert shipped <= {Path(path).name for path in told["scenarios"]}
