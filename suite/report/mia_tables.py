"""The tables of study 1: those written as CSV files, and those that mia.py prints, made from them alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from leakage.calibration import precision_table
from leakage.contrasts import holm, verdict
from leakage.estimates import LOW_FPRS, nonmembers_needed
from suite.study.exposure import Exposure
from suite.study.findings import AS_REPORTED, Pair

NONE = "no verdict"  # with which the verdict on a pair begins if there is none
REHEARSAL = f"{NONE}: a rehearsal"
# What every table of pairs has, the one without any pair too.
PAIR_COLUMNS = ("experiment", "attack", "equal", "variant", "first", "second", "auc_difference", "auc_p")
FEW_TRAININGS = 5  # with fewer, "no difference can be shown" says little


class Study(NamedTuple):
    """What was found, as tables with a row for each

    results: model, seed, attack and attacked epoch;
    curves: point of a curve of the last epoch: model, seed, attack, curve, x, y;
    kinds: model, attack and way to look: measures with intervals, over all trainings;
    pairs: pair, attack and way to look: differences with intervals, p values and verdict;
    exposures: by (model, attack): which training images are most exposed, see suite.study.exposure.
    """

    results: pd.DataFrame
    curves: pd.DataFrame
    kinds: pd.DataFrame
    pairs: pd.DataFrame
    exposures: dict[tuple[str, str], Exposure]

    def files(self) -> dict[str, pd.DataFrame]:
        """The tables by the names of their files; of exposures, a training image's mean rank in each."""
        tables = {f"mia_{name}.csv": getattr(self, name) for name in self._fields[:4]}
        ranks = [
            pd.Series(exposure.ranks, pd.Index(exposure.ids, name="image"), name=f"{model}_{attack}_rank")
            for (model, attack), exposure in self.exposures.items()
        ]
        if ranks:
            tables["mia_exposure.csv"] = pd.concat(ranks, axis=1).reset_index()
        return tables

    def of(self, attack: str) -> Study:
        """The part of the tables that is about one attack."""
        tables = [table[table["attack"] == attack] for table in self[:4]]
        return Study(*tables, {key: value for key, value in self.exposures.items() if key[1] == attack})

    def about(self, models: Sequence[str]) -> Study:
        """The part of the tables that is about these models, and pairs of these alone."""
        tables = [table[table["model"].isin(models)] for table in self[:3]]
        pairs = self.pairs[self.pairs["first"].isin(models) & self.pairs["second"].isin(models)]
        exposures = {key: value for key, value in self.exposures.items() if key[0] in models}
        return Study(*tables, pairs, exposures)

    def judged(self, rehearsal: bool = False) -> Study:
        """With verdicts: one for each pair and attack, as reported, on the AUC, adjusted over all these. A
        rehearsal has none."""
        reported = self.pairs["variant"] == AS_REPORTED
        pairs = self.pairs.assign(auc_adjusted_p=np.nan, verdict="")
        if rehearsal:
            pairs.loc[reported, "verdict"] = REHEARSAL
            return self._replace(pairs=pairs)
        p_values = [None if pd.isna(p) else p for p in pairs.loc[reported, "auc_p"]]
        pairs.loc[reported, "auc_adjusted_p"] = np.array(holm(p_values), dtype=float)
        pairs.loc[reported, "verdict"] = [
            verdict({**row, "auc_p": None if pd.isna(row["auc_p"]) else row["auc_p"]}, row["auc_adjusted_p"])
            for _, row in pairs[reported].iterrows()
        ]
        return self._replace(pairs=pairs)


def joined(studies: Sequence[Study]) -> Study:
    """Several studies in one; what stands in several of them, once."""
    keys = (["model", "seed", "attack", "epoch"], None, ["model", "attack", "variant"], None)
    tables = [
        pd.concat(parts, ignore_index=True).drop_duplicates(key, ignore_index=True)
        for parts, key in zip(zip(*(study[:4] for study in studies), strict=True), keys, strict=True)
    ]
    return Study(*tables, {key: value for study in studies for key, value in study.exposures.items()})


