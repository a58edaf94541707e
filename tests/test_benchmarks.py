"""Each benchmark runs through, on small made-up images and losses, and prints the Markdown that it promises.

The times that it prints are those of next to nothing. All run in one process of their own, in which a
benchmark's fresh processes and workers are plain calls and a thread: only their starting is left out.
"""

import importlib
import io
import json
import math
import multiprocessing
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import mia
from benchmarks import jobs, laplace_queries, references, timing, whole_run
from benchmarks.leakage import whole_commands
from benchmarks.ways_to_train import Training, by_keras
from leakage.estimates import Losses
from suite.training.repeatable import start_tensorflow
from tests.test_mia import FIGURES, TABLES, fake_cifar10

DENSE = [model for model in mia.MODELS if model.name == "dense4_10c"]
IMAGES = fake_cifar10(train=60, test=30)


def printed(name, replaced, arguments):
    """What the main of benchmarks/`name`.py prints, with other values in place of some names of modules."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    if hasattr(benchmark, "in_fresh_process"):
        replaced = replaced | {f"benchmarks.{name}.in_fresh_process": called_here}
    report = io.StringIO()
    with ExitStack() as stack:
        for place, value in replaced.items():
            stack.enter_context(mock.patch(place, value))
        stack.enter_context(redirect_stdout(report))
        benchmark.main(**arguments)
    return report.getvalue()


def called_here(work, *arguments):
    """In the place of in_fresh_process."""
    return work(*arguments)


def one_thread(*_):
    """In the place of suite.jobs.workers' executors."""
    return nullcontext(ThreadPoolExecutor(1))


@pytest.fixture(scope="module")
def main_of():
    """Calls `printed` in a process of its own, the same for all tests, since TensorFlow starts slowly."""
    new = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, new, initializer=start_tensorflow, initargs=(1,)) as pool:
        yield lambda name, replaced=None, **arguments: pool.submit(
            printed, name, replaced or {}, arguments
        ).result()


def rows_of(report):
    """The cells of each line of the report's tables, without headers."""
    tables = re.findall(r"^\|.*\|$(?:\n\|.*\|$)+", report, re.MULTILINE)
    return [
        [cell.strip() for cell in line[1:-1].split("|")]
        for table in tables
        for line in table.splitlines()[2:]
    ]


def first_cells(report):
    return [row[0] for row in rows_of(report)]


def fake_python(folder, answer):
    """A fake of another environment's Python: a program that prints the answer, whatever it is asked."""
    (folder / "answer.json").write_text(json.dumps(answer))
    program = folder / "python"
    program.write_text(f"#!/bin/sh\ncat '{folder}/answer.json'\n")
    program.chmod(0o755)
    return program


# ------------------------------------------------------------------------------------------------- training


def test_training(main_of):
    report = main_of("training", rounds=1, epochs=4, models=["dense4_10c"], data=IMAGES)
    whats = ("an epoch", "start to first epoch done", "peak memory")
    assert first_cells(report) == [f"`dense4_10c`, {what}" for what in whats]
    assert re.search(r"`dense4_10c` 0\.\d{3} and 0\.\d{3}\.", report)


def test_both_ways_train_the_same_network_on_the_same_images():
    """Their seconds are compared, so their work must be the same; checked where plain Keras is told what."""
    import keras

    told = {}

    def fit(network, images, labels, **options):
        told.update(network=network, images=images, labels=labels, **options)

    few = fake_cifar10(train=12, test=5)
    with mock.patch.object(keras.Sequential, "fit", fit):
        by_keras(["dense4_4c_8k"], 4, few)
    [model] = [model for model in mia.MODELS if model.name == "dense4_4c_8k"]
    ours = mia.build(model, 0)
    first_classes = few.train_labels < 4
    assert np.array_equal(told["labels"], few.train_labels[first_classes])
    for theirs, own in zip(told["network"].get_weights(), ours.get_weights(), strict=True):
        assert np.array_equal(theirs, own)
    np.testing.assert_allclose(
        told["network"](told["images"]), ours(few.train_images[first_classes]), rtol=1e-4, atol=1e-5
    )
    assert (told["batch_size"], told["epochs"]) == (mia.BATCH_SIZE, 4)
    assert told["network"].optimizer.learning_rate.numpy() == np.float32(mia.LEARNING_RATE)


