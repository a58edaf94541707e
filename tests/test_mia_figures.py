"""report/mia_figures.py and leakage/panels.py, on small made-up studies: do they show what the tables say?"""

import io
import math
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from scipy import stats

import mia
from leakage import look
from leakage.estimates import Losses
from leakage.look import Style, looked_at
from leakage.panels import Point, Shown, curves_of, loss_panel, no_leak_band, roc_panel
from suite.report import mia_figures
from suite.report.mia_figures import attack_figures, defence_figures, stronger_figures
from suite.report.mia_tables import last_epoch
from suite.sources.cifar10 import CLASS_NAMES
from suite.study.findings import AS_REPORTED, CALIBRATED, EQUAL_STEPS, THRESHOLD, Pair
from tests.made_up import (
    DELTA,
    SMALL,
    SMALL_NAMES,
    SMALL_QUESTIONS,
    Kind,
    act_of,
    drawing_of,
    small_acts,
)

PLAIN = ("cnn", "dense$4$", "few")
DRAW = (attack_figures, stronger_figures, defence_figures)
DRAWING = drawing_of(SMALL, SMALL_QUESTIONS, SMALL_NAMES)


class Drawn:
    """All figures of a study with so many trainings, by function and file, and its tables."""

    def __init__(self, trainings):
        self.attacked, self.both, self.defended = small_acts(trainings)
        self.figures = {}
        for study, draw in zip((self.attacked, self.both, self.defended), DRAW, strict=True):
            if study is not None:
                for name, figure in draw(study, DRAWING).items():
                    self.figures[draw.__name__, name] = figure

    def __getitem__(self, name):
        """The last figure of this name, which is the one that a reader finds."""
        return [figure for (_, file), figure in self.figures.items() if file == f"mia_{name}.png"][-1]


@pytest.fixture(scope="module")
def drawn():
    return Drawn(4)


def rows_of(table, **values):
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def kind_of(study, model, attack=THRESHOLD):
    [row] = rows_of(study.kinds, model=model, attack=attack, variant=AS_REPORTED).to_dict("records")
    return row


def title(figure):
    return figure.legends[0].get_title().get_text().replace("\n", " ")


def panel(figure, words):
    [axes] = [axes for axes in figure.axes if words in axes.get_title(loc="left")]
    return axes


def markers(axes, style):
    """The places (across, up) of a model's markers in a panel, in the order of drawing."""
    lines = [line for line in axes.lines if line.get_marker() == style.marker and len(line.get_xdata()) == 1]
    ours = [line for line in lines if line.get_markeredgecolor() == style.colour]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in ours]


def bars(axes, colour, width=None):
    """Both ends of each horizontal bar of a colour, and of a width in points if it is given, in a panel."""
    lines = [line for line in axes.lines if line.get_color() == colour and len(line.get_xdata()) == 2]
    lines = [line for line in lines if width in (None, line.get_linewidth())]
    return [tuple(line.get_xdata()) for line in lines if len(set(line.get_ydata())) == 1]


def curves(axes, colour):
    """The curves per epoch of a colour, in the order of drawing."""
    return [line for line in axes.lines if line.get_color() == colour and len(line.get_xdata()) > 2]


def has(pairs, pair):
    return any(np.allclose(found, pair) for found in pairs)


# ----------------------------------------------------------------------------------------------- every figure


def test_each_act_has_its_figures(drawn):
    experiments = ["architecture", "classes"]
    names = {
        "attack_figures": ["loss", *experiments, "summary", "per_class"],
        "stronger_figures": ["attacks", *experiments, "samples"],
        "defence_figures": ["defence"],
    }
    assert list(drawn.figures) == [
        (draw, f"mia_{name}.png") for draw, of_act in names.items() for name in of_act
    ]