def study_of(
    attack: str,
    answers: dict[tuple[str, ...], dict],
    experiments: dict[str, Sequence[Pair]],
    pictured: Sequence[str],
) -> Study:
    """The tables of one attack, from the answers to suite.study.findings' questions.

    experiments: their pairs, by name. pictured: models of which the exposure of single images is kept.
    """
    trainings = [answer for (about, *_), answer in answers.items() if about == "training"]
    kinds = {which[1]: answer for which, answer in answers.items() if which[0] == "kind"}
    pairs = [(name, pair) for name, of_experiment in experiments.items() for pair in of_experiment]
    return Study(
        _frame(row for training in trainings for row in training["rows"]),
        _frame(
            {name: training["rows"][-1][name] for name in ("model", "seed", "attack")} | point
            for training in trainings
            for point in _points(training["curves"])
        ),
        _frame(
            {"model": model, "attack": attack} | row for model, kind in kinds.items() for row in kind["rows"]
        ),
        _frame(
            (
                {"experiment": name, "attack": attack, "equal": pair.equal} | row
                for name, pair in pairs
                for row in answers["pair", pair.first, pair.second]["rows"]
            ),
            PAIR_COLUMNS,
        ),
        {
            (model, attack): Exposure(
                **{part: kinds[model][f"exposure_{part}"] for part in ("ids", "ranks", "agreement", "chance")}
            )
            for model in pictured
            if model in kinds
        },
    )


