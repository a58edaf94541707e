"""How many reference models does the calibrated attack need, and how does it compare with LiRA?

Both attacks take the same losses of the same target and references, the first 2, 4, 6 and 16 of them; beside
them stands the threshold on the loss alone. LiRA (Carlini et al. 2022) models log(p / (1 - p)) of each image
as normal: online, it compares how likely the target's value is under the references that were trained on the
image with how likely under the others, with one variance for all images, since a few references do not show
each image's own; offline, it asks how far the target's value lies above the mean of the others. What costs is
the training of references, the same for all; the time of the attack itself is printed.

    python benchmarks/references.py TARGET REFERENCE REFERENCE ... [--rounds N]

TARGET and each REFERENCE is a .npz file with the arrays members, nonmembers, member_ids and nonmember_ids, as
in leakage.estimates.Losses, the references in complementary pairs, one pair after the other.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import machine, parser_with_rounds, seconds
from leakage.calibration import calibrated, reference_losses
from leakage.estimates import Losses, measure_leakage
from support.command_line import BadInput, run, show

ROUNDS = 5
COUNTS = (2, 4, 6, 16)


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


def _mean_and_pooled_variance(values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the chosen values (K, N) of each image, and the variance around it, NaN if nothing shows it."""
    counts = chosen.sum(axis=0)
    means = np.where(chosen, values, 0.0).sum(axis=0) / counts
    freedom = (counts - 1).sum()
    squares = np.where(chosen, (values - means) ** 2, 0.0).sum()
    return means, float(squares / freedom) if freedom else float("nan")


def comparison(target: Losses, references: Sequence[Losses], rounds: int) -> pd.DataFrame:
    """One row per attack and number of references: AUC with its interval over images, TPR at 1% and at 0.1%
    FPR, and the least of the seconds that the attack itself took in `rounds` rounds."""
    split = len(target.members)

    def lira(score, references: Sequence[Losses]) -> Losses:
        own = np.concatenate([target.members, target.nonmembers])
        found = score(own, *reference_losses(target, references))
        return Losses(found[:split], found[split:])

    attacks = {
        "calibrated": partial(calibrated, target),
        "LiRA online": partial(lira, lira_online),
        "LiRA offline": partial(lira, lira_offline),
    }
    rows = [{"attack": "loss alone", "references": 0} | _found(target)]
    for count in (count for count in COUNTS if count <= len(references)):
        for name, attack in attacks.items():
            work = partial(attack, references[:count])
            least = min(seconds(work) for _ in range(rounds))
            rows.append({"attack": name, "references": count} | _found(work()) | {"seconds": f"{least:.2f}"})
    return pd.DataFrame(rows).fillna("")


def _found(losses: Losses) -> dict[str, str]:
    report = measure_leakage(losses.members, losses.nonmembers)
    return {
        "AUC": "{auc:.4f} [{auc_low:.4f}, {auc_high:.4f}]".format(**report),
        "TPR at 1% FPR": f"{report['tpr_at_1pct_fpr']:.2%}",
        "at 0.1%": f"{report['tpr_at_0p1pct_fpr']:.3%}",
    }


def losses_of(path: str) -> Losses:
    """The losses in a .npz file; BadInput if it is none, or lacks an array."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = ("members", "nonmembers", "member_ids", "nonmember_ids")
            return Losses(*(arrays[name] for name in names))
    except (OSError, ValueError, KeyError, AttributeError) as problem:
        raise BadInput(f"{path} does not hold the losses of a model: {problem}") from None


def main(target: str, references: Sequence[str], rounds: int) -> None:
    """Compares and prints."""
    show(comparison(losses_of(target), [losses_of(path) for path in references], rounds))
    print(f"\nSeconds: the least of {rounds} rounds.\n{machine('numpy', 'scipy')}")


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("references", metavar="REFERENCE", nargs="+")
    run("references.py", lambda: main(**vars(parser.parse_args())))
