"""report/mia_figures.py and leakage/panels.py, on small made-up studies: do they show what the tables say?"""

import io
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats
from support import look

from leakage.contrasts import NO_DIFFERENCE, NO_VERDICT
from leakage.estimates import Losses
from leakage.look import Style, looked_at
from leakage.panels import Point, Shown, curves_of, loss_panel, no_leak_band, roc_panel
from suite.report import mia_figures, mia_words
from suite.report.mia_figures import attack_figures, defence_figures, stronger_figures
from suite.report.mia_tables import Study
from suite.sources.cifar10 import CLASS_NAMES
from suite.study.findings import AS_REPORTED, EQUAL_STEPS, Pair
from tests.made_up import (
    BOUND_FPRS,
    DELTA,
    SMALL,
    SMALL_QUESTIONS,
    Kind,
    act_of,
    drawing_of,
    small_acts,
)

PLAIN = ("cnn", "dense$4$", "few")
DRAW = (attack_figures, stronger_figures, defence_figures)
LAID_OUT = (2,)  # trainings of which the layout is tried: of two the captions are longest
DRAWING = drawing_of(SMALL, SMALL_QUESTIONS)


class Drawn:
    """All figures of a study with so many trainings, and its tables."""

    def __init__(self, trainings):
        self.trainings = trainings
        self.attacked, self.both, self.defended = small_acts(trainings)
        self.figures = {}
        with looked_at(), warnings.catch_warnings():
            warnings.simplefilter("error")  # of a layout that does not fit
            for study, draw in zip((self.attacked, self.both, self.defended), DRAW, strict=True):
                for name, figure in draw(study, DRAWING).items():
                    if trainings in LAID_OUT:
                        figure.draw_without_rendering()
                    self.figures[f"{draw.__name__}: {name}"] = figure

    def __getitem__(self, name):
        [figure] = [figure for key, figure in self.figures.items() if key.endswith(f": mia_{name}.png")]
        return figure


@pytest.fixture(scope="module", params=[1, 2, 5], ids="{} trainings".format)
def drawn(request):
    return Drawn(request.param)


def rows_of(table, **values):
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def title(figure):
    return figure.legends[0].get_title().get_text().replace("\n", " ")


def panel(figure, words):
    [axes] = [axes for axes in figure.axes if words in axes.get_title(loc="left")]
    return axes


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def markers(axes, style):
    """The places of a model's large markers in a panel, (across, up), in the order of drawing."""
    lines = [line for line in axes.lines if line.get_marker() == style.marker and len(line.get_xdata()) == 1]
    ours = [line for line in lines if style.colour in (line.get_color(), line.get_markerfacecolor())]
    ours += [line for line in lines if line not in ours and line.get_markeredgecolor() == style.colour]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in ours]


def bars(axes, colour):
    """Both ends of each horizontal bar of a colour in a panel."""
    found = [line for line in axes.lines if line.get_color() == colour and len(line.get_xdata()) == 2]
    return [tuple(line.get_xdata()) for line in found if len(set(line.get_ydata())) == 1]


def thick(axes, colour):
    """The mean curve of each kind that is drawn with a thick line in a colour."""
    lines = [line for line in axes.lines if line.get_color() == colour and line.get_linewidth() == 2]
    return [line for line in lines if len(line.get_xdata()) > 1]


def has(pairs, pair):
    return any(np.allclose(found, pair) for found in pairs)


# ----------------------------------------------------------------------------------------------- every figure


def test_each_act_has_its_figures(drawn):
    assert [key.split(": ")[1] for key in drawn.figures] == [
        "mia_architecture.png",
        "mia_classes.png",
        "mia_summary.png",
        "mia_per_class.png",
        "mia_samples.png",
        "mia_attacks.png",
        "mia_samples.png",
        "mia_defence.png",
    ]


def test_captions_have_three_lines_and_no_text_leaves_the_figure(drawn):
    for name, figure in drawn.figures.items():
        assert figure.get_supxlabel().count("\n") <= 2, name
        if drawn.trainings not in LAID_OUT:
            continue
        width, height = figure.bbox.size
        for text in figure.findobj(Text):
            # A tick outside its axes has a number, but is not drawn.
            named = re.search("[A-Za-z]{2}", text.get_text()) and not text.get_text().startswith("$")
            if named and text.get_visible() and (text.axes is None or text.axes.axison):
                box = text.get_window_extent()
                assert box.x0 >= -1, (name, text)
                assert box.x1 <= width + 1, (name, text)
                assert -1 <= box.y0 <= box.y1 <= height + 1, (name, text)


