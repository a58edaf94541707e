"""The house: which room may import which, read from all syntax trees, type-only imports included."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("mia", "laplace")
# What a room may import beside itself: rooms, or modules of them. The scripts may import all.
MAY_IMPORT = {
    "leakage": (),
    "suite.support": ("leakage.command_line", "leakage.output", "leakage.look"),  # no statistics
    "suite.sources": ("suite.support",),
    "suite.training": ("suite.sources", "suite.support"),
    "suite.jobs": ("suite.support",),
    "suite.study": ("leakage", "suite.support"),
    "suite.report": ("leakage", "suite.study", "suite.support"),
}


def modules():
    """Every module of the project by its name, tests, benchmarks and data/ left out."""
    files = [ROOT / f"{script}.py" for script in SCRIPTS]
    files += [path for package in ("leakage", "suite") for path in sorted((ROOT / package).rglob("*.py"))]
    names = (path.relative_to(ROOT).with_suffix("").parts for path in files)
    return {".".join(parts).removesuffix(".__init__"): path for parts, path in zip(names, files, strict=True)}


MODULES = modules()


def imports_of(path):
    """The modules of the project that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names & MODULES.keys()


IMPORTS = {name: imports_of(path) for name, path in MODULES.items()}


def within(name, room):
    return name == room or name.startswith(f"{room}.")


def room_of(name):
    return next((room for room in MAY_IMPORT if within(name, room)), None)


def test_every_module_stands_in_a_room():
    homeless = {name for name in MODULES if room_of(name) is None}
    assert homeless == {*SCRIPTS, "suite"}
    assert IMPORTS["suite"] == set()


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name)])
def test_imports_run_one_way(name):
    allowed = (room_of(name), *MAY_IMPORT[room_of(name)])
    assert {other for other in IMPORTS[name] if not any(within(other, place) for place in allowed)} == set()


def test_there_is_no_circle():
    """Takes away, again and again, all modules that import nothing that is left."""
    left = {name: imported - {name} for name, imported in IMPORTS.items()}
    while free := {name for name, imported in left.items() if not imported & left.keys()}:
        left = {name: imported for name, imported in left.items() if name not in free}
    assert left == {}


def test_nothing_else_can_be_imported_by_name():
    """Beside the tests, which are no part of what a reader puts on his path."""
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == {"leakage", "suite", "tests"}
    assert {path.stem for path in ROOT.glob("*.py")} == set(SCRIPTS)


@pytest.mark.parametrize(
    ("imported", "not_loaded"),
    [
        ("leakage.audit", {"tensorflow", "keras", "sklearn", "suite"}),
        ("suite.sources.cifar10, suite.sources.credit", {"tensorflow", "keras", "tensorflow_datasets"}),
        (", ".join(name for name in MODULES if within(name, "suite.study")), {"tensorflow", "keras"}),
        (", ".join(name for name in MODULES if within(name, "suite.report")), {"tensorflow", "keras"}),
        ("mia, laplace", {"tensorflow", "keras"}),
    ],
    ids=["audit", "sources", "study", "report", "scripts"],
)
def test_tensorflow_is_loaded_where_models_are_trained_alone(imported, not_loaded):
    code = f"import sys, {imported}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not_loaded & set(done.stdout.split()) == set()


def test_what_must_run_alone_stands_where_the_test_command_looks_for_it():
    """In one module, so that the second half of README's test command need not load all others."""
    marked = [
        path.name
        for path in (ROOT / "tests").glob("test_*.py")
        if "pytest.mark." + "alone" in path.read_text()
    ]
    [module] = marked
    assert f"pytest tests/{module} -m alone" in (ROOT / "README.md").read_text()
