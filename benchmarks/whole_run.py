"""How long does the whole default run take, beside an earlier commit, and beside plain Keras?

`python mia.py` is run as a reader runs it: the committed files of each side are unpacked into a scratch
folder, and nothing is kept from before but the images. Then it is run again, which only draws; then with
`--quick`. Meanwhile the memory of all its processes is measured. An act ends when its tables are written. The
time of the trainings is the one that the script prints.

The two sides do different work: the earlier commit has one official split, attacks one training of each
model, and trains two reference models for each.

Plain Keras is measured for a few epochs of each model, in a fresh process, on all cores. Its time for the
trainings of the default run is computed. For each model it is trainings x (epochs x seconds of an epoch +
judgings x seconds of a judging). The time that each training needs only once is left out, on Keras' side
alone.

    python benchmarks/whole_run.py [--rounds N] [--earlier COMMIT] [--keras-epochs N]
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import (
    Row,
    conditions,
    in_fresh_process,
    in_turn,
    markdown,
    parser_with_rounds,
    table,
    three_digits,
)
from benchmarks.ways_to_train import (
    LEAST_EPOCHS,
    Training,
    by_keras,
    epochs_to_measure,
    images,
    model_named,
)
from mia import TRAININGS, chosen, settings_of
from suite.sources.cifar10 import KEPT_FILE, Cifar10, kept_copy

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 1
EARLIER = "665f4da"  # the last commit before the experiment by coins
LOOK_SECONDS = 0.2  # between two looks at the processes' memory
ACTS = ("act one", "act two", "act three")
NAMES = [model.name for model in chosen(())[0]]  # of the default run


class Run(NamedTuple):
    """One run of mia.py. seconds: of the whole run. acts: seconds of each act. trainings: seconds that it
    prints for its trainings. Peak memory in GB: of its main process, of its largest worker, of all processes
    together."""

    seconds: float
    acts: list[float]
    trainings: float
    main_memory: float
    worker_memory: float
    all_memory: float


class Runs(NamedTuple):
    """Three runs: into an empty folder, the same command again, and a quick one into another empty folder."""

    first: Run
    again: Run
    quick: Run


def runs_of(commit: str, root: Path, kept_images: Path | None) -> Runs:
    """Runs the files of a commit of the repository `root`. kept_images: the file of images that the cache is
    to hold, or None."""
    with tempfile.TemporaryDirectory() as scratch:
        files = unpacked(commit, root, Path(scratch, "files"))
        caches = [Path(scratch, name) for name in ("cache", "quick cache")]
        for cache in caches:
            cache.mkdir()
            if kept_images:
                (cache / KEPT_FILE).symlink_to(kept_images)
        return Runs(
            run_script(files, [], caches[0]),
            run_script(files, [], caches[0]),
            run_script(files, ["--quick"], caches[1]),
        )


def unpacked(commit: str, root: Path, folder: Path) -> Path:
    """Makes the folder and unpacks the files of a commit into it."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", root, "archive", "--format=tar", commit], capture_output=True)
    if archive.returncode:
        reason = archive.stderr.decode(errors="replace").strip().splitlines()[-1]
        raise SystemExit(f"the files of {commit} cannot be had: {reason}; a shallow clone lacks old commits")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


def run_script(files: Path, options: Sequence[str], cache: Path) -> Run:
    """Runs `python mia.py` in the folder `files`. It keeps results in `cache`; its figures are deleted."""
    with tempfile.TemporaryDirectory() as figures, tempfile.TemporaryFile("w+") as console:
        command = [sys.executable, files / "mia.py", *options, "--figures", figures]
        surroundings = os.environ | {"PRIVACY_CACHE": str(cache)}
        start = time.time()
        process = psutil.Popen(command, env=surroundings, stdout=console)
        memory, act_ends = watched(process, Path(figures, "mia_results.csv"))
        seconds = time.time() - start
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} ended with status {process.returncode}")
        console.seek(0)
        trainings = sum(
            seconds_of(interval)
            for interval in re.findall(r"^trainings took ([\d:]+)$", console.read(), re.MULTILINE)
        )
    acts = [end - before for before, end in pairwise([start, *act_ends])]
    return Run(seconds, acts, trainings, *memory)


def watched(process: psutil.Popen, results: Path) -> tuple[tuple[float, float, float], list[float]]:
    """Waits for the process to end. Returns its peak memory (GB), that of the largest process that it
    started, and that of all together; and the times at which the table `results` was written."""
    peaks, written = (0, 0, 0), set()
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            own = process.memory_info().rss
            others = [child.memory_info().rss for child in process.children(recursive=True)]
            now = own, max(others, default=0), own + sum(others)
            peaks = tuple(map(max, peaks, now))
        with suppress(FileNotFoundError):
            written.add(results.stat().st_mtime)
        time.sleep(LOOK_SECONDS)
    with suppress(FileNotFoundError):
        written.add(results.stat().st_mtime)
    return tuple(peak / 1e9 for peak in peaks), sorted(written)