def test_no_title_legend_or_panel_lies_over_another(drawn):
    for name, figure in drawn.figures.items() if drawn.trainings in LAID_OUT else ():
        titles = [axes._left_title for axes in figure.axes if axes.get_title(loc="left")]
        boxes = [text.get_window_extent() for text in titles]
        boxes += [
            figure.legends[0].get_window_extent(),
            figure._supxlabel.get_window_extent(),
        ]
        for number, box in enumerate(boxes):
            for later in boxes[number + 1 :]:
                assert not box.overlaps(later), name
        for axes in figure.axes:
            if axes.get_legend():
                inside = axes.get_window_extent()
                box = axes.get_legend().get_window_extent()
                assert box.x0 >= inside.x0 - 2, (name, axes.get_title(loc="left"))
                assert box.x1 <= inside.x1 + 25, (name, axes.get_title(loc="left"))


def test_no_legend_lies_over_a_model_s_mean_curve(drawn):
    for experiment in ("architecture", "classes") if drawn.trainings in LAID_OUT else ():
        for words in ("(b) AUC", "(c) Accuracy", "(d) Distributions"):
            axes = panel(drawn[experiment], words)
            box = axes.get_legend().get_window_extent()
            for line in (line for line in axes.lines if line.get_linewidth() == 2 and len(line.get_xdata())):
                places = axes.transData.transform(line.get_xydata())
                assert not any(box.contains(*place) for place in places), (experiment, words)


def content(figure):
    """All that is drawn in a figure: texts but those of ticks, and the places of lines, bars and bands."""
    found = [title(figure), figure.get_supxlabel(), *(text.get_text() for text in figure.legends[0].texts)]
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), axes.get_xlabel(), *(text.get_text() for text in axes.texts)]
        found += legend(axes) if axes.get_legend() else []
        found += [line.get_xydata() for line in axes.lines]
        found += [patch.get_bbox().bounds for patch in axes.patches]
        found += [path.vertices for band in axes.collections for path in band.get_paths()]
    return found


def test_tables_read_back_from_their_files_give_the_same_pictures(drawn):
    with looked_at():
        for study, draw in zip((drawn.attacked, drawn.both, drawn.defended), DRAW, strict=True):
            tables = [pd.read_csv(io.StringIO(table.to_csv(index=False))) for table in study[:4]]
            texts = ["equal", "verdict"]  # may be empty, which a file cannot tell from missing
            tables[3] = tables[3].astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))
            for name, figure in draw(Study(*tables, study.exposures), DRAWING).items():
                before = content(drawn.figures[f"{draw.__name__}: {name}"])
                for old, new in zip(before, content(figure), strict=True):
                    if isinstance(old, str):
                        assert old == new, name
                    else:
                        assert np.allclose(old, new, rtol=1e-12, atol=0, equal_nan=True), name


def test_a_remark_takes_the_place_of_every_title():
    marked = DRAWING._replace(remark="REHEARSAL, no result")
    for study, draw in zip(small_acts(1), DRAW, strict=True):
        for figure in draw(study, marked).values():
            assert title(figure) == "REHEARSAL, no result"


def test_the_caption_says_what_so_many_trainings_allow(drawn):
    for name in ("architecture", "summary", "attacks", "defence"):
        caption = " ".join(drawn[name].get_supxlabel().split())
        assert ("One training of each model" in caption) == (drawn.trainings == 1)
        assert ("says little" in caption) == (drawn.trainings == 2)
        assert ("5 trainings of each model" in caption) == (drawn.trainings == 5)


def test_figures_do_without_models_that_are_pictured():
    """With other models in mia.MODELS there may be none of those in mia.PICTURED."""
    attacked, both, _ = small_acts(1)
    assert "mia_samples.png" not in attack_figures(attacked._replace(exposures={}), DRAWING)
    [figure] = stronger_figures(both._replace(exposures={}), DRAWING).values()
    assert panel(figure, "ROC curves of dense$4$")


def contrast(colour):
    """Of a colour on white, after WCAG 2.1, from 1 to 21."""
    channels = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)
    ]
    return 1.05 / (np.dot([0.2126, 0.7152, 0.0722], channels) + 0.05)


@pytest.mark.parametrize("colour", [*look.COLOURS, look.GREY])
def test_every_colour_can_be_seen_on_white(colour):
    assert contrast("white") == pytest.approx(1)
    assert contrast("black") == pytest.approx(21)
    assert contrast(colour) >= 3


# ---------------------------------------------------------------------------------------------- an experiment


