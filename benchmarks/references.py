"""How many reference models does the calibrated attack need, and how does it compare with other attacks?

All attacks take the same losses, of one target, dense4_10c, and of the first 2, 4, 6 and 16 of its reference
models; beside them stands the threshold on the loss alone. LiRA (Carlini et al. 2022) models log(p / (1 - p))
of each image as normal: online, it compares how likely the target's value is under the references that were
trained on the image with how likely under the rest, with one variance for all images, since a few references
do not show each image's own; offline, it asks how far the target's value lies above the mean of the rest.
Watson et al. (2022) subtract from the target's loss the mean loss of the references that were not trained on
the image. Attacks on one target with equally many references are compared on the same images.

What costs is the training of the references, the same for all attacks. Targets and references are those of
mia.py, which keeps them in data/cache/cells/: what either has trained, the other does not train again.

    python benchmarks/references.py [--seeds N] [--jobs N] [--rounds N]
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import loky
import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import machine, markdown, parser_with_rounds, seconds
from benchmarks.ways_to_train import images, model_named
from leakage.calibration import calibrated, reference_losses
from leakage.command_line import run
from leakage.contrasts import paired_contrast
from leakage.estimates import Losses, measure_leakage
from leakage.output import output_folder
from mia import CELLS, cell_of, training_job
from suite.jobs.jobs import Job, run_jobs
from suite.jobs.workers import processes
from suite.sources.cifar10 import Cifar10, digests_of
from suite.study.findings import losses_at
from suite.support.command_line import whole_number

MODEL, ROUNDS = "dense4_10c", 5
COUNTS = (2, 4, 6, 16)
# Low means member, as for a loss: from the target's losses (N,), those of references (K, N), and whether a
# reference was trained on the image, bool (K, N).
Score = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def log_odds(losses: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of losses -log p, which is -log(expm1(loss)), without overflow or rounding to 0 for
    losses from 1e-300 to 1e300."""
    with np.errstate(divide="ignore"):  # a loss of 0 has infinite odds
        return -losses - np.log(-np.expm1(-losses))