def seconds_of(interval: str) -> int:
    """The seconds of an interval as tqdm writes it, 12:34 or 1:02:03."""
    seconds = 0
    for part in interval.split(":"):
        seconds = 60 * seconds + int(part)
    return seconds


# ------------------------------------------------------------------------------------------- plain Keras


def keras_trainings(
    models: Sequence[str], epochs: int, share: float, data: Cifar10 | None
) -> dict[str, Training]:
    """A short training of each model in plain Keras, each in a fresh process, by the model's name."""
    return {name: in_fresh_process(by_keras, name, epochs, share, data) for name in models}


def keras_seconds(name: str, training: Training) -> float:
    """The seconds that plain Keras would take for the trainings of one model in the default run."""
    settings = settings_of(model_named(name), 0, None, 1.0)
    judgings = len(settings.attacked_epochs)
    return TRAININGS * (settings.epochs * training.epoch + judgings * training.judging)


def keras_table(rounds: Sequence[dict[str, Training]]) -> str:
    """The Markdown table of the times measured in plain Keras, and of those computed from them."""
    lines = []
    for name in rounds[0]:
        of_model = [trainings[name] for trainings in rounds]
        settings = settings_of(model_named(name), 0, None, 1.0)
        values = (
            [training.epoch for training in of_model],
            [training.judging for training in of_model],
            [keras_seconds(name, training) for training in of_model],
        )
        epoch, judging, computed = (f"{three_digits(statistics.median(of_round))} s" for of_round in values)
        times = f"{TRAININGS} x ({settings.epochs} + {len(settings.attacked_epochs)})"
        lines.append([f"`{name}`", epoch, judging, times, computed])
    header = [
        "plain Keras, all cores",
        "an epoch",
        "a judging",
        "trainings x (epochs + judgings)",
        "computed",
    ]
    return markdown(header, lines)


# ------------------------------------------------------------------------------------------------- report


def main(
    rounds: int,
    earlier: str,
    keras_epochs: int,
    root: Path = ROOT,
    models: Sequence[str] = NAMES,
    share: float = 1.0,
    data: Cifar10 | None = None,
) -> None:
    """Measures, and prints the tables in Markdown.

    earlier: the commit to compare with. root: the repository. models: names of those that the default run
    trains. share: of each model's images, in plain Keras. data: None for CIFAR-10.
    """
    kept_images = None
    if data is None:
        images()  # if it must be fetched, then before the clock runs
        kept_images = kept_copy().resolve()
    keras, before, now = in_turn(
        rounds,
        partial(keras_trainings, models, keras_epochs, share, data),
        partial(runs_of, earlier, root, kept_images),
        partial(runs_of, "HEAD", root, kept_images),
    )
    ours = "`python mia.py`, HEAD"
    print(table(f"`python mia.py`, {earlier}", ours, rows_of_runs(before, now)), end="\n\n")
    print(keras_table(keras), end="\n\n")
    computed = [sum(keras_seconds(*item) for item in trainings.items()) for trainings in keras]
    what = f"{TRAININGS} trainings of each of {len(models)} models"
    rows = [Row(what, "s", computed, [runs.first.trainings for runs in now])]
    print(table("plain Keras, all cores, computed", ours, rows))
    print(f"\nOf plain Keras, {keras_epochs} epochs of each model were measured.")
    print(conditions(rounds, "tensorflow", "keras", "numpy", "loky"))


def rows_of_runs(before: Sequence[Runs], now: Sequence[Runs]) -> list[Row]:
    """The lines of the table: times and memory of both sides."""
    quantities = {
        ("`python mia.py`", "s"): lambda runs: runs.first.seconds,
        ("... its trainings", "s"): lambda runs: runs.first.trainings,
    }
    if all(len(runs.first.acts) == len(ACTS) for runs in (*before, *now)):
        for number, act in enumerate(ACTS):
            quantities[f"... {act}", "s"] = lambda runs, number=number: runs.first.acts[number]
    quantities |= {
        ("the same again, only drawn", "s"): lambda runs: runs.again.seconds,
        ("`python mia.py --quick`", "s"): lambda runs: runs.quick.seconds,
        ("memory of the main process", "GB"): lambda runs: runs.first.main_memory,
        ("... of the largest worker", "GB"): lambda runs: runs.first.worker_memory,
        ("... of all processes together", "GB"): lambda runs: runs.first.all_memory,
    }
    return [
        Row(what, unit, [quantity(runs) for runs in before], [quantity(runs) for runs in now])
        for (what, unit), quantity in quantities.items()
    ]


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument("--earlier", metavar="COMMIT", default=EARLIER, help="default: %(default)s")
    parser.add_argument(
        "--keras-epochs",
        type=epochs_to_measure,
        default=LEAST_EPOCHS,
        help="of each model in plain Keras (default: %(default)s)",
    )
    main(**vars(parser.parse_args()))