def test_the_answer_panel_shows_each_pair_s_difference_interval_p_and_verdict(drawn):
    for experiment in ("architecture", "classes"):
        pairs = rows_of(drawn.attacked.pairs, experiment=experiment)
        pairs = pairs[pairs["variant"].isin([AS_REPORTED, EQUAL_STEPS])]
        axes = panel(drawn[experiment], f"(a) Question about {experiment}?\nDifference in AUC")
        assert len(axes.texts) == len(pairs) == {"architecture": 1, "classes": 4}[experiment]
        for text, (_, row) in zip(axes.texts, pairs.iterrows(), strict=True):
            words = text.get_text()
            assert f": {row['auc_difference']:+.3f}" in words
            ends = row["auc_low"], row["auc_high"]
            judged = row["variant"] == AS_REPORTED
            colour = look.BLACK if judged else look.GREY
            if not (drawn.trainings == 1 and math.isnan(ends[0])):
                assert f"[{ends[0]:+.3f}, {ends[1]:+.3f}]" in words
                assert has(bars(axes, colour), ends)
            assert any(np.isclose(x, row["auc_difference"]) for x, _ in markers(axes, Style(colour, "o")))
            if not judged:
                assert words.startswith("the same at equal steps: ")
                assert words.endswith(", not judged")
                continue
            assert words.startswith(f"{row['first']} - {row['second']}")
            assert ("image size" in words) == (row["equal"] == "image size")
            if row["verdict"] == NO_VERDICT:
                assert words.endswith("], no verdict")
                continue
            assert f", p = {row['auc_adjusted_p']:.2g}, " in words
            if row["verdict"] == NO_DIFFERENCE:
                assert words.endswith(", no difference can be shown")
            else:
                more = "first" if row["verdict"].startswith(row["first"]) else "second"
                assert words.endswith(f", the {more} leaks more")


def test_the_title_is_the_verdict(drawn):
    for experiment in ("architecture", "classes", "defence"):
        said = title(drawn[experiment])
        table = drawn.defended if experiment == "defence" else drawn.attacked
        verdicts = rows_of(table.pairs, experiment=experiment, variant=AS_REPORTED)["verdict"]
        if drawn.trainings == 1:
            assert said == "No verdict from one training of each model"
        for verdict in set(verdicts) - {NO_VERDICT}:
            assert verdict.lower() in said.lower()
        assert said.count(";") == len(set(verdicts)) - 1


@pytest.mark.parametrize(
    ("verdicts", "attack", "expected"),
    [
        ([NO_DIFFERENCE], "threshold", "No difference can be shown"),
        (["a leaks more than b"], "threshold", "a leaks more than b"),
        ([NO_DIFFERENCE] * 2, "threshold", "No difference can be shown"),
        (
            ["a leaks more than b", NO_DIFFERENCE, NO_DIFFERENCE],
            "threshold",
            "a leaks more than b (0 images); no difference can be shown (1 images and 2 images)",
        ),
        (
            ["a leaks more than b", NO_DIFFERENCE, "c leaks more than a"],
            "without a word",
            "a leaks more than b; c leaks more than a; no difference can be shown (b - b)",
        ),
        (
            [NO_DIFFERENCE, "a leaks more than b"],
            "attack 0, attack 1",
            "a leaks more than b (attack 1 attack); no difference can be shown (attack 0 attack)",
        ),
    ],
)
def test_verdicts_in_one_sentence(verdicts, attack, expected):
    """Of as many pairs as verdicts; or, where several attacks are named, of one pair."""
    attacks = attack.split(", ") if "," in attack else ["threshold"] * len(verdicts)
    firsts = ["a"] * len(verdicts) if "," in attack else "abcd"
    rows = [
        {"first": first, "second": "b", "variant": AS_REPORTED, "attack": which, "verdict": verdict}
        | {"equal": "" if attack == "without a word" else f"{place} images"}
        for place, (which, first, verdict) in enumerate(zip(attacks, firsts, verdicts, strict=False))
    ]
    rows.append(rows[0] | {"variant": EQUAL_STEPS, "equal": "", "verdict": ""})
    assert mia_words.answer_of(pd.DataFrame(rows)) == expected


def test_a_title_without_a_difference_names_the_models():
    row = {"variant": AS_REPORTED, "attack": "threshold", "equal": "", "verdict": NO_DIFFERENCE}
    pairs = pd.DataFrame([row | {"first": "a", "second": "b"}])
    assert mia_words.finding_of(pairs) == "No difference can be shown between a and b"
    several = pd.DataFrame([row | {"first": "a", "second": other} for other in "bc"])
    assert mia_words.finding_of(several) == "No difference can be shown"
    leaking = pairs.assign(verdict="a leaks more than b")
    assert mia_words.finding_of(leaking) == "a leaks more than b"


