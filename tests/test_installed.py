"""What is to be installed: the lists of packages, and what `pip install .` installs, which is built offline
as pip does it, and used beside packages named as ours are."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
OWN_PACKAGES = ("data", "support", "report", "study", "training", "suite", "tests")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, made by the build backend that pyproject.toml names."""
    folder = tmp_path_factory.mktemp("wheel")
    backend = importlib.import_module(PROJECT["build-system"]["build-backend"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return folder / backend.build_wheel(str(folder))


def test_the_wheel_holds_leakage_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "leakage").glob("*.py")}
    assert names == modules | {"leakage/README.md"}


def test_what_leakage_imports_is_what_it_declares():
    declared = {requirement.partition(">=")[0] for requirement in PROJECT["project"]["dependencies"]}
    assert packages_imported_by((ROOT / "leakage").glob("*.py")) == declared


def packages_imported_by(paths):
    """What must be installed so that these files can be imported."""
    imported = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    return imported - sys.stdlib_module_names - {"leakage", "suite"}


LISTS = ("requirements.txt", "requirements/laplace.txt", "requirements/dask.txt")


def packages_in(name):
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return [re.match(r"[\w-]+", line).group() for line in lines if line and not line.startswith("-")]


def test_no_package_stands_in_two_lists():
    """Each list takes in the other; tests/requirements.txt names scikit-learn again, for Python 3.14."""
    names = [package for name in LISTS for package in packages_in(name)]
    assert len(names) == len(set(names))


def test_the_smaller_list_is_what_laplace_and_the_audit_import():
    paths = [ROOT / "laplace.py", *(ROOT / "leakage").glob("*.py"), *(ROOT / "suite/support").glob("*.py")]
    paths += (ROOT / "suite/report").glob("laplace_*.py")
    paths += [ROOT / f"suite/sources/{name}.py" for name in ("credit", "cleaning")]
    assert packages_imported_by(paths) == {
        name.replace("-", "_") for name in packages_in("requirements/laplace.txt")
    }


def test_it_audits_beside_packages_of_the_same_names_as_ours(wheel, tmp_path):
    """The user's own packages come first, as they do for a script in their folder."""
    site, own = tmp_path / "site", tmp_path / "own"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in OWN_PACKAGES:
        (own / name).mkdir(parents=True)
        (own / name / "__init__.py").write_text("OWN = True\n")
    generator = np.random.default_rng(0)
    np.save(own / "members.npy", generator.exponential(1, 2000))
    np.save(own / "others.npy", generator.exponential(1.5, 2000))
    (own / "use.py").write_text(
        f"import {', '.join(OWN_PACKAGES)}\n"
        "from leakage.audit import audit\n"
        "import leakage\n"
        "print(leakage.__file__)\n"
        "print(audit('members.npy', 'others.npy')['verdict'][0])\n"
        f"assert all(package.OWN for package in ({', '.join(OWN_PACKAGES)}))\n"
    )

    def start(*words):
        environment = os.environ | {"PYTHONPATH": str(site)}
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=own, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    module, answer = start("use.py")
    assert Path(module) == site / "leakage" / "__init__.py"
    assert answer.startswith("It leaks")
    assert start("-m", "leakage", "members.npy", "others.npy")[0] == answer
    assert {path.name for path in (own / "audit").iterdir()} == {
        "audit.html",
        "audit.json",
        "mia_audit.png",
    }