@pytest.mark.parametrize("trainings", [2, 4])
def test_nothing_is_cut_off_or_lies_over_another(trainings):
    """With two trainings there is the threshold attack alone, and figures are smaller."""
    for name, figure in Drawn(trainings).figures.items():
        with looked_at(), warnings.catch_warnings():
            warnings.simplefilter("error")  # of a layout that does not fit
            figure.draw_without_rendering()
        assert figure.get_supxlabel().count("\n") <= 2, name
        boxes = {
            "caption": figure._supxlabel.get_window_extent(),
            "title": figure.legends[0].get_window_extent(),
        }
        for axes in figure.axes:
            texts = [axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
            texts += axes.get_yticklabels() if axes.axison else []
            for text in texts:
                # Not numbers at the axes: those outside are not drawn.
                words = text.get_text() if not text.get_text().startswith("$\\mathdefault") else ""
                if re.search("[A-Za-z]{2}", words) and text.get_visible():
                    boxes[f"{axes.get_title(loc='left')}: {text.get_text()} {len(boxes)}"] = (
                        text.get_window_extent()
                    )
        width, height = figure.bbox.size
        names = list(boxes)
        for number, first in enumerate(names):
            box = boxes[first]
            assert -1 <= box.x0 <= box.x1 <= width + 1, (name, first)
            assert -1 <= box.y0 <= box.y1 <= height + 1, (name, first)
            for second in names[number + 1 :]:
                assert not box.overlaps(boxes[second]), (name, first, second)


def content(figure):
    """All that is drawn in a figure: texts, and the places of lines, histograms and bands."""
    parts = [text.get_text() for text in figure.findobj(Text)]
    for axes in figure.axes:
        parts += [line.get_xydata() for line in axes.lines]
        parts += [patch.get_data().values for patch in axes.patches if isinstance(patch, StepPatch)]
        parts += [path.vertices for band in axes.collections for path in band.get_paths()]
    return parts


def test_tables_read_back_from_their_files_give_the_same_pictures(drawn):
    for study, draw in zip((drawn.attacked, drawn.both, drawn.defended), DRAW, strict=True):
        tables = {
            name.removeprefix("mia_").removesuffix(".csv"): pd.read_csv(
                io.StringIO(table.to_csv(index=False))
            )
            for name, table in study.files().items()
        }
        texts = ["equal", "verdict"]  # may be empty, which a file cannot tell from missing
        tables["pairs"][texts] = tables["pairs"][texts].astype(object).fillna("")
        for name, figure in draw(replace(study, **tables), DRAWING).items():
            before = content(drawn.figures[draw.__name__, name])
            for old, new in zip(before, content(figure), strict=True):
                if isinstance(old, str):
                    assert old == new, name
                else:
                    assert np.allclose(old, new, rtol=1e-12, atol=0, equal_nan=True), name


def test_a_remark_stands_before_every_finding(drawn):
    marked = DRAWING._replace(remark="A tenth of the images")
    for study, draw in zip((drawn.attacked, drawn.both, drawn.defended), DRAW, strict=True):
        for name, figure in draw(study, marked).items():
            assert title(figure) == f"A tenth of the images: {title(drawn.figures[draw.__name__, name])}"


def test_a_caption_says_which_bars_hold_together(drawn):
    """Bonferroni is over the models, for each measure and attack, and over the pairs, for each attack."""
    said = {
        "summary": "The bars of one measure hold for all models together in 95% of runs.",
        "attacks": "The bars of one measure and attack, and the gains, hold for all models together in 95%",
        "architecture": "The bars of one attack in (a) hold in 95% of runs for all 3 pairs of plain models "
        "together, in this figure or another, those of the AUC for all models.",
        "defence": "its intervals hold for all models together in 95% of runs",
    }
    for name, sentence in said.items():
        assert sentence in " ".join(drawn[name].get_supxlabel().split()), name


def test_models_that_are_not_pictured_and_pairs_that_are_missing(drawn):
    """With --only there may be one model, or none of mia.PICTURED."""
    alone = drawn.attacked.about(["few"])
    alone = replace(alone, memorisation=alone.memorisation.iloc[:0, :2])
    assert list(attack_figures(alone, DRAWING)) == ["mia_loss.png", "mia_summary.png", "mia_per_class.png"]
    alone = drawn.both.about(["few"])
    alone = replace(alone, memorisation=alone.memorisation.iloc[:0, :2])
    assert list(stronger_figures(alone, DRAWING)) == ["mia_attacks.png"]
    two = drawn.both.about(["cnn", "few"])
    assert list(stronger_figures(two, DRAWING)) == ["mia_attacks.png", "mia_classes.png", "mia_samples.png"]
    [private] = defence_figures(drawn.defended.about(["private"]), DRAWING).values()
    who = ("private leaks", "private is not shown to leak")
    assert title(private) in [f"{words}, and a limit is proven" for words in who]


def linear(colour):
    """Red, green and blue light (3,), from 0 to 1, after sRGB."""
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first, second="white"):
    """Between two colours, after WCAG 2.1, from 1 to 21."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    dark, light = sorted(0.05 + linear(colour) @ weights for colour in (first, second))
    return light / dark


@pytest.mark.parametrize("colour", [*look.COLOURS, look.BLUE, look.PURPLE, look.GREY])
def test_every_colour_can_be_seen_on_white(colour):
    assert contrast("white") == pytest.approx(1)
    assert contrast("black") == pytest.approx(21)
    assert contrast(colour) >= 3


def test_models_that_are_compared_differ_in_print_without_colours():
    styles = look.styles_of([model.name for model in mia.MODELS])
    for experiment in mia.EXPERIMENTS:
        for pair in experiment.pairs:
            assert contrast(styles[pair.first].colour, styles[pair.second].colour) >= 3, pair


SIGHTS = {  # of light, after Machado, Oliveira and Fernandes (2009), table 1, severity 1
    "without red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "without green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "without blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "all": np.eye(3),
}


def seen(light):
    """CIELAB (3,) of light (3,), white being D65. 2.3 is a just noticeable difference."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (
        np.cbrt(value) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116
        for value in to_xyz @ light / to_xyz.sum(axis=1)
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_are_told_apart_by_whoever_sees_fewer(sight):
    assert np.linalg.norm(seen(linear("white")) - seen(linear("black"))) == pytest.approx(100)
    colours = [seen(np.clip(SIGHTS[sight] @ linear(colour), 0, 1)) for colour in look.COLOURS]
    for number, first in enumerate(colours):
        for second in colours[:number]:
            assert np.linalg.norm(first - second) >= 20


