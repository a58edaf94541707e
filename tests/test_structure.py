"""The house: which room may import which, read from all syntax trees, type-only imports included."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("support", "data", "training", "leakage", "report", "study")
MAY_IMPORT = {
    "support": set(),
    "data": {"support"},
    "training": {"data", "support"},
    "leakage": {"support"},
    "report": {"leakage", "support"},
    "study": {"report", "leakage", "training", "data", "support"},
}
SCRIPTS = ("mia", "laplace")
# The processes of the workers find the functions of the script by its name; and a script started by hand
# hands over to its own module.
NAMES_ITSELF = {"mia": {"mia"}}


def modules():
    """Every module of the project by its name, tests and benchmarks left out."""
    files = [*(ROOT / f"{script}.py" for script in SCRIPTS)]
    files += [path for room in ROOMS for path in sorted((ROOT / room).glob("*.py"))]
    names = (path.relative_to(ROOT).with_suffix("").parts for path in files)
    return {".".join(parts).removesuffix(".__init__"): path for parts, path in zip(names, files, strict=True)}


def imports_of(name, path):
    """The modules of the project that a module imports, wherever in it."""
    known, found = modules(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {one for one in found if one in known}


IMPORTS = {name: imports_of(name, path) for name, path in modules().items()}


@pytest.mark.parametrize("name", IMPORTS)
def test_imports_run_one_way(name):
    room = name.split(".")[0]
    allowed = MAY_IMPORT.get(room, set(ROOMS)) | {room}
    foreign = {one for one in IMPORTS[name] if one.split(".")[0] not in allowed}
    assert foreign - NAMES_ITSELF.get(name, set()) == set()


def test_there_is_no_circle():
    """Takes away, again and again, all modules that import nothing that is left."""
    left = {name: found - NAMES_ITSELF.get(name, set()) - {name} for name, found in IMPORTS.items()}
    # A module of a package is looked for in it, so that it counts as importing the package's face.
    while free := {name for name, found in left.items() if not found & left.keys()}:
        left = {name: found for name, found in left.items() if name not in free}
    assert left == {}


def test_leakage_loads_neither_tensorflow_nor_the_images(tmp_path):
    """In a process of its own, with all of leakage imported but what draws an audit's report."""
    import subprocess

    code = (
        "import sys; from leakage import Losses, calibrated, measure_leakage, paired_contrast\n"
        "import suite.study.findings, leakage.audit\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'tensorflow', 'keras', 'data', 'training', 'report', 'mia', 'sklearn'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_scripts_hand_on_the_names_of_leakage():
    import leakage
    import mia

    for name in ("Losses", "measure_leakage", "paired_contrast"):
        assert getattr(mia, name) is getattr(leakage, name)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_can_be_read_in_one_sitting(script):
    assert len((ROOT / f"{script}.py").read_text().splitlines()) <= 450


def test_what_must_run_alone_stands_where_the_test_command_looks_for_it():
    """In one module, so that the second half of README's test command need not load all others."""
    marked = [
        path.name
        for path in (ROOT / "tests").glob("test_*.py")
        if "pytest.mark." + "alone" in path.read_text()
    ]
    [module] = marked
    assert f"pytest tests/{module} -m alone" in (ROOT / "README.md").read_text()