def lira_online(own: np.ndarray, losses: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """LiRA's online score (Carlini et al. 2022, algorithm 1) with global variances; negative, low = member.

    own (N,): the target's losses. losses (K, N): the references', finite and above 0. trained (K, N): whether
    a reference was trained on the image; some and not all are, for each image. The variances are those within
    images, pooled over all of them. Where a single pair does not show them, they are taken to be equal, and
    then their size is without influence on the order of the images.
    """
    of_target, of_references = log_odds(own), log_odds(losses)
    mean_in, variance_in = _mean_and_pooled_variance(of_references, trained)
    mean_out, variance_out = _mean_and_pooled_variance(of_references, ~trained)
    if np.isnan(variance_in) or np.isnan(variance_out):
        variance_in = variance_out = 1.0
    likely_out = stats.norm.logpdf(of_target, mean_out, np.sqrt(variance_out))
    return likely_out - stats.norm.logpdf(of_target, mean_in, np.sqrt(variance_in))


def lira_offline(own: np.ndarray, losses: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """LiRA's offline, one-sided score (Carlini et al. 2022) with a global variance; negative, low = member.

    Arguments as for lira_online. The paper's score is the probability that a normal variable, with the mean
    and variance of the references that were not trained on the image, stays below the target's value. With
    one variance for all images that is a rising function of the difference, which is returned, because the
    probabilities themselves would be tied at 1.
    """
    return _mean_and_pooled_variance(log_odds(losses), ~trained)[0] - log_odds(own)


def watson(own: np.ndarray, losses: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """The loss less the mean loss of the references that were not trained on the image (Watson et al. 2022,
    "On the Importance of Difficulty Calibration in Membership Inference Attacks", section 3); low = member.

    Arguments as for lira_online.
    """
    return own - _mean_and_pooled_variance(losses, ~trained)[0]


def _mean_and_pooled_variance(values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the chosen values (K, N) of each image, and the variance around it, NaN if nothing shows it."""
    counts = chosen.sum(axis=0)
    means = np.where(chosen, values, 0.0).sum(axis=0) / counts
    freedom = (counts - 1).sum()
    squares = np.where(chosen, (values - means) ** 2, 0.0).sum()
    return means, float(squares / freedom) if freedom else float("nan")


def by_score(score: Score, target: Losses, references: Sequence[Losses]) -> Losses:
    """What a score makes of the target's losses."""
    found = score(np.concatenate([target.members, target.nonmembers]), *reference_losses(target, references))
    split = len(target.members)
    return Losses(found[:split], found[split:], target.member_ids, target.nonmember_ids)


ATTACKS: dict[str, Callable[[Losses, Sequence[Losses]], Losses]] = {
    "calibrated": calibrated,  # with which the rest are compared
    "LiRA online": partial(by_score, lira_online),
    "LiRA offline": partial(by_score, lira_offline),
    "less mean out-loss": partial(by_score, watson),
}


def comparison(target: Losses, references: Sequence[Losses], counts: Sequence[int], rounds: int) -> str:
    """The Markdown table, a row for each attack and number of references: AUC; what it has more than the
    calibrated attack with as many; TPR at 1% and at 0.1% FPR; all with intervals over images; and the least
    of the seconds that the attack itself took in `rounds` rounds."""
    rows = [["loss alone", "0", *_measured(target), ""]]
    for count in counts:
        of_count = {name: attack(target, references[:count]) for name, attack in ATTACKS.items()}
        for name, found in of_count.items():
            rival = of_count["calibrated"] if name != "calibrated" else None
            least = min(seconds(partial(ATTACKS[name], target, references[:count])) for _ in range(rounds))
            rows.append([name, str(count), *_measured(found, rival), f"{least:.2f}"])
    rates = ("TPR at 1% FPR", "TPR at 0.1% FPR")
    return markdown(["attack", "references", "AUC", "AUC more than calibrated", *rates, "seconds"], rows)


def _measured(losses: Losses, rival: Losses | None = None) -> list[str]:
    report = measure_leakage(losses.members, losses.nonmembers)
    more = ""
    if rival:
        contrast = paired_contrast(losses, rival, ("attack", "rival"))
        more = "{auc_difference:+.4f} [{auc_low:+.4f}, {auc_high:+.4f}]".format(**contrast)
    rates = []
    for name in ("tpr_at_1pct_fpr", "tpr_at_0p1pct_fpr"):
        value, low, high = (report[f"{name}{end}"] for end in ("", "_low", "_high"))
        rates.append("" if value is None else f"{value:.2%} [{low:.2%}, {high:.2%}]")
    return ["{auc:.4f} [{auc_low:.4f}, {auc_high:.4f}]".format(**report), more, *rates]


def main(
    rounds: int,
    seeds: int = 1,
    jobs: int | None = None,
    counts: Sequence[int] = COUNTS,
    epochs: int | None = None,
    folder: Path = CELLS,
    data: Cifar10 | None = None,
) -> None:
    """Trains what is not kept, and prints the Markdown. counts: numbers of references, even, rising. epochs,
    folder, data: those of mia.py if not given."""
    jobs = jobs or loky.cpu_count()
    digest = "".join(digests_of(data or images()).values())

    def trainings(count: int, reference: bool) -> list[Job]:
        cells = [cell_of(model_named(MODEL), number, epochs, 1.0, reference) for number in range(count)]
        return [training_job(cell, data, digest, threads=jobs) for cell in cells]

    targets, references = trainings(seeds, False), trainings(counts[-1], True)
    kept = run_jobs("trainings", targets + references, output_folder(folder), partial(processes, jobs))
    rivals = [kept[job.name].read() for job in references]
    for target in targets:
        print(f"\n`{target.name}`:\n")
        losses = losses_at(kept[target.name].read(), -1)
        print(comparison(losses, [losses_at(rival, -1) for rival in rivals], counts, rounds))
    took = [float(rival["seconds"]) for rival in rivals]
    print(f"\nIntervals: 95%, over images. Seconds: of the attack alone, the least of {rounds} rounds;")
    print(f"to train a reference took {statistics.median(took):.0f} ({min(took):.0f} to {max(took):.0f}) s.")
    print(f"\n{machine('tensorflow', 'numpy', 'scipy')}")


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument("--seeds", type=whole_number, default=1, help="targets (default: %(default)s)")
    parser.add_argument("--jobs", type=whole_number, help="trainings at a time (default: as many as cores)")
    run("references.py", lambda: main(**vars(parser.parse_args())))
