"""The notebooks in lessons/: their solutions run from top to bottom, and differ from them in the gaps alone.

Cells are run without Jupyter, one after the other, in a process that shares a namespace between them.
"""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LESSONS = ROOT / "lessons"
NAMES = sorted(path.stem for path in LESSONS.glob("*.ipynb"))
TASK = "# your turn: "
without_tensorflow = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs TensorFlow")

# Cells from standard input, a list in JSON. Those of lesson two get made-up images: of each class a pattern
# beneath noise, and two thirds of the labels are wrong, so that they can only be learnt by heart.
RUNNER = """
import contextlib, copy, json, sys
import numpy as np
from suite.sources import cifar10

def made_up():
    generator = np.random.default_rng(0)
    classes, wrong = generator.integers(0, 10, (2, 4_000)).astype(np.uint8)
    patterns = generator.normal(128, 10, (10, 32, 32, 3))
    images = (patterns[classes] + generator.normal(0, 40, (4_000, 32, 32, 3))).clip(0, 255).astype(np.uint8)
    labels = np.where(generator.random(4_000) < 2 / 3, wrong, classes)
    return cifar10.Cifar10(images, labels, images[:10], labels[:10])

cifar10.load_cifar10 = made_up
cells, wrong = json.load(sys.stdin)
namespace = {}
for number, cell in enumerate(cells):
    for filled in wrong.get(str(number), []):
        # In a copy of all that stands so far, generator included, so that the lesson goes on as without it.
        copied = {**namespace, "rng": copy.deepcopy(namespace["rng"])}
        try:
            with contextlib.redirect_stdout(None):
                exec(compile(filled, "wrong", "exec"), copied)
                exec(compile(cells[number + 1], "check", "exec"), copied)
        except Exception as problem:
            told = str(problem)
            if "..." in filled and ("ellipsis" in told or "fill the gap" in told):
                continue
            if "..." not in filled and isinstance(problem, AssertionError):
                continue
        print("NOT STOPPED:", filled)
    exec(compile(cell, f"cell {number}", "exec"), namespace)
"""
# Of each gap, wrong lines beside the right one. The check below must stop at each.
WRONG = {
    "1_noise": {
        "found = n * (with_her - without_her)": [
            "found = with_her - without_her",
            "found = n * (without_her - with_her)",
        ],
        "of_sum = upper - lower": ["of_sum = n * (upper - lower)"],
        "of_average = (upper - lower) / n": ["of_average = upper - lower"],
        "of_maximum = upper - lower": ["of_maximum = (upper - lower) / n"],
        "sensitivity = (upper - lower) / len(values)": [
            "sensitivity = upper - lower",
            "sensitivity = upper / len(values)",
        ],
        "return truth + rng.laplace(0, sensitivity / epsilon, times)": [
            "return truth + rng.laplace(0, sensitivity / epsilon)",
            "return truth + np.abs(rng.laplace(0, sensitivity / epsilon, times)).mean()",
            "return truth + np.full(times, rng.laplace(0, sensitivity / epsilon))",
            "return truth + rng.laplace(0, sensitivity, times)",
            "return truth + rng.laplace(0, sensitivity * epsilon, times)",
            "return values.mean() + rng.laplace(0, sensitivity / epsilon, times)",
            "return truth + rng.normal(0, sensitivity / epsilon, times)",
        ],
        "ratio = density(answers, rich) / density(answers, poor)": [
            "ratio = density(answers, poor) / density(answers, rich)",
            "ratio = density(answers, rich) - density(answers, poor)",
            "ratio = density(answers, rich)",
        ],
        "guess_rich = answers > (poor + rich) / 2": [
            "guess_rich = answers > rich",
            "guess_rich = answers > poor",
            "guess_rich = answers < (poor + rich) / 2",
        ],
        "bias = incomes.clip(0, bound).mean() - usual": [
            "bias = usual - incomes.clip(0, bound).mean()",
            "bias = incomes.mean() - usual",
            "bias = incomes.clip(0, bound).mean() - incomes.mean()",
        ],
        "noise = bound / n / epsilon": ["noise = bound / epsilon", "noise = 200_000 / n / epsilon"],
        "return n * (with_her.mean() - without_her.mean())": [
            "return with_her.mean() - without_her.mean()",
            "return n * (without_her.mean() - with_her.mean())",
            "return n * with_her.mean()",
        ],
        "return answers * 2.0**53 % 1 != 0": [
            "return answers * 2.0**53 % 1 == 0",
            "return answers * 2.0**52 % 1 != 0",
            "return answers < 0",
            "return answers != 1",
        ],
    },
    "2_members": {
        "return np.logaddexp.reduce(logits, axis=1) - of_true_class": [
            "return of_true_class - np.logaddexp.reduce(logits, axis=1)",
            "return -of_true_class",
        ],
        "threshold = 1.0": ["threshold = 1e-6", "threshold = 1e6"],
        "called = losses < threshold": ["called = losses > threshold", "called = losses.mean() < threshold"],
        "return (scores[member][:, None] < scores[~member]).mean()": [
            "return (scores[member][:, None] > scores[~member]).mean()",
            "return float(scores[member].mean() < scores[~member].mean())",
        ],
        "other_coins = rng.random(COUNT) < 0.5": ["other_coins = member", "other_coins = called"],
        "threshold = np.quantile(scores[~member], 0.01)": [
            "threshold = np.quantile(scores[member], 0.01)",
            "threshold = np.quantile(scores, 0.01)",
            "threshold = np.quantile(scores[~member], 0.99)",
            "threshold = np.quantile(scores[~member], 0.1)",
        ],
        "return (scores[member] < threshold).mean()": [
            "return (scores[~member] < threshold).mean()",
            "return (scores[member] > threshold).mean()",
        ],
        "calibrated = losses - reference_losses.mean(axis=0)": [
            "calibrated = losses - reference_losses.mean()",
            "calibrated = losses",
            "calibrated = reference_losses.mean(axis=0) - losses",
            "calibrated = losses - reference_losses[0]",
        ],
        "of_members = forest.predict_proba(digits[is_member])": [
            "of_members = forest.predict_proba(digits[~is_member])",
            "of_members = forest.predict(digits[is_member])",
        ],
        "of_others = forest.predict_proba(digits[~is_member])": [
            "of_others = forest.predict_proba(digits[is_member])",
            "of_others = forest.predict_proba(digits)",
        ],
        "leaf = 20": ["leaf = 1", "leaf = 800"],
    },
}


