"""training/code.py: a digest that sees the code that decides a result, and nothing else.

The project is copied, changed in one place, and its digests are compared with those of the copy as it was.
"""

import shutil
from pathlib import Path

import pytest

from suite.jobs.code import code_digest, key_of

ROOT = Path(__file__).resolve().parents[1]
TRAINING = ("mia.train_cell", "mia.plain_trainer")
PRIVATE = ("mia.train_cell", "mia.private_trainer")
FINDINGS = ("suite.study.findings.findings_of_kind",)


@pytest.fixture
def copy(tmp_path):
    for folder in ("training", "leakage", "support", "data", "study", "report"):
        target = tmp_path / folder
        target.mkdir()
        for path in (ROOT / folder).glob("*.py"):
            shutil.copy(path, target)
    shutil.copy(ROOT / "mia.py", tmp_path)
    return tmp_path


def digests(names, root, known="data"):
    return [code_digest(name, known, root) for name in names]


def edited(copy, file, old, new):
    """Another copy, in which `old` stands no longer, and `new` stands in its place."""
    other = copy.parent / f"{copy.name}_edited"
    shutil.copytree(copy, other)
    text = (other / file).read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
    (other / file).write_text(text.replace(old, new))
    return other


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mia.py", "stack += [layers.Flatten()]", "stack += [layers.Flatten(), layers.Dropout(0.5)]"),
        ("mia.py", "FILTERS, UNITS = 32, 64", "FILTERS, UNITS = 32, 65"),
        ("mia.py", "return np.logaddexp(0.0,", "return 2 * np.logaddexp(0.0,"),
        ("training/plain.py", "np.random.default_rng([seed, epoch])", "np.random.default_rng([seed])"),
        ("training/adam.py", "BETA_1, BETA_2, EPSILON = 0.9,", "BETA_1, BETA_2, EPSILON = 0.8,"),
        (
            "training/members.py",
            "np.flatnonzero(labels == label)[:each]",
            "np.flatnonzero(labels == label)[-each:]",
        ),
        ("training/repeatable.py", '"TF_ENABLE_ONEDNN_OPTS": "1"', '"TF_ENABLE_ONEDNN_OPTS": "0"'),
    ],
    ids=["network", "constant", "loss", "training step", "optimizer", "membership", "environment"],
)
def test_what_decides_the_losses_trains_anew(copy, file, old, new):
    other = edited(copy, file, old, new)
    assert digests(TRAINING, copy) != digests(TRAINING, other)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mia.py", "# Each layer gets a seed of its own.", "# A seed for each layer."),
        ("mia.py", '"""The untrained network:', '"""The network before training:'),
        ("training/plain.py", "LOGIT_SLICE = 100  # images", "LOGIT_SLICE = 100  # pictures"),
        ("mia.py", "def command_line() -> None:", "def command_line(unused: int = 0) -> None:"),
        ("leakage/estimates.py", "FEWEST_ACCUSED = 10", "FEWEST_ACCUSED = 11"),
        ("training/private.py", "CLIPPING_NORM = 1.0", "CLIPPING_NORM = 2.0"),
        ("data/cifar10.py", "ANSWER_SECONDS = 6", "ANSWER_SECONDS = 7"),
    ],
    ids=[
        "comment",
        "docstring",
        "comment of a constant",
        "another function",
        "statistics",
        "privacy",
        "data",
    ],
)
def test_what_does_not_decide_them_trains_nothing(copy, file, old, new):
    other = edited(copy, file, old, new)
    assert digests(TRAINING, copy) == digests(TRAINING, other)


def test_each_result_sees_its_own_code(copy):
    private = edited(copy, "training/private.py", "CLIPPING_NORM = 1.0", "CLIPPING_NORM = 2.0")
    assert digests(PRIVATE, copy) != digests(PRIVATE, private)
    shutil.rmtree(private)
    statistics = edited(copy, "leakage/contrasts.py", "2 * minuend.covariance(subtrahend)", "0")
    assert digests(FINDINGS, copy) == digests(FINDINGS, statistics)  # a contrast is none of a kind's
    pair = ("suite.study.findings.findings_of_pair",)
    assert digests(pair, copy) != digests(pair, statistics)


def test_a_key_changes_with_recipe_code_and_libraries():
    key = key_of({"seed": 1}, ["mia.train_cell"], ["numpy"])
    assert key == key_of({"seed": 1}, ["mia.train_cell"], ["numpy"])
    others = {
        key_of({"seed": 2}, ["mia.train_cell"], ["numpy"]),
        key_of({"seed": 1}, ["mia.attack"], ["numpy"]),
        key_of({"seed": 1}, ["mia.train_cell"], ["numpy", "scipy"]),
        key_of({"seed": 1}, ["mia.train_cell"], ["numpy"], known="data"),
    }
    assert len(others | {key}) == 5
