"""suite/jobs/code.py: a digest that sees the code that decides a result and nothing else, and the refusal to
run other code than the files say.

For the digests the project is copied, changed in one place, and compared with the copy as it was.
"""

import functools
import importlib
import shutil
import sys
from pathlib import Path

import pytest

import mia
from leakage import estimates
from suite.jobs.code import code_digest, forget_digests, key_of, name_of, refuse_code_that_differs
from suite.support.command_line import BadInput
from suite.training import members

ROOT = Path(__file__).resolve().parents[1]
PLAIN, PRIVATE = "mia.train_plainly", "mia.train_privately"
KIND, PAIR = "suite.study.findings.describe_kind", "suite.study.findings.compare_kinds"
ATTACK, NETWORKS = "mia.attack_trainings", "mia.check_networks"
ALL = (PLAIN, PRIVATE, ATTACK, KIND, PAIR, NETWORKS)


@pytest.fixture
def copy(tmp_path):
    for folder in ("leakage", "suite"):
        for path in (ROOT / folder).rglob("*.py"):
            target = tmp_path / "copy" / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    shutil.copy(ROOT / "mia.py", tmp_path / "copy")
    return tmp_path / "copy"


def edit(root, file, old, new):
    """Puts `new` in the place of `old`, which stands there once."""
    text = (root / file).read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
    (root / file).write_text(text.replace(old, new))


def changed(copy, file, old, new):
    """Which of ALL have another digest after the edit."""
    before = {name: code_digest(name, copy) for name in ALL}
    edit(copy, file, old, new)
    forget_digests()
    return {name for name in ALL if code_digest(name, copy) != before[name]}


# --------------------------------------------------------------------------------------------------- digests


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mia.py", "stack += [layers.Flatten()]", "stack += [layers.Flatten(), layers.Dropout(0.5)]"),
        ("mia.py", "FILTERS, UNITS = 32, 64", "FILTERS, UNITS = 32, 65"),
        ("mia.py", "return np.logaddexp(0.0,", "return 2 * np.logaddexp(0.0,"),
        ("suite/training/adam.py", "BETA_1, BETA_2, EPSILON = 0.9,", "BETA_1, BETA_2, EPSILON = 0.8,"),
        ("suite/training/members.py", "generator.random(count) < 0.5", "generator.random(count) < 0.6"),
        (
            "suite/training/members.py",
            "np.flatnonzero(labels == label)[:each]",
            "np.flatnonzero(labels == label)[-each:]",
        ),
        (
            "suite/training/repeatable.py",
            '"TF_ENABLE_ONEDNN_OPTS": "1"',
            '"TF_ENABLE_ONEDNN_OPTS": "0"',
        ),
    ],
    ids=["network", "constant", "loss", "optimizer", "coins", "pool", "environment"],
)
def test_what_decides_all_losses_trains_all_anew(copy, file, old, new):
    assert {PLAIN, PRIVATE} <= changed(copy, file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "suite/training/plain.py",
            "np.random.default_rng([seed, epoch])",
            "np.random.default_rng([seed])",
            {PLAIN},
        ),
        ("mia.py", "parts=2 if settings.model", "parts=1 if settings.model", {PLAIN}),
        (
            "suite/training/private.py",
            "CLIPPING_NORM = 1.0",
            "CLIPPING_NORM = 2.0",
            {PRIVATE},
        ),
        (
            "suite/training/private.py",
            "def refuse_layers(network: ",
            "def refuse_layers(graph: ",
            {PRIVATE, NETWORKS},
        ),
        ("mia.py", "return losses < threshold", "return losses <= threshold", {ATTACK}),
        ("suite/study/findings.py", "accuracies[index] >= goal]", "accuracies[index] > goal]", {PAIR}),
        (
            "suite/study/memorisation.py",
            "of_pairs.append(outside - inside)",
            "of_pairs.append(inside)",
            {KIND},
        ),
        ("leakage/contrasts.py", "if low <= 0 <= high:", "if low < 0 < high:", {PAIR}),
    ],
    ids=["order", "parts", "clipping", "layers", "attack", "equal accuracy", "memorisation", "verdict"],
)
def test_what_decides_some_results_makes_only_those_anew(copy, file, old, new, expected):
    assert changed(copy, file, old, new) == expected


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mia.py", "# Each layer gets a seed of its own.", "# A seed for each layer."),
        ("mia.py", '"""The untrained network:', '"""The network before training:'),
        ("mia.py", '        """Half of the pool: how many members the coins give on average."""\n', ""),
        (
            "suite/training/plain.py",
            "    def train_epoch(epoch: int) -> None:\n",
            '    def train_epoch(epoch: int) -> None:\n        """One epoch."""\n',
        ),
        ("mia.py", "def command_line() -> None:", "def command_line(unused: int = 0) -> None:"),
        ("mia.py", 'Model("dense7_10c", convolutional=0', 'Model("dense7", convolutional=0'),
        ("suite/training/plain.py", "  # images judged at a time", "  # pictures judged at once"),
        ("suite/training/members.py", '"""The coins of pair number', '"""Coins of pair number'),
        ("suite/sources/cifar10.py", "ANSWER_SECONDS = 6", "ANSWER_SECONDS = 7"),
        ("suite/report/mia_words.py", "MEDIUM_LEAK = 0.7", "MEDIUM_LEAK = 0.8"),
    ],
    ids=[
        "comment",
        "docstring",
        "docstring removed",
        "docstring added",
        "another function",
        "row",
        "tail",
        "docstring of coins",
        "data",
        "words",
    ],
)
def test_what_decides_nothing_makes_nothing_anew(copy, file, old, new):
    assert changed(copy, file, old, new) == set()


