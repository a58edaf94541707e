"""How long does it take to measure leakage, beside tensorflow_privacy's threshold attack?

On 50,000 member and 10,000 non-member losses in float64, drawn at random. The threshold attack on the entire
data set gives AUC and advantage; measure_leakage gives both with an interval, the held-out advantage, and the
true positive rates at low false positive rates. paired_contrast compares two models on the same images, with
intervals; beside it stand the attack on both models, which has none, and the usual way to an interval: draw
the images again and again, and take scikit-learn's AUC of both models.

Then whole commands, from the start of the process to its end: python -m leakage with its table, figure and
files, beside a program that does no more than the attack, on as many losses and on a million of either kind.

    python benchmarks/leakage.py [--rounds N]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.threshold_attack import attack
from benchmarks.timing import Row, conditions, in_turn, parser_with_rounds, seconds, table
from leakage.contrasts import paired_contrast
from leakage.estimates import Losses, measure_leakage

ROOT = Path(__file__).resolve().parents[1]
ROUNDS, COMMAND_ROUNDS = 20, 5
MEMBERS, NONMEMBERS, MANY = 50_000, 10_000, 1_000_000
BOOTSTRAP, BOOTSTRAP_MEASURED = 1000, 10  # samples for an interval, and samples drawn in a round


def draw(generator: np.random.Generator, members: int, nonmembers: int) -> Losses:
    """Losses like those of an overfit model: most of the members' small, the others' spread wider."""
    return Losses(generator.lognormal(-2, 2, members), generator.lognormal(-1, 2.5, nonmembers))


def bootstrap(first: Losses, second: Losses, generator: np.random.Generator) -> None:
    """Some of the samples of a paired bootstrap of the difference in AUC."""
    truth = np.repeat([1, 0], [MEMBERS, NONMEMBERS])
    for _ in range(BOOTSTRAP_MEASURED):
        members, nonmembers = (
            generator.integers(MEMBERS, size=MEMBERS),
            generator.integers(NONMEMBERS, size=NONMEMBERS),
        )
        for losses in (first, second):
            roc_auc_score(truth, -np.concatenate([losses.members[members], losses.nonmembers[nonmembers]]))


def refuse_other(auc: float, ours: float) -> None:
    """Ends the program if the two AUCs of the same losses differ."""
    if abs(auc - ours) > 1e-9:
        raise SystemExit("the AUCs differ: there is nothing to compare")


def whole_commands(rounds: int, losses: Losses) -> list[list[float]]:
    """Seconds of the attack as a program, and of python -m leakage, on the same two files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / "members.npy", folder / "nonmembers.npy"]
        for file, values in zip(files, (losses.members, losses.nonmembers), strict=True):
            np.save(file, values)

        def timed(program: list[str | Path], auc_of: Callable[[bytes], float]) -> tuple[float, float]:
            command, start = [sys.executable, *program, *files], time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            return time.perf_counter() - start, auc_of(done.stdout)

        def audited(_: bytes) -> float:
            return json.loads((folder / "audit.json").read_text())["trainings"][0]["loss"]["auc"]

        attack_alone = partial(timed, [ROOT / "benchmarks" / "threshold_attack.py"], float)
        audit = partial(timed, ["-m", "leakage", "--output", folder], audited)
        found = in_turn(rounds, attack_alone, audit)
    for (_, their_auc), (_, our_auc) in zip(*found, strict=True):
        refuse_other(their_auc, our_auc)
    return [[duration for duration, _ in side] for side in found]


def main(rounds: int, command_rounds: int = COMMAND_ROUNDS) -> None:
    """Measures and prints the Markdown."""
    generator = np.random.default_rng(0)
    first, second = (draw(generator, MEMBERS, NONMEMBERS) for _ in range(2))
    ours = measure_leakage(first.members, first.nonmembers)["auc"]
    refuse_other(attack(first.members, first.nonmembers), ours)  # also the first call, which imports all
    of_one, of_two, resampled, measure, contrast = in_turn(
        rounds,
        *(
            partial(seconds, work)
            for work in (
                lambda: attack(first.members, first.nonmembers),
                lambda: [attack(losses.members, losses.nonmembers) for losses in (first, second)],
                lambda: bootstrap(first, second, generator),
                lambda: measure_leakage(first.members, first.nonmembers),
                lambda: paired_contrast(first, second, ("first", "second")),
            )
        ),
    )
    rows = [
        ("`run_attacks`, against `measure_leakage`", of_one, measure),
        ("`run_attacks` on two models, against `paired_contrast`", of_two, contrast),
        (
            f"bootstrap of {BOOTSTRAP:,} samples, against `paired_contrast`",
            [duration * BOOTSTRAP / BOOTSTRAP_MEASURED for duration in resampled],
            contrast,
        ),
    ]
    milliseconds = [
        Row(what, "ms", *([1000 * duration for duration in side] for side in sides)) for what, *sides in rows
    ]
    print(table("other", "leakage/", milliseconds))
    print(
        f"\nOf the bootstrap {BOOTSTRAP_MEASURED} samples were measured in each round, the rest is computed."
    )
    many = draw(generator, MANY, MANY)
    whole = [
        Row(f"{len(losses.members):,} and {len(losses.nonmembers):,} losses", "s", *times)
        for losses, times in ((losses, whole_commands(command_rounds, losses)) for losses in (first, many))
    ]
    print()
    print(table("`run_attacks` as a program", "`python -m leakage`", whole))
    print(f"\nWhole commands were measured in {command_rounds} rounds.")
    print(conditions(rounds, "tensorflow-privacy", "scikit-learn", "numpy", "scipy"))


if __name__ == "__main__":
    main(**vars(parser_with_rounds(__doc__, ROUNDS).parse_args()))