def test_unknown_models_are_told_apart():
    styles = look.styles_of([f"model {number}" for number in range(72)])
    assert len(set(styles.values())) == 72
    for names in (["a"], ["b", "a"], ["new$1$", "new$2$"]):
        assert list(look.styles_of(names)) == names


# -------------------------------------------------------------------------------------------------- the loss


def test_the_histograms_of_the_loss_and_what_the_threshold_calls(drawn):
    for model in ("cnn", "dense$4$"):
        axes = panel(drawn["loss"], model)
        for patch, kind in zip(axes.patches, ("member", "non-member"), strict=True):
            points = rows_of(drawn.attacked.curves, model=model, curve=f"{kind} histogram")
            assert np.allclose(patch.get_data().values, points.groupby("x")["y"].mean())
            assert patch.get_data().values.sum() == pytest.approx(1)
        last = rows_of(drawn.attacked.results, model=model, epoch=4)
        [threshold] = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert threshold.get_xdata()[0] == pytest.approx(last["threshold"].mean())
        [words] = axes.texts
        caught, accused = last["true_positive_rate"].mean(), last["false_positive_rate"].mean()
        assert words.get_text() == f"called members:\n{caught:.0%} of members,\n{accused:.0%} of non-members"
        assert caught > accused


# --------------------------------------------------------------------------------------------- an experiment


def test_the_answer_panel_shows_each_pair_s_interval_and_verdict_by_each_attack(drawn):
    for experiment, count in (("architecture", 2), ("classes", 4)):
        pairs = rows_of(drawn.both.pairs, experiment=experiment, variant=AS_REPORTED)
        assert len(pairs) == count
        axes = panel(drawn[experiment], f"(a) Question about {experiment}?")
        beside = drawn[experiment].axes[1]
        words = [text.get_text() for text in beside.texts]
        for _, row in pairs.iterrows():
            ends = row["auc_low"], row["auc_high"]
            decided = ends[0] > 0 or ends[1] < 0
            colour = look.BLACK if decided else look.GREY
            assert has(bars(axes, colour, width=5), ends)
            assert any(np.isclose(x, row["auc_difference"]) for x, _ in markers(axes, Style(colour, "o")))
            numbers = f"{row['auc_difference']:+.4f} [{ends[0]:+.4f}, {ends[1]:+.4f}]"
            more = row["first"] if row["auc_difference"] > 0 else row["second"]
            said = f"{more} leaks more" if decided else "no difference can be shown"
            assert f"{numbers}\n{said}" in words
            [weight] = {text.get_fontweight() for text in beside.texts if numbers in text.get_text()}
            assert (weight == "bold") == decided
            assert row["verdict"].startswith(said) == (row["verdict"] != "")
        assert np.isclose(*np.abs(axes.get_xlim()))  # either side is one model's