@pytest.mark.parametrize("body", ["...", "pass", "return None", "x = 1"])
def test_a_docstring_counts_for_nothing_and_every_statement_for_something(tmp_path, body):
    """Also where nothing else is there; and a text that is returned is none."""
    digests = {}
    for number, text in enumerate(
        [
            f"def f():\n    {body}\n",
            f'def f():\n    """Words."""\n    {body}\n',
            'def f():\n    """Words."""\n',
            'def f():\n    return """Words."""\n',
            'class f:\n    """Words."""\n    def g(self):\n        "Words."\n',
        ]
    ):
        root = tmp_path / f"{number}"
        root.mkdir()
        (root / "module.py").write_text(text)
        digests[number] = code_digest("module.f", root)
    assert digests[0] == digests[1]
    assert len(set(digests.values())) == 4


def test_a_key_changes_with_recipe_code_and_libraries():
    key = key_of({"seed": 1}, PLAIN, ["numpy"])
    assert key == key_of({"seed": 1}, PLAIN, ["numpy"])
    others = {
        key_of({"seed": 2}, PLAIN, ["numpy"]),
        key_of({"seed": 1}, ATTACK, ["numpy"]),
        key_of({"seed": 1}, PLAIN, ["numpy", "scipy"]),
    }
    assert len(others | {key}) == 4


def test_a_package_that_is_not_installed_is_one_line():
    """As tensorflow is not where tensorflow-cpu is."""
    with pytest.raises(
        BadInput, match=r"^the package not-there is not installed, or under another"
    ) as refused:
        key_of({}, PLAIN, ["numpy", "not-there"])
    assert "\n" not in str(refused.value)


# ------------------------------------------------------------------------------------------------- refusals


@pytest.fixture(autouse=True)
def digests_of_these_files():
    """Each test reads the files anew, and leaves none of its own behind."""
    forget_digests()
    yield
    forget_digests()


def test_functions_are_known_by_their_files():
    names = [mia.train_plainly, mia.train_privately, mia.attack_trainings]
    names += [mia.describe_kind, mia.compare_kinds, mia.check_networks]
    assert tuple(map(name_of, names)) == ALL


def from_a_cell():
    """A function as a notebook's cell defines one: its code is in no file of this project."""
    namespace = {}
    exec(compile("def train_plainly():\n    pass", "/tmp/ipykernel_7/1.py", "exec"), namespace)
    return namespace["train_plainly"]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (from_a_cell(), "train_plainly"),
        (lambda: None, "<lambda>"),
        (functools.partial(mia.build), r"functools\.partial"),
        (shutil.copy, "copy"),
        (len, "len"),
        (mia.Settings.seed.fget, r"Settings\.seed"),
    ],
)
def test_what_is_no_function_of_a_file_of_this_project_is_refused_in_one_line(function, name):
    with pytest.raises(BadInput, match=rf"^{name}.* is no function of a file of this project") as refused:
        name_of(function)
    assert "\n" not in str(refused.value)


def refuse(name):
    """As for a function of that name, in the module that this process has loaded."""
    refuse_code_that_differs(name, vars(sys.modules[name.rpartition(".")[0]]))


@pytest.mark.parametrize("name", ALL)
def test_what_nobody_has_edited_is_never_refused(name):
    refuse(name)


def another_build(model, seed):
    raise AssertionError


@pytest.mark.parametrize(
    ("module", "name", "value", "code"),
    [
        (mia, "build", another_build, PLAIN),
        (mia, "build", functools.partial(mia.build), PLAIN),
        (mia, "build", None, NETWORKS),
        (mia, "BATCH_SIZE", 51, "mia.settings_of"),
        (mia, "Settings", None, PLAIN),
        (mia, "UNITS", 65, PLAIN),
        (mia, "FILTERS", 33, PRIVATE),
        (mia, "called_members", lambda losses, threshold: losses <= threshold, ATTACK),
        (mia, "is_member", lambda training, ids: ids % 2 == 0, PLAIN),
        (mia, "measure_leakage", lambda members, nonmembers: {"auc": 1.0}, ATTACK),
        (members, "coins", lambda pair, count: [True] * count, PLAIN),
        (members, "COINS", 0, PRIVATE),
        (estimates, "SPLITS", 21, KIND),
    ],
)
def test_what_was_replaced_from_outside_is_refused_in_one_line(monkeypatch, module, name, value, code):
    """A function, a constant, one of two that a line sets, and a name that a module takes from another."""
    monkeypatch.setattr(module, name, value)
    with pytest.raises(BadInput, match=rf"^{name} is not what .*\.py says: write the change into") as refused:
        refuse(code)
    assert "\n" not in str(refused.value)