def test_the_star_is_at_the_epoch_of_the_best_mean_test_accuracy(drawn):
    """Epoch 2, though two of five trainings are best at epoch 4."""
    figure = drawn["architecture"]
    auc, accuracy = panel(figure, "(b) AUC of the attack"), panel(figure, "(c) Accuracy")
    for number, model in enumerate(("cnn", "dense$4$")):
        means = rows_of(drawn.attacked.results, model=model).groupby("epoch").mean(numeric_only=True)
        style = DRAWING.styles[model]
        assert has(markers(auc, Style(style.colour, "*")), (2, means["auc"][2]))
        assert has(markers(accuracy, Style(style.colour, "*")), (2, means["test_accuracy"][2]))
        assert legend(auc)[number] == f"{means['auc'][2]:.3f}, at the end {means['auc'][4]:.3f}"


def test_the_curves_per_epoch_are_the_means_of_the_results(drawn):
    figure = drawn["architecture"]
    auc, accuracy = panel(figure, "(b) AUC of the attack"), panel(figure, "(c) Accuracy")
    for model in ("cnn", "dense$4$"):
        rows = rows_of(drawn.attacked.results, model=model)
        means, colour = rows.groupby("epoch").mean(numeric_only=True), DRAWING.styles[model].colour
        [line] = thick(auc, colour)
        assert line.get_xdata().tolist() == [0, 2, 4]
        assert np.allclose(line.get_ydata(), means["auc"])
        trained, tested = thick(accuracy, colour)
        assert np.allclose(trained.get_ydata(), means["train_accuracy"])
        assert np.allclose(tested.get_ydata(), means["test_accuracy"])
        assert (trained.get_linestyle(), tested.get_linestyle()) == ("-", "--")
        thin = [one for one in auc.lines if one.get_color() == colour and one.get_linewidth() == 0.7]
        assert len(thin) == (drawn.trainings if drawn.trainings > 1 else 0)
        [kind] = rows_of(drawn.attacked.kinds, model=model, variant=AS_REPORTED).to_dict("records")
        ends = [line.get_ydata() for line in auc.lines if line.get_color() == colour]
        if drawn.trainings > 1:
            assert has([end for end in ends if len(end) == 2], (kind["auc_low"], kind["auc_high"]))
        else:
            bands = [band.get_paths()[0].vertices for band in auc.collections]
            assert any(np.isclose(band, [4, kind["auc_high"]]).all(axis=1).any() for band in bands)


def test_the_last_panels_show_the_curves_of_the_last_epoch(drawn):
    figure = drawn["architecture"]
    last = rows_of(drawn.attacked.results, epoch=4)
    losses, whole = panel(figure, "(d)"), panel(figure, "(e) ROC curves")
    low = panel(figure, "(f) ROC curves at a low FPR")
    for number, model in enumerate(("cnn", "dense$4$")):
        rows, style = rows_of(last, model=model), DRAWING.styles[model]
        assert legend(whole)[number] == f"AUC {rows['auc'].mean():.3f}"
        assert legend(losses)[number] == f"advantage {rows['advantage'].mean():.3f}"
        for line, kind in zip(thick(losses, style.colour), ("member", "non-member"), strict=True):
            quantiles = rows_of(drawn.attacked.curves, model=model, curve=f"{kind} losses")["x"]
            assert np.allclose(line.get_xdata(), np.sort(quantiles))
        curves = rows_of(drawn.attacked.curves, model=model, curve="roc")
        curves = curves[curves["x"] >= 1 / 1000]
        means = curves.groupby("x")["y"].mean()
        for axes in (whole, low):
            [line] = thick(axes, style.colour)
            assert np.allclose(line.get_xdata(), means.index)
            assert np.allclose(line.get_ydata(), means)
        # 1,000 non-members allow a point at 1% alone; on a linear scale there is none.
        value, bottom, top = rows[[f"tpr_at_1pct_fpr{end}" for end in ("", "_low", "_high")]].mean()
        assert np.allclose(markers(low, style), [(0.01, value)])
        ends = [line.get_ydata() for line in low.lines if line.get_color() == style.colour]
        assert has([end for end in ends if len(end) == 2], (bottom, top))
        assert markers(whole, style) == []


def test_unknown_models_are_told_apart():
    styles = look.styles_of([f"model {number}" for number in range(72)])
    assert len(set(styles.values())) == 72
    for names in (["a"], ["b", "a"], ["new$1$", "new$2$"]):
        assert list(look.styles_of(names)) == names


