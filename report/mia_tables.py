"""The tables that mia.py prints, made from its results."""

import numpy as np
import pandas as pd
from scipy import special

from leakage.contrasts import student_interval
from leakage.estimates import Z
from support.command_line import show

FALSE_ALARM = 1e-4  # probability that one untrained model raises the alarm although nothing is wrong


def finished_line(row: dict) -> str:
    """One line for a finished training, from its last row of results."""
    return (
        f"{row['model']:>15} seed {row['seed']}  epoch {row['epoch']:3}  train {row['train_accuracy']:.4f}  "
        f"test {row['test_accuracy']:.4f}  AUC {row['auc']:.4f}  advantage {row['advantage']:.4f} "
        f"(null {row['null_advantage']:.4f})"
    )


def summary_table(results: pd.DataFrame) -> pd.DataFrame:
    """One row per model after the last epoch: means over the seeds, and 95% intervals in brackets.

    The interval is over the seeds (Student t) if there are several, else over the examples.
    """
    last = results[results.epoch == results.epoch.max()]
    return pd.DataFrame(
        {
            "model": name,
            "parameters": f"{group.parameters.iloc[0]:,}",
            "train accuracy": f"{group.train_accuracy.mean():.4f}",
            "test accuracy": f"{group.test_accuracy.mean():.4f}",
            "gap": f"{group.gap.mean():.4f}",
            "AUC": _with_interval(group, "auc"),
            "advantage": f"{group.advantage.mean():.4f}",
            "null": f"{group.null_advantage.mean():.4f}",
            "held-out advantage": _with_interval(group, "heldout_advantage"),
            "TPR at 0.1% FPR": f"{group.tpr_at_0p1pct_fpr.mean():.4f}",
        }
        for name, group in last.groupby("model", sort=False)
    )


def _with_interval(group: pd.DataFrame, measure: str) -> str:
    low, high = group[f"{measure}_low"].iloc[0], group[f"{measure}_high"].iloc[0]
    if len(group) > 1:
        low, high = student_interval(group[measure].to_numpy())
    return f"{group[measure].mean():.4f} [{low:.4f}, {high:.4f}]"


def contrast_table(contrasts: dict[str, list[dict]]) -> pd.DataFrame:
    """One row per pair of models: differences with 95% intervals, and the verdict."""

    def difference(contrast: dict, measure: str) -> str:
        value, low, high = (contrast[f"{measure}_{part}"] for part in ("difference", "low", "high"))
        return f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"

    return pd.DataFrame(
        {
            "experiment": name,
            "first - second": f"{contrast['first']} - {contrast['second']}",
            "AUC": difference(contrast, "auc"),
            "held-out advantage": difference(contrast, "heldout_advantage"),
            "verdict": contrast["verdict"],
        }
        for name, pairs in contrasts.items()
        for contrast in pairs
    )


def control_sentence(results: pd.DataFrame) -> str:
    """On epoch 0: an untrained model has seen no image, so nothing it says can betray one."""
    untrained = results[results.epoch == 0]
    low, high = special.logit(untrained.auc_low), special.logit(untrained.auc_high)
    misses = ((low > 0) | (high < 0)).sum()
    standard_errors = np.abs(special.logit(untrained.auc)) / ((high - low) / (2 * Z))
    loud = untrained[standard_errors > -special.ndtri(FALSE_ALARM / 2)]
    sentence = (
        f"Control: {len(untrained)} untrained models have AUCs from {untrained.auc.min():.4f} to "
        f"{untrained.auc.max():.4f}; {misses} of the 95% intervals miss 0.5 "
        f"({len(untrained) / 20:.1f} expected)."
    )
    if len(loud):
        names = ", ".join(f"{row.model} (seed {row.seed})" for row in loud.itertuples())
        sentence += (
            f"\nWARNING: UNTRAINED MODELS SEEM TO LEAK: {names}. Members and non-members differ before any "
            "training, so this run does not measure leakage alone. Check where the images come from."
        )
    return sentence


def print_conclusion(results: pd.DataFrame, contrasts: dict[str, list[dict]], exposures: list[dict]) -> None:
    """All that is to be said after the last epoch: models, pairs of models, control, exposed images."""
    over = "seeds" if results.seed.max() > 0 else "examples"
    print(f"\nAfter {results.epoch.max()} epochs; in brackets 95% intervals over {over}")
    show(summary_table(results))
    print(
        "gap: train less test accuracy, the advantage of calling a member whatever is classified correctly."
    )
    print("null: the advantage expected if nothing leaks; for the held-out advantage 0, for the AUC 0.5.\n")
    show(contrast_table(contrasts))
    if over == "examples":
        print("One seed: these verdicts are on these very models. Others may reverse them: try --seeds 5.")
    print(f"\n{control_sentence(results)}")
    for exposure in exposures:
        print(f"{exposure['model']}: {exposure['stability']}")