def _frame(rows: Iterable[dict], columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table in which what cannot be given is NaN, so that columns of numbers hold nothing else; without any
    row it has these columns."""
    table = pd.DataFrame(rows).fillna(np.nan).infer_objects()
    return table if len(table) else pd.DataFrame(columns=list(columns))


def _points(curves: dict[str, list[float]]) -> list[dict]:
    """The points of one training's curves, as rows of the table of curves."""
    points = {
        "roc": ("fprs", "tprs"),
        "member losses": ("member_losses", "levels"),
        "non-member losses": ("nonmember_losses", "levels"),
        "bound": ("bound_fprs", "bound_tprs"),
    }
    return [
        {"curve": name, "x": x, "y": y}
        for name, both in points.items()
        if both[0] in curves
        for x, y in zip(*(curves[part] for part in both), strict=True)
    ]


# ------------------------------------------------------------------------------------ what is printed


def last_epoch(results: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model's, seed's and attack's last epoch."""
    last = results.groupby(["model", "seed", "attack"])["epoch"].transform("max")
    return results[results["epoch"] == last]


def with_interval(row: pd.Series, measure: str, sign: str = "") -> str:
    """A number with its interval in brackets; the number alone where there is no interval."""
    value, low, high = (row[name] for name in (measure, *ends_of(measure)))
    if pd.isna(low):
        return f"{value:{sign}.4f}"
    return f"{value:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def ends_of(measure: str) -> tuple[str, str]:
    """The columns of an interval's ends; a difference's are named after what it is a difference of."""
    base = measure.removesuffix("_difference")
    return f"{base}_low", f"{base}_high"


def models_table(study: Study) -> pd.DataFrame:
    """One row per model after the last epoch: means over the trainings, with 95% intervals in brackets."""
    last = last_epoch(study.results).groupby("model", sort=False)
    kinds = study.kinds[study.kinds["variant"] == AS_REPORTED].set_index("model")
    return pd.DataFrame(
        {
            "model": model,
            "parameters": f"{rows['parameters'].iloc[0]:,}",
            "train": f"{rows['train_accuracy'].mean():.4f}",
            "test": f"{rows['test_accuracy'].mean():.4f}",
            "gap": f"{rows['gap'].mean():.4f}",
            "AUC": with_interval(kinds.loc[model], "auc"),
            "held-out advantage": with_interval(kinds.loc[model], "heldout_advantage"),
        }
        for model, rows in last
    )


EXTREMES = [
    *(
        (f"tpr_at_{name}_fpr", f"TPR at {fpr:.1%} FPR (%)", nonmembers_needed(fpr))
        for name, fpr in LOW_FPRS.items()
    ),
    ("tnr_at_1pct_fnr", "TNR at 1.0% FNR (%)", nonmembers_needed(0.01)),
]


def extremes_table(study: Study) -> pd.DataFrame:
    """One row per model: the members named at low false positive rates, and the non-members recognised at a
    low false negative rate; means over the trainings of value and interval over examples, and chance."""
    rows = []
    for model, group in last_epoch(study.results).groupby("model", sort=False):
        row = {"model": model}
        for measure, title, needed in EXTREMES:
            mean = group[[measure, *ends_of(measure), f"chance_{measure}"]].mean()
            row[title] = f"needs {needed:,}"
            if not math.isnan(mean[measure]):
                value, low, high, chance = (f"{100 * number:.2f}" for number in mean)
                row[title] = f"{value} [{low}, {high}], {chance}"
        rows.append(row)
    return pd.DataFrame(rows)


def pairs_table(study: Study) -> pd.DataFrame:
    """One row per pair: first less second with 95% intervals, and the adjusted p value if there is any."""
    reported = study.pairs[study.pairs["variant"] == AS_REPORTED]
    table = pd.DataFrame(
        {
            "first - second": f"{row['first']} - {row['second']}",
            "AUC": with_interval(row, "auc_difference", "+"),
            "held-out advantage": with_interval(row, "heldout_advantage_difference", "+"),
            "p, adjusted": "" if pd.isna(row["auc_adjusted_p"]) else f"{row['auc_adjusted_p']:.2g}",
        }
        for _, row in reported.iterrows()
    )
    return table.loc[:, (table != "").any()]


def sensitivity_table(study: Study) -> pd.DataFrame:
    """The AUC of each model, and the difference of each pair, looked at in each way that there is."""
    rows = []
    for table, measure, sign, names in (
        (study.kinds, "auc", "", ["model"]),
        (study.pairs, "auc_difference", "+", ["first", "second"]),
    ):
        for name, group in table.groupby(names, sort=False):
            ways = {row["variant"]: f"{row[measure]:{sign}.4f}" for _, row in group.iterrows()}
            rows.append({"model, or first - second": " - ".join(name)} | ways)
    return pd.DataFrame(rows).fillna("")


def classes_differ(study: Study) -> pd.Series:
    """By model, the p value of the test whether its classes' AUCs differ at all, adjusted over the models;
    NaN where a class has too few examples for the test."""
    kinds = study.kinds[study.kinds["variant"] == AS_REPORTED].set_index("model")
    p_values = [None if pd.isna(p) else p for p in kinds["classes_p"]]
    return pd.Series(holm(p_values), kinds.index, dtype=float)


def gains_table(study: Study) -> pd.DataFrame:
    """One row per model: what the calibrated attack finds more than the threshold attack on the same target,
    means over the trainings of the gain in AUC and of its interval over examples."""
    columns = ["auc_gain", "auc_gain_low", "auc_gain_high"]
    return pd.DataFrame(
        {"model": model, "gain in AUC": with_interval(group[columns].mean(), "auc_gain", "+")}
        for model, group in last_epoch(study.results).groupby("model", sort=False)
    )


def precisions_table(study: Study) -> pd.DataFrame:
    """One row per model: of those named at 0.1% FPR, how many are members (%), by the share of members among
    the candidates; the first training's, with 95% intervals over examples. Models with too few non-members
    are left out."""
    rows = []
    for model, group in last_epoch(study.results).groupby("model", sort=False):
        report = group.iloc[0].to_dict()
        if not pd.isna(report["tpr_at_0p1pct_fpr"]):
            table = precision_table(report)
            rows.append(
                {"model": model}
                | {
                    f"if {row.prior:.0%} are members": f"{row.precision:.1%} "
                    f"[{row.precision_low:.1%}, {row.precision_high:.1%}]"
                    for row in table.itertuples()
                }
            )
    return pd.DataFrame(rows)