# ----------------------------------------------------------------------------------------- all models at once


def test_the_summary_shows_the_last_epoch_beside_chance(drawn):
    figure, study = drawn["summary"], drawn.attacked
    auc, advantage = panel(figure, "AUC after"), panel(figure, "Held-out advantage")
    assert [label.get_text() for label in auc.get_yticklabels()] == list(PLAIN)
    for place, model in enumerate(PLAIN):
        rows, style = rows_of(study.results, model=model, epoch=4), DRAWING.styles[model]
        [kind] = rows_of(study.kinds, model=model, variant=AS_REPORTED).to_dict("records")
        for axes, measure in ((auc, "auc"), (advantage, "heldout_advantage")):
            assert has(markers(axes, style), (rows[measure].mean(), place))
            assert has(bars(axes, style.colour), (kind[f"{measure}_low"], kind[f"{measure}_high"]))
            widths = {line.get_linewidth() for line in axes.lines if line.get_color() == style.colour}
            assert (mia_figures.THICK in widths) == (drawn.trainings > 1)
        assert auc.texts[place].get_text() == f"{rows['auc'].mean():.3f}"
        assert has(markers(advantage, Style(style.colour, "x")), (rows["gap"].mean(), place + 0.3))
        starts = rows_of(study.results, model=model, epoch=0)["auc"]
        greys = [line for line in auc.lines if line.get_color() == look.GREY and line.get_marker() == "o"]
        assert np.allclose(greys[place].get_xdata(), starts)
    for axes, chance in ((auc, 0.5), (advantage, 0)):
        assert chance in [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]


def test_members_named_are_in_multiples_of_chance(drawn):
    """Chance is (10 + 1) / (1,000 + 1); and the band is where its models lie."""
    for name, part in (("summary", drawn.attacked), ("attacks", drawn.both.of("calibrated"))):
        axes = panel(drawn[name], "at 1% FPR")
        assert axes.get_xlim()[0] == 0
        for model in ("cnn", "dense$4$"):
            rows, style = rows_of(part.results, model=model, epoch=4), DRAWING.styles[model]
            expected = rows["tpr_at_1pct_fpr"].mean() / (11 / 1001)
            assert any(np.isclose(across, expected) for across, _ in markers(axes, style))
            ends = [rows[f"tpr_at_1pct_fpr_{end}"].mean() / (11 / 1001) for end in ("low", "high")]
            assert has(bars(axes, style.colour), ends)
        least, most = no_leak_band(3000, 1000, (0.01,))[:, 0] / (11 / 1001)
        assert len(axes.patches) == 2
        for patch in axes.patches:
            assert (patch.get_x(), patch.get_x() + patch.get_width()) == pytest.approx((least, most))


def test_models_without_enough_non_members_are_drawn_with_the_words(drawn):
    """80 are too few for either rate; 1,000 for the lower one, whose panel is empty but for the words."""
    for name in ("summary", "attacks"):
        texts = [text.get_text() for text in panel(drawn[name], "at 1% FPR").texts]
        assert texts == ["needs 1,000\nnon-members"]
        lower = panel(drawn[name], "at 0.1% FPR")
        assert [text.get_text() for text in lower.texts] == ["needs 10,000\nnon-members"] * 3
        assert [text.get_position()[1] for text in lower.texts] == [0, 1, 2]
        assert not lower.patches


def test_the_summary_s_title_counts_the_models_that_leak(drawn):
    kinds = rows_of(drawn.attacked.kinds, variant=AS_REPORTED)
    leaking, (low, high) = (kinds["auc_low"] > 0.5).sum(), (kinds["auc"].min(), kinds["auc"].max())
    begin = "All 3 models leak" if leaking == 3 else f"{leaking} of 3 models leak"
    assert title(drawn["summary"]).startswith(f"{begin}: AUC {low:.3f} to {high:.3f}, where chance is 0.5")


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.03, 0.04, 0.5], "In no model can it be shown that the classes differ"),
        ([0.001, 0.04, 0.5], "The classes differ in cnn; in the others that cannot be shown"),
        ([0.001, 0.01, 0.5], "The classes differ in cnn, dense$4$; in the others that cannot be shown"),
        ([0.001, 0.001, 0.001], "The classes differ in cnn, dense$4$, few"),
        ([None, 0.2, math.nan], "In no model can it be shown that the classes differ"),
    ],
)
def test_classes_are_said_to_differ_only_after_the_test(p_values, expected):
    study = small_acts(2)[0]
    by_model = dict(zip(PLAIN, p_values, strict=True))
    study = study._replace(kinds=study.kinds.assign(classes_p=study.kinds["model"].map(by_model)))
    figure = mia_figures.per_class_figure(study, DRAWING)
    assert title(figure) == expected
    assert not any(name in title(figure) for name in CLASS_NAMES)