def whole_run_with(tables):
    """What whole_run.py prints, with fakes of mia.main, which writes `tables` (number of jobs) and the acts'
    figures, 1, 2 and 3 seconds after one another, and of plain Keras: two epochs of 5 s each model."""

    def fake_main(*, figures, jobs, **_):
        figures.mkdir()
        end = time.time()
        for number, name in enumerate(whole_run.ACTS.values()):
            end += number + 1
            (figures / name).touch()
            os.utime(figures / name, (end, end))
        for name, text in tables(jobs).items():
            (figures / name).write_text(text)

    def fake_keras(names, epochs, data):
        return [Training([5.0, 10.0, 15.0, 20.0], 0.5, 1.0) for _ in names]

    replaced = {
        "mia.main": mock.create_autospec(mia.main, side_effect=fake_main),
        "benchmarks.whole_run.by_keras": fake_keras,
        "benchmarks.whole_run.peak_memory": lambda whose: 1.0,
    }
    arguments = {"rounds": 1, "epochs": 40, "keras_epochs": 4, "jobs": 2, "data": IMAGES}
    return printed("whole_run", replaced, arguments)


def test_whole_run():
    report = whole_run_with(lambda jobs: dict.fromkeys(TABLES, "the same"))
    rows = {row[0]: row for row in rows_of(report)}
    plain = [model for model in mia.MODELS if model.epsilon is None]
    # No time is measured of plain Keras; 36 epochs of 5 s each model are computed.
    keras = rows[f"act one: {len(plain)} models, 40 epochs"][2]
    assert float(keras.split()[0].replace(",", "")) == pytest.approx(36 * 5 * len(plain), rel=0.01)
    for number, act in enumerate(whole_run.ACTS):
        for seconds in rows[f"... {act}"][2:]:
            assert float(seconds.split()[0]) == pytest.approx(number + 1, abs=0.5)
    assert f"its\n2 runs wrote the same {len(TABLES)} CSV files, to the byte." in report
    assert set(whole_run.ACTS.values()) <= FIGURES


@pytest.mark.parametrize("differing", sorted(TABLES))
def test_whole_run_refuses_runs_that_differ_in_any_table(differing):
    with pytest.raises(SystemExit, match="different results"):
        whole_run_with(lambda jobs: dict.fromkeys(TABLES, "the same") | {differing: str(jobs)})


# ---------------------------------------------------------------------------------------------------- jobs


class FakeCluster(nullcontext):
    """A fake of a Dask cluster: an address with nothing there."""

    scheduler_address = "nowhere"

    def __init__(self, **options):
        super().__init__(self)


def test_jobs(main_of):
    replaced = {
        "MODELS": DENSE,
        "EQUAL_CELLS": 1,
        "processes": one_thread,
        "cluster": one_thread,
    }
    replaced = {f"benchmarks.jobs.{name}": value for name, value in replaced.items()}
    replaced["distributed.LocalCluster"] = FakeCluster
    report = main_of("jobs", replaced, rounds=1, epochs=4, data=IMAGES)
    first, computed = "... start to first epoch done", "... with 40 epochs, computed"
    assert first_cells(report) == [
        *("1 equal cells of `dense4_10c`, 4 epochs", first, computed),
        *("1 equal cells of `dense4_10c`, by Dask, 4 epochs", first, computed),
        *("all 1 models, 4 epochs", first),
    ]


def test_the_missing_epochs_are_computed_from_each_cells_own_times():
    """By hand: 11 s for four epochs and 36 more of 2 s are 83 s a cell; three on one worker, and on two."""
    result = {"ends": [5.0, 7.0, 9.0, 11.0], "whole": 11.0}
    assert jobs.default_run([result] * 3, 1) == pytest.approx(3 * 83)
    assert jobs.default_run([result] * 3, 2) == pytest.approx(2 * 83)


# ------------------------------------------------------------------------------------------------- profile


def test_profile_cell(main_of):
    report = main_of("profile_cell", model="cnn4_10c", share=1.0, data=IMAGES)
    rows = rows_of(report)
    ends = [number for number, row in enumerate(rows) if row[0] == "all"]
    for start, end in ((0, ends[0]), (ends[0] + 1, ends[1])):
        # Rounded to 0.1% each.
        shares = sum(float(row[1].rstrip("%")) for row in rows[start:end])
        assert shares == pytest.approx(100, abs=0.06 * (end - start))
    # 3 x 3 filters at 28 x 28, 12 x 12 and 4 x 4 places; each weight is multiplied and added once. Training
    # does as much again for the weights' gradient, and for the input's, except in the first layer.
    layers = [2 * 9 * 32 * 28 * 28 * 3, 2 * 9 * 32 * 12 * 12 * 32, 2 * 9 * 32 * 4 * 4 * 32]
    stated = re.findall(r"Convolutions: ([\d.]+) million", report)
    expected = [3 * sum(layers) - layers[0], sum(layers)]
    assert stated == [f"{operations / 1e6:.1f}" for operations in expected]