def test_below_the_verdicts_stands_what_is_so_after_equally_many_steps(drawn):
    """Thin and grey, as it is not judged. Every row says what it is; the models stand at a pair's first."""
    figure = drawn["classes"]
    axes, beside = figure.axes[:2]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    of_pair = [
        "threshold attack",
        "calibrated attack",
        "threshold, at equal steps\n(described)",
        "calibrated, at equal steps\n(described)",
    ]
    assert labels == [
        *[f"cnn - few,\n{of_pair[0]}", *of_pair[1:]],
        *[f"dense$4$ - few,\n{of_pair[0]}", *of_pair[1:]],
    ]
    shown = list(zip(markers(axes, Style(look.GREY, "o")), strict=True))
    described = rows_of(drawn.both.pairs, experiment="classes", variant=EQUAL_STEPS)
    assert len(described) == 4
    for place, first, attack in ((2, "cnn", THRESHOLD), (7, "dense$4$", CALIBRATED)):
        [row] = rows_of(described, first=first, attack=attack).to_dict("records")
        assert any(np.allclose(point, (row["auc_difference"], place)) for (point,) in shown)
        assert has(bars(axes, look.GREY, width=1.25), (row["auc_low"], row["auc_high"]))
        words = beside.texts[place]
        assert words.get_text().endswith(f"{row['auc_high']:+.4f}]\nafter epochs 2 and 4")
        assert words.get_fontweight() == "normal"
        assert abs(row["auc_difference"]) < axes.get_xlim()[1]
    thin = "Thin: after equally many training steps"
    assert thin in figure.get_supxlabel().replace("\n", " ")
    assert thin not in drawn["architecture"].get_supxlabel().replace("\n", " ")
    assert [label.get_text() for label in drawn["architecture"].axes[0].get_yticklabels()] == of_pair[:2]


def test_one_pair_has_its_accuracy_and_several_have_an_auc_each_with_epochs_in_common(drawn):
    titles = [axes.get_title(loc="left") for axes in drawn["architecture"].axes[2:]]
    assert titles == ["(b) AUC of both attacks", "(c) Accuracy"]
    titles = [axes.get_title(loc="left") for axes in drawn["classes"].axes[2:]]
    assert titles == ["(b) AUC of both attacks, image size", "(c) AUC of both attacks, layers"]
    for name in ("architecture", "classes"):
        first, second = drawn[name].axes[2:]
        assert first.get_xlim() == second.get_xlim()
        assert first.get_xticks().tolist() == second.get_xticks().tolist()
    assert drawn["classes"].axes[2].get_ylim() == drawn["classes"].axes[3].get_ylim()


def test_a_title_says_in_words_what_the_verdicts_say(drawn):
    assert title(drawn["architecture"]) == "More leaks from a CNN than from a dense network, by either attack"
    assert title(drawn["classes"]).startswith("More leaks from cnn than from few")  # which have no words


def test_the_curves_per_epoch_are_the_means_of_the_results(drawn):
    auc, accuracy = panel(drawn["architecture"], "(b) AUC"), panel(drawn["architecture"], "(c) Accuracy")
    for model in ("cnn", "dense$4$"):
        colour = DRAWING.styles[model].colour
        rows = rows_of(drawn.both.results, model=model)
        for line, attack in zip(curves(auc, colour), (THRESHOLD, CALIBRATED), strict=True):
            means = rows_of(rows, attack=attack).groupby("epoch")["auc"].mean()
            assert line.get_xdata().tolist() == [0, 2, 4]
            assert np.allclose(line.get_ydata(), means)
            kind = kind_of(drawn.both, model, attack)
            ends = [one.get_ydata() for one in auc.lines if one.get_color() == colour]
            assert has([end for end in ends if len(end) == 2], (kind["auc_low"], kind["auc_high"]))
        means = rows.groupby("epoch")[["train_accuracy", "test_accuracy"]].mean()
        for line, column in zip(curves(accuracy, colour), means, strict=True):
            assert np.allclose(line.get_ydata(), means[column])


