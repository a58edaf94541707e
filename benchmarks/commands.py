"""How long do laplace.py and the audit take, from the start of Python to the last file?

Each command is run as a reader runs it, in an empty folder. The audit's losses are made up beforehand: normal
numbers, lower by half a standard deviation in members.

    python benchmarks/commands.py [--rounds N]
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import conditions, in_fresh_process, in_turn, markdown, parser_with_rounds, spread

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
SHIFT = 0.5  # by which members' losses are lower, in standard deviations: an AUC of 0.64
REFERENCES, PERSON_ROWS, GROUPS, CLASSES = 4, 5, 10, 10


class Command(NamedTuple):
    """What is run, and the files that it reads.

    arguments: of Python, where {root} is this project's folder. rows: for each side, members and non-members.
    write: makes the files in a folder, with so many rows; None if the command needs none.
    """

    what: str
    arguments: str
    rows: int = 0
    write: Callable[[Path, int], None] | None = None


class Times(NamedTuple):
    """One run: seconds of the clock, seconds of all processors, and the peak memory of the process in GB."""

    clock: float
    processors: float
    memory: float


UNITS = Times("s", "s", "GB")

# ----------------------------------------------------------------------------------------- made-up losses


def write_losses(folder: Path, rows: int) -> None:
    """Two CSV files with a loss in each line."""
    generator = np.random.default_rng(0)
    for name, mean in (("members", -SHIFT), ("nonmembers", 0.0)):
        pd.DataFrame({"loss": generator.normal(mean, size=rows)}).to_csv(folder / f"{name}.csv", index=False)


def write_references(folder: Path, rows: int) -> None:
    """The losses, and those of reference models on the same examples, members first (models, 2 rows)."""
    write_losses(folder, rows)
    losses = [pd.read_csv(folder / f"{name}.csv")["loss"] for name in ("members", "nonmembers")]
    noise = np.random.default_rng(1).normal(size=(REFERENCES, 2 * rows))
    np.save(folder / "references.npy", np.concatenate([losses[0] + SHIFT, losses[1]]) + noise)


def write_logits(folder: Path, rows: int) -> None:
    """Two arrays of logits (rows, classes), and two of the true classes (rows,)."""
    generator = np.random.default_rng(0)
    for name, certainty in (("member", 1 + SHIFT), ("other", 1.0)):
        labels = generator.integers(CLASSES, size=rows)
        logits = generator.normal(size=(rows, CLASSES))
        logits[np.arange(rows), labels] += certainty
        np.save(folder / f"{name}_labels.npy", labels)
        np.save(folder / f"{name}_logits.npy", logits)


def write_persons(folder: Path, rows: int) -> None:
    """One table with a person, a group, and a loss in each row; half of the persons are members."""
    generator = np.random.default_rng(0)
    person = np.arange(2 * rows) // PERSON_ROWS
    member = (person < person[-1] / 2).astype(int)
    of_person = generator.normal(size=person[-1] + 1)[person]
    loss = of_person + generator.normal(size=2 * rows) - SHIFT * member
    table = pd.DataFrame({"person": person, "group": person % GROUPS, "member": member, "loss": loss})
    table.to_csv(folder / "table.csv", index=False)


# ----------------------------------------------------------------------------------------------- measuring

LAPLACE = "{root}/laplace.py --data {root}/data/credit_sample.csv --figures ."
AUDIT = "-m leakage members.csv nonmembers.csv"
OF_REFERENCES = "--references references.npy --reference-members none --examples"
OF_LOGITS = "-m leakage member_logits.npy other_logits.npy --labels member_labels.npy other_labels.npy"
OF_TABLE = "-m leakage table.csv --column loss --member-column member --person-column person"
COMMANDS = [
    Command("`laplace.py`", LAPLACE),
    Command("... `--iterations 1000000`", f"{LAPLACE} --iterations 1000000"),
    Command("the audit of 30,000 losses a side", AUDIT, 30_000, write_losses),
    Command("... and 4 references, `--examples`", f"{AUDIT} {OF_REFERENCES}", 30_000, write_references),
    Command("... of 10 logits instead of each loss", OF_LOGITS, 30_000, write_logits),
    Command("... of 1,000,000 losses a side", AUDIT, 1_000_000, write_losses),
    Command(
        "... of 10,000 persons a side, 5 losses each, in 10 groups",
        f"{OF_TABLE} --group-column group",
        10_000 * PERSON_ROWS,
        write_persons,
    ),
]


def times_of(command: Command, share: float) -> Times:
    """Makes the command's files in an empty folder, and runs it there. share: of its rows, 0 to 1."""
    words = [sys.executable, *(word.format(root=ROOT) for word in command.arguments.split())]
    with tempfile.TemporaryDirectory() as folder:
        if command.write:
            command.write(Path(folder), round(command.rows * share))
        # A process counts the memory of the one that starts it as its own, so that one must be small.
        status, times = in_fresh_process(run_in, folder, words)
    if status:
        raise SystemExit(f"{command.what} ended with status {status}")
    return times


def run_in(folder: str, words: Sequence[str]) -> tuple[int, Times]:
    """Runs a command in a folder; returns its exit status, and what it took."""
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, env=surroundings, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    clock = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait for it again
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    return process.returncode, Times(clock, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e9)


def main(rounds: int, commands: Sequence[Command] = COMMANDS, share: float = 1.0) -> None:
    """Measures, and prints the table in Markdown. share: of each command's rows."""
    measured = in_turn(rounds, *(partial(times_of, command, share) for command in commands))
    lines = []
    for command, runs in zip(commands, measured, strict=True):
        quantities = zip(*runs, strict=True)  # of all rounds: clock, processors, memory
        cells = [f"{spread(values)} {unit}" for values, unit in zip(quantities, UNITS, strict=True)]
        lines.append([command.what, *cells])
    print(markdown(["", "clock", "all processors", "peak memory"], lines))
    print(f"\n{conditions(rounds, 'numpy', 'scipy', 'pandas', 'matplotlib')}")


if __name__ == "__main__":
    main(**vars(parser_with_rounds(__doc__, ROUNDS).parse_args()))