# ----------------------------------------------------------------------------------------- private training


def test_private_training_beside_a_fake_of_opacus(main_of, tmp_path):
    answer = [{"Opacus": 1e-5, "Opacus, ghost clipping": 2e-5}, {"torch": "0", "opacus": "1"}]
    replaced = {"benchmarks.private_training.IMAGES": 60, "suite.training.private.PRIVATE_BATCH": 20}
    report = main_of("private_training", replaced, rounds=1, epochs=1, python=fake_python(tmp_path, answer))
    rows = {row[0]: row[2] for row in rows_of(report)}
    ways = ("without clipping", "`tf.vectorized_map`", "Opacus", "Opacus, ghost clipping")
    assert list(rows) == [f"{way}, an image" for way in ways]
    assert rows["Opacus, ghost clipping, an image"] == "20.0 (20.0 to 20.0) us"
    assert "In the other environment: torch 0, opacus 1." in report


# -------------------------------------------------------------------------------------- leakage and laplace


def two_of_each(rounds, losses):
    """A fake of the measuring of whole commands, which is tried by itself."""
    return [[2.0] * rounds, [1.0] * rounds]


def test_whole_commands_are_measured_on_the_same_losses():
    generator = np.random.default_rng(0)
    losses = Losses(generator.exponential(0.8, 300), generator.exponential(1, 200))
    attack, audit = whole_commands(1, losses)
    assert len(attack) == len(audit) == 1
    assert min(*attack, *audit) > 0.1


def test_leakage(main_of):
    sizes = {"MEMBERS": 500, "NONMEMBERS": 300, "MANY": 400}
    replaced = {f"benchmarks.leakage.{name}": size for name, size in sizes.items()}
    replaced["benchmarks.leakage.whole_commands"] = two_of_each
    rows = rows_of(main_of("leakage", replaced, rounds=1, command_rounds=1))
    assert [(row[0], float(row[2].split()[0].replace(",", "")) > 0) for row in rows] == [
        ("`run_attacks`, against `measure_leakage`", True),
        ("`run_attacks` on two models, against `paired_contrast`", True),
        ("bootstrap of 1,000 samples, against `paired_contrast`", True),
        ("500 and 300 losses", True),
        ("400 and 400 losses", True),
    ]


def answers_of_others(values, factor=1.0):
    """A fake of what other_libraries.py prints: answers that are right but for `factor`."""
    lower, upper = laplace_queries.BOUNDS
    clamped = np.clip(values, lower, upper)
    width = math.sqrt(2) * (upper - lower) / laplace_queries.EPSILON
    truths = {
        "sum": (clamped.sum(), width),
        "average": (clamped.mean(), width / len(values)),
        "maximum": (clamped.max(), width),
    }
    times = [
        (query, f"a fake's {query}", 1000, 1e-3, truth, factor * noise)
        for query, (truth, noise) in truths.items()
    ]
    return {"times": times, "versions": {"a fake": "1"}}


def test_laplace_queries_beside_a_fake_of_the_other_libraries(tmp_path):
    values = np.random.default_rng(0).lognormal(10.5, 0.7, laplace_queries.VALUES)
    arguments = {"rounds": 1, "python": fake_python(tmp_path, answers_of_others(values))}
    report = printed("laplace_queries", {"benchmarks.laplace_queries.MILLION": 2000}, arguments)
    rows = {row[0]: row[2] for row in rows_of(report)}
    assert list(rows) == [
        *(f"1,000 of {query}, a fake's {query}" for query in ("sum", "average", "maximum")),
        "2,000 of average, a fake's average",
    ]
    assert rows["1,000 of sum, a fake's sum"] == "1,000 (1,000 to 1,000) ms"


def test_laplace_queries_refuses_noise_of_another_width(tmp_path):
    values = np.random.default_rng(0).lognormal(10.5, 0.7, laplace_queries.VALUES)
    found = answers_of_others(values, factor=1.3)
    with pytest.raises(SystemExit, match="nothing to compare"):
        laplace_queries.check(values, found)


# ----------------------------------------------------------------------------------------------- references


