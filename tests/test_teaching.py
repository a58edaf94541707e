"""TEACHING.md: its snippets run, its changes fit mia.py, and the numbers of its solutions are what they give.

The numbers of its trainings are not checked: they take minutes each.
"""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import laplace
import mia
from suite.sources.credit import describe_csv, load_column
from suite.training.repeatable import start_tensorflow

start_tensorflow(threads=2)  # before TensorFlow runs in this process: its threads cannot be set later
ROOT = Path(mia.__file__).parent
PAGE = (ROOT / "TEACHING.md").read_text()
SOLUTIONS = (ROOT / "lessons" / "solutions" / "exercises.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CHANGES = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
SAMPLE = ROOT / "data" / "credit_sample.csv"


def exercise(number):
    return PAGE.split(f"### {number}. ", 1)[1].split("\n### ", 1)[0]


def solution(number):
    return SOLUTIONS.split(f"### {number}. ", 1)[1].split("\n### ", 1)[0]


def changed(change):
    """mia.py with the added lines of a change, each after the line that stands before it there."""
    source, place = (ROOT / "mia.py").read_text(), 0
    for sign, line in ((line[:1], f"{line[1:]}\n") for line in change.splitlines()):
        if sign == "+":
            source = source[:place] + line + source[place:]
            place += len(line)
        else:
            place = source.index(f"\n{line}", place) + 1 + len(line)
    return source


@pytest.mark.parametrize("change", CHANGES, ids=["dropout", "half", "epsilon", "signal"])
def test_the_changes_fit_the_script(change, monkeypatch):
    module = types.ModuleType("mia_of_a_class")
    module.__file__ = str(ROOT / "mia.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(changed(change), "mia.py", "exec"), vars(module))
    names = {model.name for model in module.MODELS}
    assert len(names) > len(mia.MODELS)
    old = {row.name for row in mia.EXPERIMENTS}
    [experiment] = [row for row in module.EXPERIMENTS if row.name not in old]
    assert {name for pair in experiment.pairs for name in pair[:2]} <= names
    if "dropout" in change:
        [model] = [model for model in module.MODELS if model.dropout]
        layers = [type(layer).__name__ for layer in module.build(model, 0).layers]
        assert layers.count("Dropout") == model.dense


def test_the_change_of_signal_is_the_margin(monkeypatch):
    """As a loss between the two largest logits: of a network of known logits, whatever the true class is."""
    module = types.ModuleType("mia_of_a_class")
    module.__file__ = str(ROOT / "mia.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    [change] = [change for change in CHANGES if "signal" in change]
    exec(compile(changed(change), "mia.py", "exec"), vars(module))
    logits = np.array([[3.0, 1.0, 0.5], [-2.0, 4.0, 4.0]], np.float32)
    from suite.training import plain

    monkeypatch.setattr(plain, "judge_of", lambda network, images: lambda: logits)
    heads = mia.is_member(0, np.arange(50))
    ids = np.array([heads.argmax(), heads.argmin()])  # a member and another
    pool = module.Examples(images=None, labels=np.array([2, 0]), ids=ids)
    network = types.SimpleNamespace(count_params=lambda: 0)
    for signal, expected in (
        ("margin", np.log1p(np.exp([-2.0, 0.0]))),
        ("loss", mia.losses_from_logits(logits, pool.labels)),
    ):
        model = module.Model("tiny", 0, 1, classes=3, each=1, signal=signal)
        settings = module.settings_of(model, 0, 1, 1.0)
        judged = module.judged_training(settings, network, pool, lambda epoch: None, lambda: None)
        assert judged["losses"] == pytest.approx(np.array([expected, expected]))


def test_every_exercise_has_a_solution_and_folders_of_its_own():
    titles = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
    assert titles == re.findall(r"^### (.+)$", SOLUTIONS, re.MULTILINE)
    assert [title.partition(".")[0] for title in titles] == list("123456789")
    commands = re.findall(r"^\.venv/bin/python (?:laplace|mia)\.py .*$", PAGE, re.MULTILINE)
    folders = [re.search(r"--figures (figures/\w[\w.]*)$", command)[1] for command in commands]
    assert len(folders) == len(set(folders)) == 7


def test_the_numbers_of_another_epsilon(tmp_path, monkeypatch):
    monkeypatch.setattr(laplace, "study_figures", lambda study: {})
    results = laplace.main(data=SAMPLE, epsilon=0.1, iterations=10, figures=tmp_path).results
    scales = {result.data_set: result.scale for result in results if result.query == "average"}
    assert scales["as recorded"] == pytest.approx(20_000)
    assert scales["clamped"] == pytest.approx(160)
    assert f"from 12.1753 to {scales['private bound']:,.2f}" in solution(1)


def test_the_errors_of_other_bounds():
    """E|bias + noise| by hand: with Laplace noise of scale b it is |bias| + b exp(-|bias| / b)."""
    column = load_column(describe_csv(SAMPLE), "Annual_Income", month="December")
    values, usual = column.prepared.dataframe["Annual_Income"].to_numpy(float), column.usual.mean()
    rows = [re.findall(r"[\d,.]+", line) for line in solution(2).splitlines() if line.startswith("| ")]
    for bound, stated in zip(*rows, strict=True):
        upper = float(bound.replace(",", ""))
        bias, scale = abs(np.clip(values, 0, upper).mean() - usual), upper / len(values)
        assert stated == f"{bias + scale * np.exp(-bias / scale):,.2f}"


def test_one_seed_gives_an_income_away(capsys):
    with pytest.warns(laplace.PrivacyLeakWarning, match="equal seeds"):
        exec(SNIPPETS[0], {})
    said = [float(line.split(":")[1]) for line in capsys.readouterr().out.splitlines()]
    assert f"the income of {said[0]:,.0f}?" in exercise(3)
    assert said[1] == pytest.approx(said[0], abs=1e-3)
    # Of a million answers the mean is off by 400, its standard deviation being 1000 * sqrt(2) * 200 * sqrt(2)
    # / 1000; that it is by more than 3,000, seven of those, happens in one run of 10^11.
    assert said[-1] == pytest.approx(said[0], abs=3000)


def test_the_audit_of_a_forest(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(SNIPPETS[1], {})
    said = capsys.readouterr().out
    for name in ("accuracy", "in"):
        numbers = re.findall({"accuracy": r"accuracy ([\d.]+):", "in": r" in ([\d.]+%) of pairs"}[name], said)
        assert len(numbers) == 3
        assert f"{numbers[0]}, {numbers[1]} and {numbers[2]}" in solution(7)


def test_the_attacker_who_sees_the_steps_reaches_the_bound(monkeypatch, capsys):
    """Roundings of another processor may turn a few of 1,000 coins."""
    import tensorflow as tf

    from suite.training import adam

    [snippet] = [snippet for snippet in SNIPPETS if "Watched" in snippet]
    assert sum(bool(line.strip()) for line in snippet.splitlines()) <= 30
    monkeypatch.setattr(adam, "Adam", adam.Adam)  # the snippet replaces it
    try:
        exec(snippet, {"__name__": "exercise"})
    finally:
        tf.config.run_functions_eagerly(False)
    said = [float(line.split(":")[1]) for line in capsys.readouterr().out.splitlines()]
    stated = re.search(r"The loss (\d+), the steps (\d+); .* at most (\d+) on average", solution(8)).groups()
    loss, steps, proven = map(int, stated)
    assert round(said[0]) == proven
    assert said[1:] == pytest.approx([loss, steps], abs=5)
    assert loss < 600 < steps < proven