def test_each_class_s_auc_in_the_order_of_the_models_that_know_all(drawn):
    figure, last = drawn["per_class"], rows_of(drawn.attacked.results, epoch=4)
    means = last[last["model"].isin(["cnn", "dense$4$"])][[f"auc_{name}" for name in CLASS_NAMES]].mean()
    order = [name.removeprefix("auc_") for name in means.sort_values(ascending=False).index]
    for model in PLAIN:
        axes, rows = panel(figure, model), rows_of(last, model=model)
        known = order if model != "few" else [name for name in order if name in CLASS_NAMES[:4]]
        places = markers(axes, DRAWING.styles[model])
        assert np.allclose(places, [(rows[f"auc_{name}"].mean(), n) for n, name in enumerate(known)])
        ends = [[rows[f"auc_{name}_{end}"].mean() for end in ("low", "high")] for name in known]
        assert np.allclose(bars(axes, DRAWING.styles[model].colour), ends)
    shown = [label.get_text() for label in panel(figure, "cnn").get_yticklabels()]
    assert shown == order
    assert [label.get_text() for label in panel(figure, "few").get_yticklabels()] == [
        name for name in order if name in CLASS_NAMES[:4]
    ]
    over = "over examples," if drawn.trainings == 1 else "over trainings and examples,"
    assert over in " ".join(figure.get_supxlabel().split())


def test_samples_are_the_most_and_the_least_exposed_images(drawn):
    figure = drawn.figures["stronger_figures: mia_samples.png"]
    expected = [(model, attack) for model in PLAIN[:2] for attack in ("threshold", "calibrated")]
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"{model}, {attack} attack" for model, attack in expected
    ]
    for axes, key in zip(figure.axes, expected, strict=True):
        exposure = drawn.both.exposures[key]
        indices = [*exposure.most, *exposure.least]
        assert [image.get_array()[0, 0, 0] for image in axes.images] == [index % 256 for index in indices]
        names = [text.get_text() for text in axes.texts if text.get_text() in CLASS_NAMES]
        assert names == [CLASS_NAMES[index % 10] for index in indices]
        assert axes.get_xlabel().replace("\n", " ") == exposure.stability
    shares = []
    for model in PLAIN[:2]:
        first = [
            set(one.ids[one.ranks < np.sort(one.ranks)[30]])
            for one in (drawn.both.exposures[model, attack] for attack in ("threshold", "calibrated"))
        ]
        shares.append(len(first[0] & first[1]) / 30)
    assert f"have {shares[0]:.0%} (cnn) and {shares[1]:.0%} (dense$4$) in common" in title(figure)


# ------------------------------------------------------------------------------- two attacks, and the defence


def test_both_attacks_beside_each_other(drawn):
    figure = drawn["attacks"]
    auc = panel(figure, "(a) AUC")
    for place, model in enumerate(PLAIN):
        for shift, attack in ((-0.17, "threshold"), (0.17, "calibrated")):
            rows = rows_of(drawn.both.results, model=model, attack=attack, epoch=4)
            [kind] = rows_of(drawn.both.kinds, model=model, attack=attack, variant=AS_REPORTED).to_dict(
                "records"
            )
            assert has(markers(auc, DRAWING.styles[model]), (rows["auc"].mean(), place + shift))
            assert has(bars(auc, DRAWING.styles[model].colour), (kind["auc_low"], kind["auc_high"]))
            if model != "few":
                assert f"{attack}, AUC {rows['auc'].mean():.3f}" in legend(
                    panel(figure, f"curves of {model}")
                )
    rows = rows_of(drawn.both.results, attack="calibrated").groupby("model")
    gains, sure = rows["auc_gain"].mean(), (rows["auc_gain_low"].min() > 0).sum()
    assert title(figure) == (
        f"Calibration by reference models changes the AUC by {gains.min():+.3f} to {gains.max():+.3f}; the "
        f"gain is sure in {sure} of 3 models"
    )


def test_a_gain_that_is_sure_everywhere_is_said_to_be_one():
    both = small_acts(1)[1]
    sure = both._replace(results=both.results.assign(auc_gain=0.02, auc_gain_low=0.01))
    assert mia_words.gain_sentence(sure) == (
        "Reference models make the attack find more in all 3 models: AUC +0.020"
    )


