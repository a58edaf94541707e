"""What a notebook shows of a study, and what it runs. IPython is not needed: it has a stand-in here."""

import base64
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure
from PIL import Image

import laplace
import mia
from leakage.command_line import BadInput, OneLineParser, run
from suite.support.notebook import figures_html, show_figures

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def figures():
    """Two, told apart by their width in pixels; a name may hold what HTML would take for a mark."""
    return {
        "wide & first.png": Figure(figsize=(3, 1), dpi=100),
        '"narrow".png': Figure(figsize=(2, 1), dpi=100),
    }


def test_figures_are_images_in_their_order(figures):
    images = re.findall(
        r'<img alt="([^"]+)" [^<]* src="data:image/png;base64,([^"]+)">', figures_html(figures)
    )
    assert [name for name, _ in images] == ["wide &amp; first.png", "&quot;narrow&quot;.png"]
    for (_, content), figure in zip(images, figures.values(), strict=True):
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert image.format == "PNG"
            assert image.size == tuple(figure.get_size_inches() * 100)


@pytest.fixture
def shell(monkeypatch):
    """IPython's shell in a notebook, and `shown`: how many pictures each thing that it showed has."""
    shown = []
    publisher = SimpleNamespace(publish=lambda content: shown.append(content["text/html"].count("<img")))
    shell = SimpleNamespace(kernel="a kernel", display_pub=publisher, shown=shown)
    # matplotlib asks for the version, and then leaves the shell alone.
    ipython = SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return shell


@pytest.mark.parametrize(("kernel", "shown"), [("a kernel", [2]), (None, [])], ids=["notebook", "terminal"])
def test_they_are_shown_in_a_notebook_and_not_in_a_terminal(figures, shell, kernel, shown):
    shell.kernel = kernel
    show_figures(figures)
    show_figures({})
    assert shell.shown == shown


def test_laplace_shows_its_figures(figures, shell, tmp_path, monkeypatch, capsys):
    drawn = {f"{number}.png": figure for number, figure in enumerate(figures.values())}
    monkeypatch.setattr(laplace, "study_figures", lambda study: drawn)
    study = laplace.main(data=ROOT / "data" / "credit_sample.csv", iterations=10, figures=tmp_path)
    assert study.figures == drawn
    assert shell.shown == [2]


def test_each_act_of_mia_shows_its_figures(shell, tmp_path, capsys):
    mia.write(tmp_path, SimpleNamespace(files=dict), {"act_one.png": Figure(figsize=(1, 1))})
    mia.write(tmp_path, SimpleNamespace(files=dict), {"act_two.png": Figure(figsize=(1, 1))})
    assert shell.shown == [1, 1]


def test_bad_input_is_one_line_and_no_traceback(shell, capsys):
    """From a call in a cell, and by %run: from the study, and from the command line's words. What IPython
    shows of an exception is what its method `_render_traceback_` gives."""

    def study():
        raise BadInput("the column\nis not there; name another")

    parser = OneLineParser(prog="a.py")
    calls = {
        "the column is not there; name another": lambda: run("a.py", study),
        "unrecognized arguments: --nothing; see --help": lambda: parser.parse_args(["--nothing"]),
        "epsilon 5000 promises nothing; take one of at most 1000": lambda: laplace.main(epsilon=5000),
    }
    for line, call in calls.items():
        with pytest.raises(BadInput) as caught:
            call()
        assert caught.value._render_traceback_() == [f"BadInput: {line}"]
    assert capsys.readouterr() == ("", "")


