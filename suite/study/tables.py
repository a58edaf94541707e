"""The tables of study 1. They are written as CSV files, printed, and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

# The columns that every table of pairs has, even without rows.
PAIR_COLUMNS = ["experiment", "attack", "equal", "variant", "first", "second", "trainings", "verdict"]
IMAGE_COLUMNS = ["image", "label"]  # of the table of memorisation
KEYS = {  # no two rows of a table agree in all of these columns
    "results": ["model", "training", "attack", "epoch"],
    "curves": None,
    "kinds": ["model", "attack", "variant"],
    "pairs": None,
}


@dataclass(frozen=True)
class Study:
    """The results of the study as tables, and the figures drawn from them, by the names of their files.

    Study() has no rows: the beginning, to which each act is joined.

    results: one row per model, training, attack and attacked epoch. curves: one row per point of a curve
    after the last epoch: model, training, attack, curve, x, y. kinds: one row per model, attack and variant:
    measures over all trainings, with intervals. pairs: one row per pair, attack and variant: differences with
    intervals, and the verdict. memorisation: one row per image: its number, its label, and for each pictured
    model its memorisation and its mean loss as a member, in nats.
    """

    results: pd.DataFrame = field(default_factory=pd.DataFrame)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    kinds: pd.DataFrame = field(default_factory=pd.DataFrame)
    pairs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PAIR_COLUMNS))
    memorisation: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=IMAGE_COLUMNS))
    figures: dict[str, Figure] = field(default_factory=dict, repr=False)

    def files(self) -> dict[str, pd.DataFrame]:
        """The tables by the names of their files."""
        return {
            "mia_results.csv": self.results,
            "mia_curves.csv": self.curves,
            "mia_kinds.csv": self.kinds,
            "mia_pairs.csv": self.pairs,
            "mia_memorisation.csv": self.memorisation,
        }

    def of(self, attack: str) -> Study:
        """The same study, with the rows of one attack only."""
        parts = {name: getattr(self, name) for name in KEYS}
        return replace(self, **{name: table[table["attack"] == attack] for name, table in parts.items()})

    def about(self, models: Sequence[str]) -> Study:
        """The same study, with the rows of these models only, and of pairs of two of them."""
        both = self.pairs["first"].isin(models) & self.pairs["second"].isin(models)
        parts = {name: getattr(self, name) for name in ("results", "curves", "kinds")}
        tables = {name: table[table["model"].isin(models)] for name, table in parts.items()}
        return replace(self, pairs=self.pairs[both], **tables)

    def with_figures(self, figures: Mapping[str, Figure]) -> Study:
        """The same study with these figures added."""
        return replace(self, figures={**self.figures, **figures})

    def __repr__(self) -> str:
        lengths = [f"{name} ({len(table):,} rows)" for name, table in self.files().items()]
        return f"Study: {', '.join(lengths)}; {len(self.figures)} figures"


def joined(*studies: Study) -> Study:
    """Several studies as one. Rows that two of them have appear once."""
    tables = {}
    for name, key in KEYS.items():
        parts = [getattr(study, name) for study in studies]
        filled = [part for part in parts if len(part)] or parts[:1]
        tables[name] = pd.concat(filled, ignore_index=True).drop_duplicates(key, ignore_index=True)
    # All images of all pictured models stand in one act, the first that has any.
    images = [study.memorisation for study in studies]
    memorisation = next((table for table in images if len(table)), images[0])
    figures = {name: figure for study in studies for name, figure in study.figures.items()}
    return Study(**tables, memorisation=memorisation, figures=figures)


def study_of(
    attacked: Sequence[dict],
    described: Mapping[str, dict],
    compared: Mapping[str, Sequence[dict]],
    labels: np.ndarray,
    pictured: Sequence[str],
) -> Study:
    """The tables of one attack.

    attacked: what attack_trainings returned, for each model. described: what describe_kind returned, by the
    model's name. compared: what compare_kinds returned for each pair, by the experiment's name. labels: the
    class of every image (N,), by the image's number. pictured: names of the models whose memorisation of
    single images is kept.
    """
    return Study(
        results=_frame(row for of_model in attacked for row in of_model["rows"]),
        curves=_frame(
            {**about, "curve": name, "x": x, "y": y}
            for of_model in attacked
            for about, curves in of_model["curves"]
            for name, points in curves.items()
            for x, y in zip(*points, strict=True)
        ),
        kinds=_frame({"model": model, **row} for model, kind in described.items() for row in kind["rows"]),
        pairs=_frame(
            (
                {"experiment": experiment, **row}
                for experiment, of_pairs in compared.items()
                for of_pair in of_pairs
                for row in of_pair["rows"]
            ),
            PAIR_COLUMNS,
        ),
        memorisation=_memorisation(
            {model: described[model] for model in pictured if "memorisation" in described.get(model, {})},
            labels,
        ),
    )


def _memorisation(described: Mapping[str, dict], labels: np.ndarray) -> pd.DataFrame:
    """One row for each image of the pictured models' pools. labels: of every image, by its number."""
    columns = []
    for model, of_model in described.items():
        index = pd.Index(of_model["image_ids"], name="image")
        columns.append(pd.Series(of_model["memorisation"], index, name=f"{model}_memorisation"))
        columns.append(pd.Series(of_model["member_loss"], index, name=f"{model}_member_loss"))
    if not columns:
        return pd.DataFrame(columns=IMAGE_COLUMNS)
    table = pd.concat(columns, axis=1).reset_index()
    table.insert(1, "label", labels[table["image"]])
    return table


def _frame(rows: Iterable[dict], columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table of these rows. What is missing is NaN, so that columns of numbers hold nothing else. Without
    rows the table has these columns."""
    table = pd.DataFrame(rows).fillna(np.nan).infer_objects()
    return table if len(table) else pd.DataFrame(columns=list(columns))