def test_the_defence_under_its_bound(drawn):
    figure = drawn["defence"]
    roc, advantage = panel(figure, "(a) ROC curves under"), panel(figure, "(b) Held-out advantage")
    [bound] = [line for line in roc.lines if line.get_label() == "proven bound"]
    assert np.allclose(bound.get_xdata(), BOUND_FPRS)
    assert np.allclose(bound.get_ydata(), np.minimum(np.exp(3) * BOUND_FPRS + DELTA, 1))
    assert legend(roc)[0] == "proven bound"
    assert advantage.texts[0].get_text() == "bound 0.300"
    assert advantage.texts[0].get_window_extent().x1 <= advantage.get_window_extent().x1
    [line] = [line for line in advantage.lines if line.get_linestyle() == "-."]
    assert list(line.get_xdata()) == [0.3] * 2
    names = [label.get_text().replace("\n", " ") for label in advantage.get_yticklabels()]
    assert names == [
        f"{model}, {attack}" for model in ("dense$4$", "private") for attack in ("threshold", "calibrated")
    ]
    for place, name in enumerate(names):
        model, attack = name.split(", ")
        [kind] = rows_of(drawn.defended.kinds, model=model, attack=attack, variant=AS_REPORTED).to_dict(
            "records"
        )
        style = DRAWING.styles[model]
        assert has(markers(advantage, style), (kind["heldout_advantage"], place))
        ends = kind["heldout_advantage_low"], kind["heldout_advantage_high"]
        assert has(bars(advantage, style.colour), ends)
    # The bound spans the private model's lines alone.
    assert [round(y, 3) for y in line.get_ydata()] == [1.5, 3.5]
    assert f"DP-SGD at delta {DELTA:g}: private epsilon 3;" in " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize("plain", [True, False])
def test_each_of_several_private_models_under_its_own_bound(plain):
    kinds = [Kind("tight", 10, 300, 1000, 0.0, epsilon=1.0), Kind("loose", 10, 300, 1000, 0.1, epsilon=10.0)]
    pairs = [Pair("loose", "tight")]
    if plain:
        kinds.append(Kind("plain", 10, 300, 1000, 0.3))
        pairs.append(Pair("plain", "loose"))
    study = act_of(kinds, {"epsilon": pairs}, 2, {"threshold": 0})
    with looked_at():
        [figure] = defence_figures(study, drawing_of(kinds, {"epsilon": "Which?"})).values()
    roc, advantage = panel(figure, "(a) ROC curves under"), panel(figure, "(b) Held-out advantage")
    models = ["plain", "tight", "loose"][not plain :]
    names = [label.get_text() for label in advantage.get_yticklabels()]
    assert names == [f"{model},\nthreshold" for model in models]
    lines = {line.get_xdata()[0]: line for line in advantage.lines if line.get_linestyle() == "-."}
    for model, epsilon in (("tight", 1), ("loose", 10)):
        [bound] = [line for line in roc.lines if line.get_label() == f"bound of {model}"]
        assert np.allclose(bound.get_ydata(), np.minimum(np.exp(epsilon) * BOUND_FPRS + DELTA, 1))
        place = models.index(model)
        assert [round(y, 3) for y in lines[epsilon / 10].get_ydata()] == [place - 0.5, place + 0.5]
        assert to_rgb(lines[epsilon / 10].get_color()) == to_rgb(bound.get_color())
    caption = " ".join(figure.get_supxlabel().split())
    assert "tight epsilon 1, loose epsilon 10" in caption
    assert ("early stopping" in caption) == plain
    [*_, tight, loose] = mia_words.defence_answers(study, {"epsilon": "Which?"})
    assert tight.startswith("No attack on tight can exceed an advantage of 0.100;")
    assert loose.startswith("No attack on loose can exceed an advantage of 1.000;")


def test_both_models_at_equal_test_accuracy():
    """The plain model passes 0.5 and ends at 0.4; the private one ends at 0.48, to which 0.5 is nearest."""
    results = small_acts(2)[2].of("threshold").results.copy()
    results.loc[(results["model"] == "private") & (results["epoch"] == 4), "test_accuracy"] = 0.48
    nearest = mia_figures.equal_accuracy(results, "dense$4$", "private")
    assert nearest["epoch"] == 2
    assert nearest["dense$4$"]["epoch"].tolist() == [2, 2]
    assert nearest["private"]["epoch"].tolist() == [4, 4]
    axes = Figure().subplots()
    mia_figures._equal_panel(axes, [nearest], DRAWING.styles)
    for model in ("dense$4$", "private"):
        [line] = [line for line in axes.lines if line.get_marker() == DRAWING.styles[model].marker]
        assert np.allclose(line.get_xdata(), nearest[model]["test_accuracy"])
        assert np.allclose(line.get_ydata(), nearest[model]["auc"])


