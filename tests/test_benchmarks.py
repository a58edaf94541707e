"""Each benchmark runs for real, in its own processes, on few made-up images, and prints its tables.

The times that it prints are those of next to nothing.
"""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks import commands, jobs, private_training, timing, training, ways_to_train, whole_run
from suite.sources.cifar10 import Cifar10
from suite.training.members import is_member
from suite.training.repeatable import start_tensorflow

SHARE = 0.1  # of the images that the models' pools have
SMALLEST = "dense4_4c_5k"


@cache
def made_up_cifar10():
    """600 random images of each class, so many as a tenth of the largest pool takes."""
    generator = np.random.default_rng(0)
    labels = generator.permutation(np.repeat(np.arange(10, dtype=np.uint8), 600))
    images = generator.integers(0, 256, (len(labels), 32, 32, 3), np.uint8)
    return Cifar10(images[:5000], labels[:5000], images[5000:], labels[5000:])


def rows_of(report):
    """The cells of each line of the report's tables, without headers."""
    tables = re.findall(r"^\|.*\|$(?:\n\|.*\|$)+", report, re.MULTILINE)
    return [
        [cell.strip() for cell in line[1:-1].split("|")]
        for table in tables
        for line in table.splitlines()[2:]
    ]


def number_in(cell):
    """The first number of a table's cell."""
    return float(cell.strip("*").split()[0].replace(",", ""))


# ------------------------------------------------------------------------------------------- each by itself


def test_training(capsys):
    training.main(
        rounds=1, epochs=ways_to_train.LEAST_EPOCHS, models=[SMALLEST], share=SHARE, data=made_up_cifar10()
    )
    report = capsys.readouterr().out
    rows = rows_of(report)
    assert [row[0] for row in rows] == [f"`{SMALLEST}`"] * len(training.QUANTITIES)
    from_start, memory = rows[2:]
    assert min(map(number_in, from_start[2:])) > 0.5  # TensorFlow alone takes longer
    assert min(map(number_in, memory[2:])) > 0.1
    # Of four classes, and random images: neither way has learnt nothing, nor everything.
    accuracies = re.search(rf"`{SMALLEST}` (0\.\d+) and (0\.\d+)", report).groups()
    assert all(0.2 < float(accuracy) < 0.9 for accuracy in accuracies)


@pytest.mark.filterwarnings("ignore:Sending large graph")  # made-up images go along, CIFAR-10 does not
def test_jobs(capsys):
    jobs.main(
        rounds=1,
        epochs=ways_to_train.LEAST_EPOCHS,
        equal_trainings=2,
        models=[],
        share=SHARE,
        data=made_up_cifar10(),
    )
    rows = rows_of(capsys.readouterr().out)
    whole, start_up, epoch = rows[0::3], rows[1::3], rows[2::3]
    assert [row[0] for row in whole] == [
        "2 trainings of `dense4_10c`, 5 epochs",
        "2 trainings of `dense4_10c`, by Dask, 5 epochs",
    ]
    for place in (2, 3):  # one worker, two workers
        for of_whole, of_start_up, of_epoch in zip(whole, start_up, epoch, strict=True):
            assert 0 < number_in(of_start_up[place]) < number_in(of_whole[place])
            assert number_in(of_epoch[place]) < number_in(of_whole[place])


def test_private_training(capsys):
    private_training.main(rounds=1, epochs=1, images=60, batch_size=20)
    rows = rows_of(capsys.readouterr().out)
    assert [row[0] for row in rows] == ["without clipping, an image", "`tf.vectorized_map`, an image"]
    assert all(number_in(cell) > 0 for row in rows for cell in row[1:])


def test_commands(capsys):
    """All but the longest two, and of the audits' rows one in a hundred."""
    short = [command for command in commands.COMMANDS if "000000" not in f"{command.arguments}{command.rows}"]
    commands.main(rounds=1, commands=short, share=0.01)
    rows = rows_of(capsys.readouterr().out)
    assert [row[0] for row in rows] == [command.what for command in short]
    assert len(rows) == len(commands.COMMANDS) - 2
    for clock, processors, memory in (map(number_in, row[1:]) for row in rows):
        assert 0.2 < processors < 3 * clock  # numpy and pandas alone take longer
        assert 0.05 < memory < 0.4  # and not this process', which has TensorFlow


def test_a_command_that_fails_is_named():
    fails = commands.Command("an audit of no file", "-m leakage nothing.csv nobody.csv")
    with pytest.raises(SystemExit, match="an audit of no file ended with status 2"):
        commands.times_of(fails, share=1.0)


# A mia.py that runs the real one on the made-up images: a tenth of two models, four trainings of each.
SMALL_MIA = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(whole_run.ROOT)!r})
import mia
from tests.test_benchmarks import made_up_cifar10

mia.main(
    epochs=1, only=["{SMALLEST}", "dense4_10c_dp"], quick=True, figures=sys.argv[-1],
    data=made_up_cifar10(), kept_in=Path(os.environ["PRIVACY_CACHE"], "cells"),
)
"""


def test_whole_run_knows_acts_trainings_and_memory_of_mia(tmp_path):
    (tmp_path / "mia.py").write_text(SMALL_MIA)
    run = whole_run.run_script(tmp_path, [], tmp_path)
    assert len(run.acts) == len(whole_run.ACTS)
    assert 0 < run.trainings < sum(run.acts) < run.seconds
    assert 0.2 < run.worker_memory < run.all_memory
    assert 0.1 < run.main_memory < run.all_memory


# Three acts of a second, so that on a busy machine a look every 0.2 s misses none; and a process beside that
# takes 0.3 GB. With --quick it only waits.
WAITING = """
import subprocess, sys, time
from pathlib import Path