def test_a_property_that_was_replaced_is_refused(monkeypatch):
    monkeypatch.setattr(mia.Settings, "seed", property(lambda self: 4))
    with pytest.raises(BadInput, match=r"Settings is not what mia\.py says"):
        refuse(PLAIN)
    monkeypatch.setattr(estimates._Ranked, "sides", functools.cached_property(lambda self: ()))
    with pytest.raises(BadInput, match=r"_Ranked is not what leakage/estimates\.py says"):
        refuse(ATTACK)


def test_what_decides_something_else_may_be_replaced(monkeypatch):
    """The tables, say, are no part of a training's code, but arguments."""
    monkeypatch.setattr(mia, "MODELS", [])
    monkeypatch.setattr(mia, "print_conclusion", None)
    for name in ALL:
        refuse(name)


# Two modules of a project that lies elsewhere, the second of which takes all from the first.
FIRST = """
FACTOR = 2
PAIR, OTHER = (1, 2), "text"
def double(number, by=FACTOR):
    \"\"\"Twice the number.\"\"\"
    return number * by + PAIR[0]
class Doubler:
    TIMES = 1
    def double(self, number):
        return double(number) * self.TIMES
def words():
    return ["many" for word in OTHER]
"""
SECOND = """
from edited_first import Doubler, words
def answer(number):
    # It uses all that there is.
    return Doubler().double(number), words()
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two modules that this process has imported."""
    (tmp_path / "edited_first.py").write_text(FIRST)
    (tmp_path / "edited_second.py").write_text(SECOND)
    monkeypatch.syspath_prepend(tmp_path)
    # Python takes compiled code for that of a file of the same size, edited within the same second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    importlib.import_module("edited_second")
    yield tmp_path
    for name in ("edited_first", "edited_second"):
        del sys.modules[name]


def refuse_answer(project):
    refuse_code_that_differs("edited_second.answer", vars(sys.modules["edited_second"]), project)


@pytest.mark.parametrize(
    ("file", "old", "new", "name"),
    [
        ("edited_first.py", "number * by", "number + by", "double"),
        ("edited_first.py", "FACTOR = 2", "FACTOR = 3", "FACTOR"),
        ("edited_first.py", "PAIR, OTHER = (1, 2)", "PAIR, OTHER = (2, 2)", "PAIR"),
        ("edited_first.py", "return double(number)", "return double(number + 1)", "Doubler"),
        ("edited_first.py", "TIMES = 1", "TIMES = 2", "Doubler"),
        ("edited_first.py", '"many"', '"more"', "words"),
        ("edited_second.py", "Doubler().double(number)", "Doubler().double(number) + 1", "answer"),
        ("edited_second.py", "def answer(number):", "def answer(number, more=0):", "answer"),
    ],
)
def test_a_file_that_was_edited_after_its_import_is_refused_until_it_is_reloaded(
    project, file, old, new, name
):
    refuse_answer(project)
    edit(project, file, old, new)
    forget_digests()
    with pytest.raises(BadInput, match=rf"^{name} is not what {file} says: .* reload the module$"):
        refuse_answer(project)
    for module in ("edited_first", "edited_second"):
        importlib.reload(sys.modules[module])
    refuse_answer(project)


def test_what_an_edit_adds_is_refused_until_it_is_reloaded(project):
    edit(project, "edited_first.py", "FACTOR = 2\n", "FACTOR = 2\nMORE = 1\n")
    edit(project, "edited_first.py", "+ PAIR[0]", "+ PAIR[0] + MORE")
    forget_digests()
    with pytest.raises(BadInput, match=r"(double|MORE) is not what edited_first\.py says"):
        refuse_answer(project)


def test_lines_that_moved_comments_and_docstrings_are_no_edit(project):
    edit(project, "edited_first.py", "FACTOR = 2", "# A comment.\n\n\nFACTOR = 2  # and another")
    edit(project, "edited_first.py", "Twice the number.", "The number twice.")
    edit(project, "edited_second.py", "# It uses all that there is.", "# It uses everything.")
    forget_digests()
    refuse_answer(project)


def test_a_script_counts_by_what_it_runs_itself(project):
    """A notebook's %run makes no module; a module of the same name may have been imported long ago."""
    path = project / "edited_second.py"

    def run_script():
        namespace = {"__name__": "__main__", "__file__": str(path)}
        exec(compile(path.read_text(), path, "exec"), namespace)
        return namespace["answer"].__globals__

    script = run_script()
    edit(project, "edited_second.py", "Doubler().double(number)", "Doubler().double(number) + 1")
    forget_digests()
    for outdated in (script, vars(sys.modules["edited_second"])):
        with pytest.raises(BadInput, match="answer is not what"):
            refuse_code_that_differs("edited_second.answer", outdated, project)
    refuse_code_that_differs("edited_second.answer", run_script(), project)