def test_outside_of_ipython_nothing_is_shown(figures, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    show_figures(figures)
    # Something may have loaded IPython without running in it.
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    show_figures(figures)
    assert capsys.readouterr() == ("", "")


# ----------------------------------------------------------------------------- files edited between two cells

# What a notebook's %run does, without IPython: the file becomes the main module for as long as it runs.
PERCENT_RUN = """
import importlib, sys
from pathlib import Path
from types import ModuleType
from suite.support.command_line import BadInput

def percent_run(file, *arguments):
    script, main_module, words = ModuleType("__main__"), sys.modules["__main__"], sys.argv
    script.__file__ = str(Path(file).resolve())
    sys.modules["__main__"], sys.argv = script, [file, *arguments]
    try:
        exec(compile(Path(file).read_text(), script.__file__, "exec"), vars(script))
    except SystemExit:
        pass
    finally:
        sys.modules["__main__"], sys.argv = main_module, words
    return script

def edit(file, old, new):
    text = Path(file).read_text()
    assert text.count(old) == 1
    Path(file).write_text(text.replace(old, new))

def said(call, *arguments, **options):
    try:
        return call(*arguments, **options)
    except BadInput as problem:
        return str(problem)
"""
SCRIPT = """
from pathlib import Path
from suite.jobs.lab import Call, Lab
FACTOR = 2
def answer(number):
    return {"value": FACTOR * number}
def main():
    with Lab([Path("kept")], 1) as lab:
        return lab.do("answers", [Call("answer", answer, (3,))])["answer"].read()["value"]
if __name__ == "__main__":
    value = main()
"""


@pytest.fixture
def cells(tmp_path):
    """Runs lines as the cells of a notebook in a copy of this project, in which there is a small script
    too; returns what they printed last."""
    for folder in ("leakage", "suite"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mia.py", tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)

    def run(*lines):
        code = "\n".join([PERCENT_RUN, *lines])
        # -B: compiled code would hide an edit of the same length within the same second.
        command = [sys.executable, "-B", "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    return run


EDIT = "edit('script.py', 'FACTOR = 2', 'FACTOR = 5')"
BACK = "edit('script.py', 'FACTOR = 5', 'FACTOR = 2')"


def test_a_second_run_runs_the_edited_file(cells):
    """And a third, of the file as it was, has nothing to do."""
    lines = ["values = [percent_run('script.py').value]", EDIT, "values += [percent_run('script.py').value]"]
    lines += [BACK, "values += [percent_run('script.py').value, len(list(Path('kept').iterdir()))]"]
    assert cells(*lines, "print(values)") == "[6, 15, 6, 2]"


def test_a_module_that_was_reloaded_runs_the_edited_file(cells):
    lines = ["import script", "values = [script.main()]", EDIT, "importlib.reload(script)"]
    assert cells(*lines, "print([*values, script.main()])") == "[6, 15]"


DIFFERS = "FACTOR is not what script.py says: write the change into the file, then restart Python or reload"
NO_FILE = "is no function of a file of this project: write it into one, and restart Python"


@pytest.mark.parametrize(
    ("first", "then", "words", "kept"),
    [
        ("import script", EDIT, DIFFERS, 0),
        ("script = percent_run('script.py')", EDIT, DIFFERS, 1),
        ("import script", "script.FACTOR = 5", DIFFERS, 0),
        ("script = percent_run('script.py')", "script.FACTOR = 5", DIFFERS, 1),
        ("import script", "script.answer = lambda number: {'value': 0}", f"<lambda> {NO_FILE}", 0),
    ],
    ids=["imported, edited", "run, edited", "imported, replaced", "run, replaced", "another function"],
)
def test_what_is_not_what_the_file_says_is_refused(cells, first, then, words, kept):
    """Neither the old nor the new is run, and nothing is kept but what was before."""
    lines = [first, then, "print(said(script.main), len(list(Path('kept').glob('*.npz'))))"]
    printed = cells(*lines)
    assert printed.startswith(words)
    assert printed.endswith(f" {kept}")


# Few images: all that it takes to see which network was trained.
TINY = """
import numpy as np
from suite.sources.cifar10 import Cifar10
labels = np.repeat(np.arange(10, dtype=np.uint8), 60)
images = np.random.default_rng(0).integers(0, 256, (600, 32, 32, 3), np.uint8)
data = Cifar10(images, labels, images[:10], labels[:10])

def parameters(script):
    script.MODELS = [script.Model("tiny", convolutional=0, dense=1, classes=2, each=60)]
    script.EXPERIMENTS = []
    study = script.main(epochs=1, trainings=2, jobs=1, data=data, figures="figures", kept_in="kept")
    return study.results["parameters"].unique().tolist()
"""


def test_mia_run_again_after_an_edit_trains_the_edited_network(cells):
    """In the two cells `%run mia.py --help` and `main(...)`, twice."""
    lines = [TINY, "values = parameters(percent_run('mia.py', '--help'))"]
    lines += ["edit('mia.py', 'FILTERS, UNITS = 32, 64', 'FILTERS, UNITS = 32, 8')"]
    lines += ["values += parameters(percent_run('mia.py', '--help'))", "print(values)"]
    by_units = [3072 * units + units + 2 * units + 2 for units in (64, 8)]
    assert cells(*lines) == str(by_units)