# ----------------------------------------------------------------------------------------- all models at once


def test_the_summary_shows_the_last_epoch_beside_the_controls(drawn):
    study = drawn.attacked
    auc, advantage = panel(drawn["summary"], "(a) How often"), panel(drawn["summary"], "Held-out advantage")
    for place, model in enumerate(PLAIN):
        style, kind = DRAWING.styles[model], kind_of(study, model)
        last = rows_of(study.results, model=model, epoch=4)
        for axes, measure in ((auc, "auc"), (advantage, "heldout_advantage")):
            assert has(markers(axes, style), (last[measure].mean(), place))
            assert has(bars(axes, style.colour), (kind[f"{measure}_low"], kind[f"{measure}_high"]))
        assert auc.texts[place].get_text() == f"{last['auc'].mean():.3f}"
        untrained = rows_of(study.results, model=model, epoch=0)["auc"]
        for values, marker in ((untrained, "|"), (last["placebo_auc"], ".")):
            points = [line for line in auc.lines if line.get_marker() == marker][place]
            assert np.allclose(points.get_xdata(), values)
        gap = [line for line in advantage.lines if line.get_marker() == "x"][place]
        assert gap.get_xdata()[0] == pytest.approx(last["gap"].mean())


def test_each_class_has_its_interval_and_only_those_named_have_a_colour(drawn):
    """In the first model two groups can be named, in the second none: it is not shown."""
    named = [("cat frog", "ship"), ("", ""), ("", "bird")]
    by_model = dict(zip(PLAIN, named, strict=True))
    kinds = drawn.attacked.kinds.copy()
    kinds["classes_above"] = [by_model[model][0] for model in kinds["model"]]
    kinds["classes_below"] = [by_model[model][1] for model in kinds["model"]]
    study = replace(drawn.attacked, kinds=kinds)
    with looked_at():
        figure = mia_figures.per_class_figure(study, DRAWING)
    assert [axes.get_title(loc="left").split("\n")[0] for axes in figure.axes if axes.axison] == [
        "cnn",
        "few",
    ]
    assert "no class can be named: dense$4$." in " ".join(figure.get_supxlabel().split())
    assert (
        title(figure)
        == "By the loss, cat and frog leak more than the mean of the classes in 1 of 3 models, ship and bird "
        "less in 1"
    )
    for model, known in (("cnn", CLASS_NAMES), ("few", CLASS_NAMES[:4])):
        axes, kind, style = panel(figure, model), kind_of(study, model), DRAWING.styles[model]
        shown = [label.get_text() for label in axes.get_yticklabels()]
        assert sorted(shown) == sorted(known)
        for name in known:
            colour = style.colour if name in " ".join(by_model[model]).split() else look.GREY
            apart = kind[f"class_{name}_difference"], shown.index(name)
            assert has(markers(axes, Style(colour, style.marker)), apart)
            assert has(bars(axes, colour), (kind[f"class_{name}_low"], kind[f"class_{name}_high"]))


# ------------------------------------------------------------------------------- two attacks, and the defence


def test_both_attacks_beside_each_other(drawn):
    auc, members_named = panel(drawn["attacks"], "(a) AUC"), panel(drawn["attacks"], "(b) Members found")
    for place, model in enumerate(PLAIN):
        style = DRAWING.styles[model]
        for shift, attack in ((-0.17, THRESHOLD), (0.17, CALIBRATED)):
            kind = kind_of(drawn.both, model, attack)
            assert has(markers(auc, style), (kind["auc"], place + shift))
            assert has(bars(auc, style.colour), (kind["auc_low"], kind["auc_high"]))
            # 2,000 non-members are too few for 0.1%, and hardly 1,000 too few for 1%.
            if model != "few":
                assert has(markers(members_named, style), (100 * kind["tpr_at_1pct_fpr"], place + shift))
        low, high = kind["auc_gain_low"], kind["auc_gain_high"]
        words = auc.texts[place]
        assert words.get_text() == f"{kind['auc_gain']:+.3f}\n[{low:+.3f}, {high:+.3f}]"
        assert (words.get_fontweight() == "bold") == (low > 0)


