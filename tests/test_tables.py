"""suite/study/tables.py: every number of an act stands in its table once, whichever acts are joined."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from suite.study.tables import joined, study_of

LABELS = np.array([3, 1, 4, 1, 5, 9])


def attacked(model, attack, numbers, extra=()):
    """What attack_trainings returns, with the numbers of two trainings, and a curve of each."""
    rows = [
        {"model": model, "training": training, "attack": attack, "epoch": 4, "auc": number, **dict(extra)}
        for training, number in enumerate(numbers)
    ]
    curves = [
        [{"model": model, "training": training, "attack": attack}, {"roc": [[0.0, 1.0], [0.0, number]]}]
        for training, number in enumerate(numbers)
    ]
    return {"rows": rows, "curves": curves}


def described(attack, auc, image_ids=None):
    rows = [
        {"attack": attack, "variant": "as reported", "auc": auc, "tpr": None, "classes_above": "cat"},
        {"attack": attack, "variant": "at best epoch", "auc": auc - 0.1, "tpr": None},
    ]
    if image_ids is None:
        return {"rows": rows}
    return {
        "rows": rows,
        "image_ids": np.array(image_ids),
        "memorisation": np.array(image_ids) / 10,
        "member_loss": np.array(image_ids) / 100,
    }


def compared(attack, first, second):
    return {
        "rows": [
            {"attack": attack, "variant": variant, "first": first, "second": second, "auc_difference": 0.1}
            for variant in ("as reported", "at best epoch")
        ]
    }


def act(attack, aucs, pairs, image_ids=None, pictured=()):
    """The tables of an act on models with these AUCs; pairs: of each experiment."""
    return study_of(
        [attacked(model, attack, [auc, auc]) for model, auc in aucs.items()],
        {model: described(attack, auc, (image_ids or {}).get(model)) for model, auc in aucs.items()},
        {name: [compared(attack, *pair) for pair in of_name] for name, of_name in pairs.items()},
        LABELS,
        pictured,
    )


def test_every_row_comes_with_what_it_is_about():
    study = act("threshold", {"a": 0.6, "b": 0.7}, {"depth": [("a", "b")], "width": [("a", "b"), ("b", "a")]})
    assert study.results[["model", "training", "auc"]].to_numpy().tolist() == [
        ["a", 0, 0.6],
        ["a", 1, 0.6],
        ["b", 0, 0.7],
        ["b", 1, 0.7],
    ]
    assert study.kinds[["model", "variant"]].to_numpy().tolist() == [
        [model, variant] for model in "ab" for variant in ("as reported", "at best epoch")
    ]
    assert study.pairs["experiment"].tolist() == ["depth"] * 2 + ["width"] * 4
    assert list(study.curves.columns) == ["model", "training", "attack", "curve", "x", "y"]
    of_one = study.curves[(study.curves["model"] == "b") & (study.curves["training"] == 1)]
    assert of_one[["curve", "x", "y"]].to_numpy().tolist() == [["roc", 0.0, 0.0], ["roc", 1.0, 0.7]]


def test_what_cannot_be_given_is_nan_in_columns_of_numbers():
    study = act("threshold", {"a": 0.6}, {})
    assert study.kinds["auc"].dtype == float
    assert study.kinds["tpr"].isna().all()
    assert study.kinds["tpr"].dtype == float
    assert study.kinds["classes_above"].isna().tolist() == [False, True]


def test_without_any_pair_the_table_of_pairs_has_its_columns():
    study = act("threshold", {"a": 0.6}, {})
    assert study.pairs.empty
    for part in (study, study.of("threshold"), study.about(["a"]), joined(study, study)):
        assert {"experiment", "attack", "first", "second", "verdict"} <= set(part.pairs.columns)


def test_memorisation_has_a_row_for_each_image_of_any_pictured_model():
    """Whose pools need not be the same, nor in one order."""
    ids = {"a": [5, 0, 2], "b": [0, 1], "c": [3]}
    table = act("threshold", {"a": 0.6, "b": 0.7, "c": 0.5}, {}, ids, pictured=("b", "a", "unknown"))
    table = table.memorisation.set_index("image")
    assert set(table.index) == {0, 1, 2, 5}
    assert table["label"].to_dict() == {0: 3, 1: 1, 2: 4, 5: 9}
    for model in "ab":
        of_model = table.dropna(subset=f"{model}_memorisation")
        assert set(of_model.index) == set(ids[model])
        np.testing.assert_allclose(of_model[f"{model}_memorisation"], of_model.index / 10)
        np.testing.assert_allclose(of_model[f"{model}_member_loss"], of_model.index / 100)
    assert "c_memorisation" not in table
    empty = act("threshold", {"a": 0.6}, {}, ids).memorisation
    assert empty.empty
    assert list(empty.columns) == ["image", "label"]


def test_what_stands_in_two_acts_is_joined_once():
    """Act one on a and b, act three on b and a private p: the rows of b are the same in both."""
    first = act("threshold", {"a": 0.6, "b": 0.7}, {"depth": [("a", "b")]}, {"a": [0, 1]}, ("a",))
    third = act("threshold", {"b": 0.7, "p": 0.5}, {"defence": [("b", "p")]})
    third.results["epsilon"] = 3.0
    study = joined(first, third)
    for table, count in ((study.results, 6), (study.kinds, 6), (study.curves, 12), (study.pairs, 4)):
        assert len(table) == count
        assert table.index.tolist() == list(range(count))
    assert not study.results.duplicated(["model", "training", "attack", "epoch"]).any()
    assert study.results["epsilon"].notna().sum() == 2  # b keeps the row of the act that came first
    assert study.results["training"].dtype == int
    pd.testing.assert_frame_equal(study.memorisation, first.memorisation)
    pd.testing.assert_frame_equal(joined(third, first).memorisation, first.memorisation)


def test_an_act_without_pairs_takes_nothing_from_one_with_pairs():
    with_pairs = act("threshold", {"a": 0.6, "b": 0.7}, {"depth": [("a", "b")]})
    without = act("calibrated", {"a": 0.8}, {})
    for study in (joined(with_pairs, without), joined(without, with_pairs)):
        assert len(study.pairs) == 2
        assert len(study.kinds) == 6


def test_the_parts_about_an_attack_and_about_models():
    study = joined(
        act("threshold", {"a": 0.6, "b": 0.7, "c": 0.5}, {"e": [("a", "b"), ("b", "c")]}, {"a": [1]}, ("a",)),
        act("calibrated", {"a": 0.8, "b": 0.9, "c": 0.5}, {"e": [("a", "b"), ("b", "c")]}),
    )
    calibrated = study.of("calibrated")
    for table in (calibrated.results, calibrated.kinds, calibrated.pairs, calibrated.curves):
        assert set(table["attack"]) == {"calibrated"}
    assert calibrated.results["auc"].tolist() == [0.8, 0.8, 0.9, 0.9, 0.5, 0.5]
    part = study.about(["a", "b"])
    assert set(part.results["model"]) == set(part.kinds["model"]) == set(part.curves["model"]) == {"a", "b"}
    assert set(part.pairs["second"]) == {"b"}
    assert len(part.memorisation) == len(calibrated.memorisation) == 1


def test_figures_are_added_and_the_study_is_told_in_a_line():
    study = act("threshold", {"a": 0.6}, {})
    wide, narrow = Figure(figsize=(3, 1)), Figure(figsize=(2, 1))
    more = study.with_figures({"one.png": wide}).with_figures({"two.png": wide, "one.png": narrow})
    assert study.figures == {}
    assert more.figures == {"one.png": narrow, "two.png": wide}
    assert joined(study.with_figures({"zero.png": wide}), more).figures.keys() == {
        "zero.png",
        "one.png",
        "two.png",
    }
    words = (
        "mia_results.csv (2 rows), mia_curves.csv (4 rows), mia_kinds.csv (2 rows), mia_pairs.csv (0 rows)"
    )
    assert repr(more) == f"Study: {words}, mia_memorisation.csv (0 rows); 2 figures"


def test_each_table_has_a_file_of_its_own():
    study = act("threshold", {"a": 0.6, "b": 0.7}, {"depth": [("a", "b")]}, {"a": [0, 1]}, ("a",))
    assert {name: id(table) for name, table in study.files().items()} == {
        "mia_results.csv": id(study.results),
        "mia_curves.csv": id(study.curves),
        "mia_kinds.csv": id(study.kinds),
        "mia_pairs.csv": id(study.pairs),
        "mia_memorisation.csv": id(study.memorisation),
    }
