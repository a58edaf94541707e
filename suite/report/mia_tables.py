"""The tables that mia.py prints: text, made from a study's tables (suite.study.tables.Study) alone."""

import math

import pandas as pd

from leakage.calibration import precision_table
from leakage.estimates import LOW_FPRS, nonmembers_needed
from suite.study.findings import AS_REPORTED
from suite.study.tables import Study


def reported(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of kinds or pairs after the last epoch, from which verdicts come."""
    return table[table["variant"] == AS_REPORTED]


def last_epoch(results: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last epoch, for each model, training and attack."""
    last = results.groupby(["model", "training", "attack"])["epoch"].transform("max")
    return results[results["epoch"] == last]


def ends_of(measure: str) -> tuple[str, str]:
    """The columns with the ends of a measure's interval; those of `x_difference` are x_low and x_high."""
    base = measure.removesuffix("_difference")
    return f"{base}_low", f"{base}_high"


def with_interval(row: pd.Series, measure: str, sign: str = "") -> str:
    """A number with its interval in brackets; the number alone where there is no interval."""
    low_name, high_name = ends_of(measure)
    value, low, high = row[measure], row[low_name], row[high_name]
    if pd.isna(low):
        return f"{value:{sign}z.4f}"
    return f"{value:{sign}z.4f} [{low:{sign}z.4f}, {high:{sign}z.4f}]"


# Each function below takes a study with the rows of one attack, if it does not say otherwise.


def models_table(study: Study) -> pd.DataFrame:
    """One row per model after its last epoch: accuracy on members and on others, the gap, and the leak."""
    kinds = reported(study.kinds).set_index("model")
    rows = []
    for model, last in last_epoch(study.results).groupby("model", sort=False):
        rows.append(
            {
                "model": model,
                "on members": f"{last['train_accuracy'].mean():.4f}",
                "on others": f"{last['test_accuracy'].mean():.4f}",
                "gap": f"{last['gap'].mean():.4f}",
                "AUC": with_interval(kinds.loc[model], "auc"),
                "held-out advantage": with_interval(kinds.loc[model], "heldout_advantage"),
            }
        )
    return pd.DataFrame(rows)


def given_fprs(study: Study) -> dict[str, float]:
    """The low false positive rates, by name, at which at least one model has a TPR."""
    kinds = reported(study.kinds)
    return {name: fpr for name, fpr in LOW_FPRS.items() if kinds[f"tpr_at_{name}_fpr"].notna().any()}


def extremes_table(study: Study) -> pd.DataFrame:
    """One row per model: the share of members found at a low false positive rate, and the share by chance."""
    fprs = given_fprs(study)
    kinds = reported(study.kinds).set_index("model")
    rows = []
    for model, trainings in last_epoch(study.results).groupby("model", sort=False):
        row = {"model": model}
        for name, fpr in fprs.items():
            row[f"TPR at {fpr:.1%} FPR (%)"] = _tpr(kinds.loc[model], f"tpr_at_{name}_fpr", fpr)
            chance = trainings[f"chance_tpr_at_{name}_fpr"].mean()
            row[f"by chance ({fpr:.1%})"] = "" if math.isnan(chance) else f"{100 * chance:.2f}"
        rows.append(row)
    return pd.DataFrame(rows)


def _tpr(kind: pd.Series, measure: str, fpr: float) -> str:
    """A true positive rate in per cent with its interval, or the number of non-members that it needs."""
    low_name, high_name = ends_of(measure)
    if pd.isna(kind[measure]):
        return f"needs {nonmembers_needed(fpr):,} non-members"
    if pd.isna(kind[low_name]):
        return f"{100 * kind[measure]:.2f}"
    return f"{100 * kind[measure]:.2f} [{100 * kind[low_name]:.2f}, {100 * kind[high_name]:.2f}]"


def pairs_table(study: Study) -> pd.DataFrame:
    """One row per pair: the first model minus the second, and the difference in AUC that would have been
    found in 80% of runs."""
    return pd.DataFrame(
        {
            "first - second": f"{row['first']} - {row['second']}",
            "AUC": with_interval(row, "auc_difference", "+"),
            "found in 80% of runs": "" if pd.isna(row["auc_detectable"]) else f"{row['auc_detectable']:.4f}",
        }
        for _, row in reported(study.pairs).iterrows()
    )


def certain_epsilon(study: Study) -> pd.Series:
    """The epsilon that each model certainly leaks of an image, by the last of the study's attacks.

    It is the median of the lower bounds of the model's trainings. In at most 5% of runs it is above the
    truth, see mia.least_epsilon.
    """
    last = last_epoch(study.results)
    stronger = last[last["attack"] == last["attack"].iloc[-1]]
    return stronger.groupby("model")["epsilon_low"].median()


def limits_table(study: Study) -> pd.DataFrame:
    """One row per model: the least epsilon, the advantage reached, and the largest that is possible.

    study: with the rows of all attacks.
    """
    rows = []
    certain = certain_epsilon(study)
    for model, last in last_epoch(study.results).groupby("model", sort=False):
        first = last.iloc[0]
        private = not pd.isna(first["advantage_bound"])
        rows.append(
            {
                "model": model,
                "epsilon at least": f"{certain[model]:.2f}",
                "advantage reached": f"{last['heldout_advantage'].max():z.3f}",
                "advantage at most": f"{first['advantage_bound']:.3f}" if private else "1",
                "epsilon at most": f"{first['epsilon']:g}" if private else "no limit",
            }
        )
    return pd.DataFrame(rows)


def sensitivity_table(study: Study) -> pd.DataFrame:
    """The AUC of each model and the difference of each pair, with one column for each variant."""
    rows = []
    for model, kinds in study.kinds.groupby("model", sort=False):
        ways = {row["variant"]: f"{row['auc']:.4f}" for _, row in kinds.iterrows()}
        rows.append({"model, or first - second": model} | ways)
    for (first, second), pairs in study.pairs.groupby(["first", "second"], sort=False):
        ways = {row["variant"]: f"{row['auc_difference']:+.4f}" for _, row in pairs.iterrows()}
        rows.append({"model, or first - second": f"{first} - {second}"} | ways)
    return pd.DataFrame(rows).fillna("")


def gains_table(study: Study) -> pd.DataFrame:
    """One row per model: the AUC of the calibrated attack minus that of the threshold attack."""
    return pd.DataFrame(
        {"model": row["model"], "gain in AUC": with_interval(row, "auc_gain", "+")}
        for _, row in reported(study.kinds).iterrows()
    )


def precisions_table(study: Study) -> pd.DataFrame:
    """One row per model: how many of the images that the attack calls members at 0.1% FPR are members, for
    several shares of members among the candidates. Of the first training; models with too few non-members
    are left out."""
    rows = []
    for model, trainings in last_epoch(study.results).groupby("model", sort=False):
        first = trainings.iloc[0]
        if pd.isna(first["tpr_at_0p1pct_fpr"]):
            continue
        row = {"model": model}
        for case in precision_table(first.to_dict()).itertuples():
            interval = f"[{case.precision_low:.1%}, {case.precision_high:.1%}]"
            row[f"if {case.prior:.0%} are members"] = f"{case.precision:.1%} {interval}"
        rows.append(row)
    return pd.DataFrame(rows)