def notebook(path):
    return json.loads(path.read_text())


def source_of(cell):
    return "".join(cell["source"])


def code_of(path):
    return [source_of(cell) for cell in notebook(path)["cells"] if cell["cell_type"] == "code"]


def run(cells, absent=(), wrong=()):
    """Runs the cells where the packages `absent` cannot be imported. `wrong`: by the number of a cell, others
    that are tried in its place; "NOT STOPPED" is printed of those that the next cell lets pass."""
    code = f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n{RUNNER}"
    environment = os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command,
        cwd=LESSONS / "solutions",
        env=environment,
        input=json.dumps([cells, dict(wrong)]),
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_are_two_and_a_solution_of_each():
    assert NAMES == ["1_noise", "2_members"]
    assert sorted(path.stem for path in (LESSONS / "solutions").glob("*.ipynb")) == NAMES


@pytest.mark.parametrize(
    "path", [*LESSONS.rglob("*.ipynb")], ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_change_can_be_read_as_a_diff(path):
    """No outputs, no counts, and a line of the file for each line of a cell; cells of at most 25 lines."""
    content = notebook(path)
    assert path.read_text() == json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    for cell in content["cells"]:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None
        assert all(line.count("\n") <= 1 for line in cell["source"])
        assert len(cell["source"]) <= 25
    assert "you can\n\n- " in source_of(content["cells"][0])


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_fills_the_gaps_and_changes_nothing_else(name):
    lesson, solution = (notebook(folder / f"{name}.ipynb") for folder in (LESSONS, LESSONS / "solutions"))
    assert len(lesson["cells"]) == len(solution["cells"])
    for asked, solved in zip(lesson["cells"], solution["cells"], strict=True):
        assert asked["cell_type"] == solved["cell_type"]
        question, answer = source_of(asked), source_of(solved)
        if asked["cell_type"] == "markdown":
            assert question.replace("(solutions/", "(").replace("(../", "(../../") == answer
            continue
        assert (TASK in question) == ("..." in question)
        pattern = re.escape(question).replace(re.escape("..."), "([^.\n].*)")
        assert re.fullmatch(pattern, answer)
    gaps = sum(source_of(cell).count("...") for cell in lesson["cells"] if cell["cell_type"] == "code")
    assert gaps >= 9


def wrong_cells(name, cells):
    """The cells with a gap by their number, each with every wrong line in the place of the right one, and the
    gap as it was left, of which the first page says how Python complains."""
    found = {}
    for right, wrong in WRONG[name].items():
        [number] = [number for number, cell in enumerate(cells) if f"{right}\n" in f"{cell}\n"]
        left = re.sub(r"(= |return ).*", r"\1...", right, count=1)
        lines = [*wrong, left]
        found.setdefault(number, []).extend(cells[number].replace(right, line) for line in lines)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_gap_has_wrong_lines(name):
    lesson, solution = (code_of(folder / f"{name}.ipynb") for folder in (LESSONS, LESSONS / "solutions"))
    assert set(wrong_cells(name, solution)) == {k for k, cell in enumerate(lesson) if TASK in cell}


def test_lesson_one_runs_without_tensorflow_and_scikit_learn():
    """And its checks stop at what is wrong."""
    cells = code_of(LESSONS / "solutions" / "1_noise.ipynb")
    absent = ("tensorflow", "keras", "sklearn")
    done = run(cells, absent, wrong_cells("1_noise", cells))
    assert done.returncode == 0, done.stderr
    assert "NOT STOPPED" not in done.stdout
    assert "Ada earns 81,428.11: an exact average hides nothing." in done.stdout
    # A million answers: the standard deviation is 400, as the cell says.
    found = re.search(r"1,000,000 answers: +([\d,]+), \+- 400 ", done.stdout)
    assert abs(int(found[1].replace(",", "")) - 81_428) < 2_800
    shares = re.findall(r"Ada is (\w+): ([\d.]+)% of the answers prove", done.stdout)
    assert [name for name, _ in shares] == ["healthy", "ill"] * 2
    assert 20 < float(shares[0][1]) < 30  # "a quarter"
    assert [share for _, share in shares[1:]] == ["0.0"] * 3
    assert done.stderr.count("PrivacyLeakWarning") == 1


def test_a_gap_that_is_left_stops_the_notebook():
    """At the first check, or before it."""
    lesson = code_of(LESSONS / "1_noise.ipynb")
    first = next(number for number, cell in enumerate(lesson) if TASK in cell)
    assert run(lesson[: first + 2]).returncode == 1


@without_tensorflow
def test_lesson_two_runs():
    """And its checks stop at what is wrong."""
    cells = code_of(LESSONS / "solutions" / "2_members.ipynb")
    done = run(cells, wrong=wrong_cells("2_members", cells))
    assert done.returncode == 0, done.stderr
    assert "NOT STOPPED" not in done.stdout
    assert done.stdout.count("It leaks") + done.stdout.count("No leak can be shown") == 2


def test_part_three_of_lesson_two_runs_without_tensorflow():
    cells = notebook(LESSONS / "solutions" / "2_members.ipynb")["cells"]
    start = next(number for number, cell in enumerate(cells) if "## Part three" in source_of(cell))
    code = [source_of(cell) for cell in [*cells[:4], *cells[start:]] if cell["cell_type"] == "code"]
    done = run(code, absent=("tensorflow", "keras"))
    assert done.returncode == 0, done.stderr
    [plain, careful] = re.findall(r"in ([\d.]+)% of pairs", done.stdout)
    assert float(plain) > 60 > float(careful)