if "--quick" in sys.argv:
    time.sleep(0.5)
    sys.exit()
beside = subprocess.Popen([sys.executable, "-c", "b = b'1' * 300_000_000; input()"], stdin=subprocess.PIPE)
time.sleep(0.8)
print("trainings took 00:02")
for act in range(3):
    time.sleep(1)
    Path(sys.argv[-1], "mia_results.csv").write_text(str(act))
beside.communicate()
"""


def test_whole_run(capsys, tmp_path):
    whole_run.main(
        rounds=1,
        earlier="HEAD",
        keras_epochs=ways_to_train.LEAST_EPOCHS,
        root=repository_of(tmp_path, {"mia.py": WAITING}),
        models=[SMALLEST],
        share=SHARE,
        data=made_up_cifar10(),
    )
    rows = {row[0]: row for row in rows_of(capsys.readouterr().out)}
    seconds = {what: number_in(row[3]) for what, row in rows.items() if row[-1].endswith(" s")}
    assert seconds["... its trainings"] == 2
    assert 0.9 < seconds["... act two"] < 1.9
    assert 0.5 < seconds["`python mia.py --quick`"] < seconds["`python mia.py`"]
    assert number_in(rows["... of the largest worker"][3]) == pytest.approx(0.31, abs=0.03)
    # 40 epochs, and judged before them and after every fourth.
    epoch, judging, times, computed = rows[f"`{SMALLEST}`"][1:]
    assert times == "4 x (40 + 11)"
    by_hand = 4 * (40 * number_in(epoch) + 11 * number_in(judging))
    assert number_in(computed) == pytest.approx(by_hand, rel=0.02)
    ratio, _, ours = rows["4 trainings of each of 1 models"][1:]
    assert number_in(ours) == 2
    assert number_in(ratio) == pytest.approx(by_hand / 2, rel=0.02)


def repository_of(folder, files):
    """A new Git repository in `folder` with the files, by name, in one commit."""
    for name, text in files.items():
        (folder / name).write_text(text)
    git = ["git", "-C", folder, "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "files"]):
        subprocess.run([*git, *command], check=True)
    return folder


def test_a_commit_that_is_not_there_is_named(tmp_path):
    repository_of(tmp_path, {"mia.py": ""})
    with pytest.raises(SystemExit, match="the files of 1234567 cannot be had"):
        whole_run.unpacked("1234567", tmp_path, tmp_path / "files")


def test_a_run_that_fails_is_named(tmp_path):
    (tmp_path / "mia.py").write_text("import sys; sys.exit(3)")
    with pytest.raises(SystemExit, match=r"mia\.py.*ended with status 3"):
        whole_run.run_script(tmp_path, [], tmp_path)


@pytest.mark.parametrize(("interval", "seconds"), [("00:07", 7), ("12:34", 754), ("1:02:03", 3723)])
def test_an_interval_is_read_as_it_was_written(interval, seconds):
    assert whole_run.seconds_of(interval) == seconds


# --------------------------------------------------------------------------------------- what they share


def test_both_ways_train_the_same_network_on_the_same_images():
    """Their seconds are compared, so their work must be the same."""
    start_tensorflow(threads=1)
    import mia

    settings = mia.settings_of(ways_to_train.model_named("cnn4_10c"), 0, None, SHARE)
    pixels, pool = ways_to_train.keras_images(settings, made_up_cifar10())
    theirs, ours = ways_to_train.keras_network(settings), mia.build(settings.model, settings.seed)
    for weights, own in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        assert np.array_equal(weights, own)
    np.testing.assert_allclose(theirs(pixels[:20]), ours(pool.images[:20]), rtol=1e-4, atol=1e-5)
    assert theirs.optimizer.learning_rate.numpy() == np.float32(mia.LEARNING_RATE)
    # Plain Keras takes all members once an epoch, mia.py a fixed number of steps: about as many.
    members = int(is_member(settings.number, pool.ids).sum())
    assert members == pytest.approx(settings.steps * settings.batch_size, rel=0.1)


def test_an_epoch_and_a_judging_are_told_apart():
    """By hand: epochs of 2 s, and a judging of 0.5 s after the fourth."""
    ends = [10.0, 12.0, 14.0, 16.0, 18.5]
    measured = ways_to_train.Training(ends, accuracy=0.5, memory=1.0)
    assert (measured.epoch, measured.judging) == (2.0, 0.5)


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


@pytest.mark.parametrize("script", ["training", "whole_run", "jobs", "private_training", "commands"])
def test_a_script_is_found_from_any_folder(script, tmp_path):
    """As a reader starts it; the help is printed before anything is measured."""
    program = Path(timing.__file__).with_name(f"{script}.py")
    ended = subprocess.run([sys.executable, program, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("usage:")


@pytest.mark.parametrize("option", ["--epochs=4", "--epochs=few"])
def test_too_few_epochs_are_refused(option):
    program = Path(timing.__file__).with_name("training.py")
    ended = subprocess.run([sys.executable, program, option], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("training.py: argument --epochs: ")