def test_too_few_non_members_to_name_anybody(drawn):
    """In one model there are words; in all of them no panel."""
    words = panel(drawn["attacks"], "Members found").texts
    assert [(text.get_text(), text.get_position()[1]) for text in words] == [("needs 1,000 non-members", 2)]
    names = ["tpr_at_0p1pct_fpr", "tpr_at_0p1pct_fpr_low", "tpr_at_0p1pct_fpr_high"]
    lower = replace(drawn.both, kinds=drawn.both.kinds.assign(**dict.fromkeys(names, 0.002)))
    with looked_at():
        assert panel(mia_figures.attacks_figure(lower, DRAWING), "Members found at 1 false alarm\nin 1,000")
    study = replace(drawn.both, kinds=drawn.both.kinds.assign(tpr_at_1pct_fpr=math.nan))
    with looked_at():
        [axes] = mia_figures.attacks_figure(study, DRAWING).axes
    assert axes.get_title(loc="left").startswith("(a)")


@pytest.mark.parametrize("reliability", [0.49, 0.51])
def test_samples_are_the_lowest_losses_and_the_largest_memorisation(drawn, reliability):
    kinds = drawn.both.kinds.assign(memorisation_reliability=reliability)
    with looked_at():
        figure = mia_figures.samples_figure(replace(drawn.both, kinds=kinds), DRAWING)
    for model in ("cnn", "dense$4$"):
        axes = panel(figure, model)
        table = drawn.both.memorisation.set_index("image")
        member_loss, memorisation = table[f"{model}_member_loss"], table[f"{model}_memorisation"]
        numbers = [*member_loss.sort_values().index[:10], *memorisation.sort_values().index[:-11:-1]]
        assert [image.get_array()[0, 0, 0] for image in axes.images] == [number % 256 for number in numbers]
        words = [text.get_text() for text in axes.texts]
        assert [word for word in words if word in CLASS_NAMES] == [
            CLASS_NAMES[number % 10] for number in numbers
        ]
        assert ("memorised\nmost" in words) == (reliability > 0.5)
    sentence = "no image is to be called memorised yet"
    assert (sentence in " ".join(figure.get_supxlabel().split())) == (reliability < 0.5)
    assert f"{reliability:.3f} (cnn)" in figure.get_supxlabel()
    assert title(figure).endswith("which are memorised is not known yet") == (reliability < 0.5)


def boxes(axes, place):
    """The rectangles of a row, the widest first: width, line style and whether it is filled."""
    rows = [patch for patch in axes.patches if patch.get_y() < place < patch.get_y() + patch.get_height()]
    widest = sorted(rows, key=lambda patch: -patch.get_width())
    return [(patch.get_width(), patch.get_linestyle(), patch.get_fill()) for patch in widest]


