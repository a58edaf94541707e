"""The figures of mia.py, drawn from small made-up tables: are the numbers in them those of the table?"""

import io
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from data.cifar10 import CLASS_NAMES
from leakage.contrasts import paired_contrast
from leakage.estimates import Losses, measure_leakage, roc_curve
from report import mia_figures

# Name: number of classes, members, non-members, and how far the members' log loss is shifted when trained.
MODELS = {
    "cnn4_10c": (10, 1200, 1000, 1.0),
    "dense4_10c": (10, 1200, 1000, 0.2),
    "dense4_4c": (4, 400, 80, 0.5),
}
EXPERIMENT = SimpleNamespace(name="architecture", question="Which leaks?", models=tuple(MODELS))
TEST_ACCURACY = {0: 0.1, 1: 0.6, 2: 0.5}  # per epoch, so that epoch 1 is the best
FPRS, LEVELS = np.geomspace(1e-4, 1, 33), np.linspace(0.01, 0.99, 30)


def made_up(seeds):
    """Results and contrasts of log-normal losses; some members have a loss of exactly 0 at the end."""
    rows, losses = [], {}
    for model, (classes, n, m, shift) in MODELS.items():
        for seed in range(seeds):
            for epoch, accuracy in TEST_ACCURACY.items():
                generator = np.random.default_rng([seed, epoch, n, m])
                members = np.exp(3 * generator.normal(-shift * epoch / 2, 1, n))
                nonmembers = np.exp(3 * generator.normal(0, 1, m))
                row = {"model": model, "classes": classes, "parameters": 1000, "seed": seed, "epoch": epoch}
                row |= {"train_images": n, "test_images": m, "train_accuracy": 0.9, "test_accuracy": accuracy}
                row |= {"gap": 0.9 - accuracy} | measure_leakage(members, nonmembers)
                for number, name in enumerate(CLASS_NAMES):
                    auc = 0.5 + 0.01 * ((7 * number) % 10) + 0.3 * (classes < 10)
                    auc = auc if number < classes else math.nan
                    row |= {f"auc_{name}": auc, f"auc_{name}_low": auc - 0.1, f"auc_{name}_high": auc + 0.1}
                if epoch == max(TEST_ACCURACY):
                    members[:20] = 0.0
                    curve = roc_curve(members, nonmembers, FPRS)
                    row |= {f"tpr_at_fpr_{fpr:.4g}": tpr for fpr, tpr in zip(FPRS, curve, strict=True)}
                    for kind, values in (("member", members), ("nonmember", nonmembers)):
                        quantiles = zip(LEVELS, np.quantile(values, LEVELS), strict=True)
                        row |= {f"{kind}_loss_q{level:.3g}": quantile for level, quantile in quantiles}
                    losses.setdefault(model, []).append(Losses(members, nonmembers))
                rows.append(row)
    first, *others = MODELS
    pairs = [(first, other) for other in others]
    contrasts = [{"first": a, "second": b} | paired_contrast(losses[a], losses[b], (a, b)) for a, b in pairs]
    return pd.DataFrame(rows), contrasts


@pytest.fixture(scope="module", params=[1, 3], ids=["one seed", "three seeds"])
def study(request):
    return made_up(request.param)