def test_references_trains_what_is_not_kept_and_compares(main_of, tmp_path):
    arguments = {"rounds": 1, "seeds": 2, "counts": (2,), "epochs": 1, "folder": tmp_path, "data": IMAGES}
    replaced = {"benchmarks.references.processes": one_thread}
    report = main_of("references", replaced, **arguments)
    names = ["dense4_10c-reference0", "dense4_10c-reference1", "dense4_10c-seed0", "dense4_10c-seed1"]
    kept = sorted(tmp_path.iterdir())
    assert [path.name[:-21] for path in kept] == names
    written = [path.stat().st_mtime_ns for path in kept]
    rows = rows_of(report)
    assert len(rows) == 2 * (1 + len(references.ATTACKS))
    # The second time nothing is trained, and all that is no time is the same.
    again = main_of("references", replaced, **arguments)
    assert "4 of 4 trainings kept from before, 0 to do" in again
    assert [path.stat().st_mtime_ns for path in kept] == written
    assert [row[:-1] for row in rows_of(again)] == [row[:-1] for row in rows]


def test_references_are_those_of_mia(tmp_path):
    """By the keys, after which their files are named: what either has trained, the other finds."""
    asked, main_asks = {}, {}

    def keep(what, jobs, folder, workers):
        asked.update({job.name: job.key() for job in jobs})
        raise InterruptedError

    def keep_of_main(acts, run, drawing, folder):
        jobs = [*run.trainings("dense4_10c", 2, False), *run.trainings("dense4_10c", 4, True)]
        main_asks.update({job.name: job.key() for job in jobs})
        raise InterruptedError

    arguments = {"rounds": 1, "seeds": 2, "counts": (2, 4), "folder": tmp_path, "data": IMAGES}
    with pytest.raises(InterruptedError):
        printed("references", {"benchmarks.references.run_jobs": keep}, arguments)
    replaced = mock.patch.multiple(mia, perform_all=keep_of_main, processes=one_thread)
    with replaced, pytest.raises(InterruptedError):
        mia.main(seeds=2, references=4, figures=tmp_path, cells_folder=tmp_path, data=IMAGES)
    assert len(asked) == 6
    assert asked == main_asks


def test_the_difference_from_the_mean_out_loss_against_a_plain_loop():
    """Six images, two of them members, and three pairs of references, each trained on other halves."""
    generator = np.random.default_rng(5)
    numbers = np.arange(6)
    target = Losses(generator.exponential(size=2), generator.exponential(size=4), numbers[:2], numbers[2:])
    pool = []
    for half in ([0, 2, 4], [1, 2, 3], [0, 1, 5]):
        for trained in (half, [number for number in numbers if number not in half]):
            rest = [number for number in numbers if number not in trained]
            pool.append(Losses(*generator.exponential(size=(2, 3)), np.array(trained), np.array(rest)))
    own = np.concatenate([target.members, target.nonmembers])
    expected = []
    for number in numbers:
        untrained = [losses for losses in pool if number in losses.nonmember_ids]
        outside = [losses.nonmembers[losses.nonmember_ids == number] for losses in untrained]
        expected.append(own[number] - np.mean(outside))
    found = references.ATTACKS["less mean out-loss"](target, pool)
    assert np.allclose(np.concatenate([found.members, found.nonmembers]), expected)
    assert found.member_ids.tolist() == [0, 1]


# -------------------------------------------------------------------------------------------- what they share


def test_a_table_has_the_ratio_of_the_medians_and_the_spread():
    row = timing.Row("what", "s", [2.0, 40.0, 6.0], [0.5, 1.5, 1.0])
    assert timing.table("left", "right", [row]) == (
        "|  | ratio | left | right |\n| --- | --- | --- | --- |\n"
        "| what | **6.00** | 6.00 (2.00 to 40.0) s | 1.00 (0.500 to 1.50) s |"
    )


def test_sides_are_measured_in_turn():
    order = []
    sides = (lambda: order.append("A") or len(order), lambda: order.append("B") or -len(order))
    assert timing.in_turn(2, *sides) == [[1, 3], [-2, -4]]
    assert order == ["A", "B", "A", "B"]


def test_a_fresh_process_is_another_one():
    assert timing.in_fresh_process(os.getpid) != os.getpid()


def test_another_environment_that_fails_is_named(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho a warning >&2\necho no such module >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(SystemExit, match="cannot run Opacus: no such module"):
        timing.answer_of(program, "Opacus")


@pytest.mark.parametrize("script", ["leakage.py", "training.py"])
def test_a_script_named_as_a_package_finds_the_package(script, tmp_path):
    """As a reader starts it, from any folder; the help is printed before anything is measured."""
    done = subprocess.run(
        [sys.executable, Path(timing.__file__).with_name(script), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")