@pytest.mark.parametrize("trainings", [2, 4])
def test_the_defence_by_the_stronger_attack(trainings):
    """(a): AUC by accuracy on non-members, at the end and where it is stopped, with the path over the epochs.
    (b): the advantage measured, its interval, and a limit: a proven one, or none."""
    drawn = Drawn(trainings)
    attack = {2: THRESHOLD, 4: CALIBRATED}[trainings]
    figure, study = drawn["defence"], drawn.defended.of(attack)
    cost, leak = panel(figure, "(a) What it costs"), panel(figure, "(b) What is leaked")
    stopped = study.pairs[study.pairs["stopped_advantage"].notna()]
    last = last_epoch(study.results).groupby("model").mean(numeric_only=True)
    certain = last_epoch(study.results).groupby("model")["epsilon_low"].median()
    expected = []
    for model, name in (("dense$4$", "plain"), ("private", "private, epsilon 3")):
        kind = kind_of(study, model, attack)
        ends = kind["heldout_advantage_low"], kind["heldout_advantage_high"]
        point = last.loc[model, "test_accuracy"], last.loc[model, "auc"]
        words = f"measured {kind['heldout_advantage']:.3f}; leaks at least epsilon {certain[model]:.2f} (95%)"
        expected.append([model, name, point, kind["heldout_advantage"], ends, words])
        for _, pair in stopped[stopped["first"] == model].iterrows():
            epoch = pair["first_epoch"]
            at_epoch = rows_of(study.results, model=model, epoch=epoch).mean(numeric_only=True)
            ends = pair["stopped_advantage_low"], pair["stopped_advantage_high"]
            value = at_epoch["heldout_advantage"]
            point = at_epoch["test_accuracy"], at_epoch["auc"]
            name, words = f"stopped after {epoch} epochs", f"measured {value:.3f}"
            expected.append([model, name, point, value, ends, words])
    expected[-1][-1] += ", at most 3 (proven)"
    assert len(stopped) >= 1
    texts = [text.get_text().strip() for text in leak.texts]
    assert texts[::3] == [name for _, name, *_ in expected] == [text.get_text() for text in cost.texts[:-1]]
    assert texts[1::3] == [words for *_, words in expected]
    assert texts[2::3] == [*["no limit proven"] * (len(expected) - 1), "no attack beyond 0.300"]
    assert cost.texts[-1].get_text() == "chance"
    assert [line.get_ydata() for line in cost.lines if line.get_linestyle() == ":"] == [[0.5, 0.5]]
    assert cost.xaxis.get_major_formatter()(0.425, 0) == "42.5%"
    assert [text.get_va() for text in cost.texts[:-1]] == [*["bottom"] * (len(expected) - 1), "top"]
    with looked_at():
        figure.draw_without_rendering()
    assert all(text.get_window_extent().x0 >= cost.bbox.x0 for text in cost.texts)  # not over the axis
    assert leak.get_xlim() == (-0.08, 1.02)
    assert leak.get_ylim() == (len(expected) - 0.6, -0.7)
    for place, (model, name, point, value, ends, _) in enumerate(expected):
        style = DRAWING.styles[model]
        assert has(markers(cost, style), point)
        assert has(markers(leak, style), (-0.04, place))
        assert has(bars(leak, style.colour), ends)
        limit = (0.3, "-", False) if model == "private" else (1.0, "--", False)
        assert boxes(leak, place) == [limit, (pytest.approx(value), "solid", True)]
        for axes, where in ((cost, point), (leak, (-0.04, place))):
            [marker] = [line for line in axes.lines if np.allclose(line.get_xydata(), [where])]
            assert (marker.get_markerfacecolor() == "white") == name.startswith("stopped")
    [path] = [line for line in cost.lines if len(line.get_xdata()) > 1 and line.get_linestyle() == "-"]
    assert path.get_color() == DRAWING.styles["dense$4$"].colour  # the private one has no path
    means = rows_of(study.results, model="dense$4$").groupby("epoch")[["test_accuracy", "auc"]].mean()
    assert np.allclose(path.get_xydata(), means[means.index > 0])
    caption = " ".join(figure.get_supxlabel().split())
    assert f"{trainings} trainings of each model. By the {attack} attack." in caption
    assert f"at epsilon 3 at delta {DELTA:g}, for one image in or out by its coin" in caption
    assert caption.endswith("Stopped where it classifies about as well: not judged.")


def test_the_defence_where_the_plain_model_is_stopped_nowhere_or_twice(drawn):
    pairs = drawn.defended.pairs
    stopped = pairs[pairs["stopped_advantage"].notna()]
    rest = pairs.drop(index=stopped.index)
    earlier = stopped.assign(first_epoch=0, variant="earlier")
    for changed, names in (
        (rest, []),
        (rest.drop(columns="stopped_advantage"), []),
        (pd.concat([rest, stopped[stopped["first_epoch"] == 2], earlier, earlier]), [0, 2]),
    ):
        with looked_at():
            [figure] = defence_figures(replace(drawn.defended, pairs=changed), DRAWING).values()
        texts = [text.get_text() for text in panel(figure, "(b) What is leaked").texts]
        said = [f"stopped after {epoch} epochs" for epoch in names]
        assert texts[::3] == ["plain", *said, "private, epsilon 3"]
        assert ("Stopped" in figure.get_supxlabel()) == bool(names)