def picture(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def last_mean(results, model, column):
    chosen = (results["model"] == model) & (results["epoch"] == max(TEST_ACCURACY))
    return results.loc[chosen, column].mean()


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def title(figure):
    return figure.legends[0].get_title().get_text().replace("\n", " ")


def test_a_table_read_back_from_its_csv_file_gives_the_same_pictures(study):
    results, contrasts = study
    again = pd.read_csv(io.StringIO(results.to_csv(index=False)))
    for draw in (
        lambda table: mia_figures.experiment_figure(table, EXPERIMENT, contrasts),
        mia_figures.summary_figure,
        mia_figures.per_class_figure,
    ):
        assert picture(draw(results)) == picture(draw(again))


def test_the_numbers_in_an_experiment_s_figure_are_those_of_the_table(study):
    results, contrasts = study
    figure = mia_figures.experiment_figure(results, EXPERIMENT, contrasts, "REHEARSAL")
    assert title(figure) == "Which leaks? — REHEARSAL"
    _, auc, advantage, roc, losses, contrast = figure.axes
    for number, model in enumerate(MODELS):
        rows = results[results["model"] == model]
        best = rows.loc[rows["epoch"] == 1, "auc"].mean()
        end = last_mean(results, model, "auc")
        assert legend(auc)[number] == f"{best:.3f} at epoch 1, {end:.3f} at 2"
        assert legend(roc)[number] == f"AUC {end:.3f}"
        assert legend(losses)[number] == f"advantage {last_mean(results, model, 'advantage'):.3f}"
        drawn = [line.get_ydata() for line in advantage.lines if line.get_linewidth() == 2]
        assert any(np.allclose(curve, rows.groupby("epoch")["heldout_advantage"].mean()) for curve in drawn)
    floors = results["null_advantage"]
    assert legend(advantage)[-1] == f"null floor {floors.min():.4f} to {floors.max():.4f}"
    texts = " ".join(text.get_text().replace("\n", " ") for text in contrast.texts)
    for row in contrasts:
        assert f"{row['auc_difference']:+.3f}" in texts
        assert f"{row['heldout_advantage_difference']:+.3f}" in texts
        assert row["verdict"] in texts
    caption = figure.get_supxlabel()
    assert ("One seed" in caption) == (results["seed"].nunique() == 1)
    assert ("3 seeds" in caption) == (results["seed"].nunique() == 3)


def test_the_summary_shows_the_table_s_last_epoch_and_says_what_is_missing(study):
    results, _ = study
    auc, _, one_percent, one_per_mille = mia_figures.summary_figure(results).axes
    assert [label.get_text() for label in auc.get_yticklabels()] == list(MODELS)
    shown = [text.get_text() for text in auc.texts]
    assert shown == [f"{last_mean(results, model, 'auc'):.3f}" for model in MODELS]
    # 1,000 non-members allow 10 false accusations at 1%, but not at 0.1%; 80 allow neither.
    assert len(one_percent.texts) == 1
    assert len(one_per_mille.texts) == 3
    expected = last_mean(results, "cnn4_10c", "tpr_at_1pct_fpr") / 0.01
    drawn = [line.get_xdata() for line in one_percent.lines if line.get_marker() == "o"]
    assert np.allclose(drawn, expected)


def test_classes_are_in_the_order_of_the_auc_of_the_models_that_know_them_all(study):
    results, _ = study
    [axes] = mia_figures.per_class_figure(results).axes
    order = sorted(CLASS_NAMES, key=lambda name: -((7 * CLASS_NAMES.index(name)) % 10))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all classes", *order]
    means = [line for line in axes.lines if line.get_marker() in "osD" and line.get_markersize() == 8]
    assert len(means) == 3 + 10 + 10 + 4


@pytest.mark.parametrize(("members", "nonmembers"), [(300, 70), (40, 500)])
def test_the_no_leak_band_against_drawing_without_replacement(members, nonmembers):
    """J members lie below the (k + 1)th non-member. J >= j means that of the j + k lowest losses, of members
    and non-members in random order, at most k are non-members': hypergeometric."""
    fprs = (1 / nonmembers, 0.05, 0.3, 0.99)
    band = mia_figures._no_leak_band(members, nonmembers, (*fprs, 1.0))
    assert np.array_equal(band[:, -1], [1, 1])
    for (low, high), fpr in zip(np.round(band.T[:-1] * members).astype(int), fprs, strict=True):
        allowed = math.floor(fpr * nonmembers + 1e-9)
        lowest = np.arange(1, members + 1) + allowed
        at_least = stats.hypergeom.cdf(allowed, members + nonmembers, nonmembers, lowest)
        below = np.append(1 - at_least, 1.0)  # P(J < j) for j = 1, 2 ..., that is P(J <= j - 1)
        assert low == np.argmax(below >= 0.025)
        assert high == np.argmax(below >= 0.975)


def test_samples_are_the_images_asked_for():
    images = np.arange(30, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    labels = np.arange(30) % 10
    exposure = {"model": "cnn4_10c", "most": list(range(12)), "least": [29, 21], "stability": "Stable."}
    figure = mia_figures.samples_figure([exposure, exposure], images, labels, "REHEARSAL")
    picture(figure)
    assert title(figure).endswith("— REHEARSAL")
    for axes in figure.axes:
        assert [image.get_array()[0, 0, 0] for image in axes.images] == [*range(10), 29, 21]
        names = [text.get_text() for text in axes.texts if text.get_text() in CLASS_NAMES]
        assert names == [CLASS_NAMES[index % 10] for index in [*range(10), 29, 21]]
        assert axes.get_xlabel() == "Stable."


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
def test_an_audit_draws_anybody_s_losses(members, nonmembers, scale):
    report = measure_leakage(members, nonmembers)
    figure = mia_figures.audit_figure(members, nonmembers, report)
    picture(figure)
    roc, losses = figure.axes
    assert losses.get_xscale() == scale
    assert legend(roc)[0] == f"AUC {report['auc']:.3f}"
    assert legend(losses)[0] == f"advantage {report['advantage']:.3f}"
    [gap] = [line.get_ydata() for line in losses.lines if line.get_label().startswith("advantage")]
    if scale == "log":
        assert abs(gap[0] - gap[1]) == pytest.approx(report["advantage"], abs=0.01)
    assert f"{report['auc_low']:.3f} to {report['auc_high']:.3f}" in figure.get_supxlabel().replace("\n", " ")