# ----------------------------------------------------------------------------------------------------- panels


@pytest.mark.parametrize(("members", "nonmembers"), [(300, 70), (40, 500)])
def test_the_no_leak_band_against_drawing_without_replacement(members, nonmembers):
    """J members lie below the (k + 1)th non-member. J >= j means that of the j + k lowest losses, of members
    and non-members in random order, at most k are non-members': hypergeometric."""
    fprs = (1 / nonmembers, 0.05, 0.3, 0.99)
    band = no_leak_band(members, nonmembers, (*fprs, 1.0))
    assert np.array_equal(band[:, -1], [1, 1])
    for (low, high), fpr in zip(np.round(band.T[:-1] * members).astype(int), fprs, strict=True):
        allowed = math.floor(fpr * nonmembers + 1e-9)
        lowest = np.arange(1, members + 1) + allowed
        at_least = stats.hypergeom.cdf(allowed, members + nonmembers, nonmembers, lowest)
        below = np.append(1 - at_least, 1.0)  # P(J < j) for j = 1, 2 ..., that is P(J <= j - 1)
        assert low == np.argmax(below >= 0.025)
        assert high == np.argmax(below >= 0.975)


@pytest.mark.parametrize(
    ("members", "nonmembers", "scale"),
    [
        (
            np.append(np.geomspace(1e-12, 1, 2000), [0, 0]),
            np.append(np.geomspace(1e-6, 1e3, 900), np.inf),
            "log",
        ),
        (np.linspace(-2, 1, 50), np.linspace(-1, 2, 5), "linear"),
        (np.zeros(3), np.zeros(2), "linear"),
    ],
    ids=["zeros and infinity", "negative", "all the same"],
)
def test_the_panels_draw_anybody_s_losses(members, nonmembers, scale):
    curves = curves_of(Losses(members, nonmembers))
    order = np.sort(np.append(members, nonmembers))
    largest = max(abs((members <= at).mean() - (nonmembers <= at).mean()) for at in order)
    model = Shown("label", Style("black", "o"), len(members), len(nonmembers), largest, [curves])
    figure = Figure(layout="constrained")
    losses, whole, low = figure.subplots(1, 3)
    loss_panel(losses, [model], "losses")
    roc_panel(whole, [model], "ROC", "linear")
    roc_panel(low, [model._replace(points=[Point(0.5, 0.6, 0.5, 0.7)])], "ROC")
    figure.draw_without_rendering()
    assert losses.get_xscale() == scale
    assert legend(losses)[0] == f"advantage {largest:.3f}"
    assert legend(whole)[0] == "label"
    [gap] = [line.get_ydata() for line in losses.lines if line.get_label().startswith("advantage")]
    if scale == "log":
        assert abs(gap[0] - gap[1]) == pytest.approx(largest, abs=0.01)


def test_a_model_s_points_are_open_where_its_line_is_broken():
    curves = curves_of(Losses(np.linspace(0, 1, 100), np.linspace(0.5, 2, 100)))
    solid = Shown("solid", Style("red", "s"), 100, 100, 0.5, [curves], [Point(0.1, 0.5, 0.4, 0.6)])
    axes = Figure().subplots()
    roc_panel(axes, [solid, solid._replace(line="--")], "ROC")
    faces = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "s"]
    assert faces == ["red", "white"]


def test_the_loss_panel_s_curves_are_shares_of_the_losses():
    generator = np.random.default_rng(0)
    members, nonmembers = generator.lognormal(-1, 1, 500), generator.lognormal(0, 1, 400)
    model = Shown("a", Style("red", "o"), 500, 400, 0.3, [curves_of(Losses(members, nonmembers))])
    axes = Figure().subplots()
    loss_panel(axes, [model], "losses")
    for line, losses, style in zip(thick(axes, "red"), (members, nonmembers), ("-", "--"), strict=True):
        assert line.get_linestyle() == style
        shares = [(losses <= at).mean() for at in line.get_xdata()]
        assert np.allclose(shares, line.get_ydata(), atol=2 / len(losses))


def test_kinds_of_other_sizes_have_bands_of_their_own():
    curves = curves_of(Losses(np.arange(100.0), np.arange(100.0)))
    models = [Shown("", Style("red", "o"), n, 100, 0.0, [curves]) for n in (100, 100, 200)]
    axes = Figure().subplots()
    roc_panel(axes, models, "ROC")
    assert len(axes.collections) == 2