@pytest.mark.parametrize("plain", [True, False])
def test_each_of_several_private_models_within_its_own_limit(plain):
    kinds = [Kind("tight", 10, 1300, 0.0, epsilon=1.0), Kind("loose", 10, 1300, 0.1, epsilon=10.0)]
    pairs = [Pair("loose", "tight")]
    if plain:
        kinds.append(Kind("plain", 10, 1300, 0.3))
        pairs.append(Pair("plain", "loose"))
    study = act_of(kinds, {"epsilon": pairs}, 2, THRESHOLD)
    with looked_at():
        [figure] = defence_figures(study, drawing_of(kinds, {"epsilon": "Which?"})).values()
    leak = panel(figure, "(b) What is leaked")
    texts = [text.get_text().strip() for text in leak.texts]
    for place, epsilon in enumerate((10, 1)):
        assert texts[3 * place] == f"private, epsilon {epsilon}"
        assert texts[3 * place + 1].endswith(f"at most {epsilon} (proven)")
        assert texts[3 * place + 2] == f"no attack beyond {epsilon / 10:.3f}"
        assert boxes(leak, place)[0] == (epsilon / 10, "-", False)
        assert leak.texts[3 * place + 2].get_ha() == ("left" if epsilon == 1 else "right")  # where room is
    caption = " ".join(figure.get_supxlabel().split())
    assert "1 at delta 1e-05" in caption
    assert "10 at delta 1e-05" in caption
    assert ("Stopped where" in caption) == plain
    assert ("plain" in texts) == plain
    assert "each" in title(figure) or plain


def test_models_that_were_trained_alike_have_their_names():
    kinds = [Kind("one", 10, 1300, 0.0, epsilon=1.0), Kind("two", 10, 1300, 0.1, epsilon=1.0)]
    study = act_of(kinds, {"epsilon": [Pair("one", "two")]}, 2, THRESHOLD)
    with looked_at():
        [figure] = defence_figures(study, drawing_of(kinds, {"epsilon": "Which?"})).values()
    leak = panel(figure, "(b) What is leaked")
    assert [text.get_text() for text in leak.texts[::3]] == ["one", "two"]
    assert leak.get_ylim() == (2.4, -0.7)  # no thicker bars than with three rows


# ----------------------------------------------------------------------------------------------------- panels


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def thick(axes, colour):
    """The mean curve of each kind that is drawn with a thick line in a colour."""
    lines = [line for line in axes.lines if line.get_color() == colour and line.get_linewidth() == 2]
    return [line for line in lines if len(line.get_xdata()) > 1]


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
    losses, roc = figure.subplots(1, 2)
    loss_panel(losses, [model], "losses")
    roc_panel(roc, [model._replace(points=[Point(0.5, 0.6, 0.5, 0.7)])], "ROC")
    figure.draw_without_rendering()
    assert losses.get_xscale() == scale
    assert legend(losses)[0] == f"advantage {largest:.3f}, same records"
    assert legend(roc) == ["label", "95% at each FPR, if nothing leaks", "chance: TPR = FPR"]
    [gap] = [line.get_ydata() for line in losses.lines if line.get_label().startswith("advantage")]
    if scale == "log":
        assert abs(gap[0] - gap[1]) == pytest.approx(largest, abs=0.01)


def test_a_model_s_points_stand_with_their_intervals():
    curves = curves_of(Losses(np.linspace(0, 1, 100), np.linspace(0.5, 2, 100)))
    model = Shown("", Style("red", "s"), 100, 100, 0.5, [curves], [Point(0.1, 0.5, 0.4, 0.6)])
    axes = Figure().subplots()
    roc_panel(axes, [model], "ROC")
    [point] = [line for line in axes.lines if line.get_marker() == "s"]
    assert (point.get_xydata().tolist(), point.get_markerfacecolor()) == ([[0.1, 0.5]], "red")
    assert point.get_markeredgecolor() == "white"
    [interval] = [line for line in axes.lines if line.get_marker() == "_"]
    assert interval.get_xydata().tolist() == [[0.1, 0.4], [0.1, 0.6]]


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
    for band, size in zip(axes.collections, (100, 200), strict=True):
        fprs = curves.fprs[curves.fprs >= 0.01]
        edge = band.get_paths()[0].vertices
        for rate, (low, high) in zip(fprs, no_leak_band(size, 100, tuple(fprs)).T, strict=True):
            assert {max(low, 1e-9), high} <= set(edge[edge[:, 0] == rate, 1])
    assert legend(axes).count("95% at each FPR, if nothing leaks") == 1


def test_rows_that_depend_on_each_other_have_no_band():
    curves = curves_of(Losses(np.arange(100.0), np.arange(100.0)))
    axes = Figure().subplots()
    roc_panel(axes, [Shown("a", Style("red", "o"), 100, 100, 0.0, [curves])], "ROC", band=False)
    assert len(axes.collections) == 0
    assert legend(axes) == ["a", "chance: TPR = FPR"]
