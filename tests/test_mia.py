"""mia.py: its models, its attacks against independent references, and the whole run on small made-up images.

The images are a fake of CIFAR-10, named as one: few, random, with a hint of their class.
"""

import io
import re
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import metadata

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.metrics import roc_auc_score, roc_curve

import leakage
import mia
from leakage.contrasts import NO_DIFFERENCE
from suite.jobs import workers
from suite.jobs.lab import Lab, _task
from suite.sources.cifar10 import CLASS_NAMES, Cifar10
from suite.study.findings import CALIBRATED, STOPPED, THRESHOLD, Pair, scores_at
from suite.support.command_line import BadInput
from suite.training.members import coins, is_member, pool_of
from suite.training.private import DELTA
from suite.training.repeatable import start_tensorflow
from tests.made_up import Kind, training_of

# Before TensorFlow runs in this process: its threads cannot be set later.
start_tensorflow(threads=2)
BY_NAME = {model.name: model for model in mia.MODELS}
# The tables of the small study: rows of the real ones with 60 images a class, and a new row in each, with a
# name, a depth and a number of classes that no other has.
NEW_MODEL = mia.Model("three_classes", convolutional=1, dense=2, classes=3, each=40)
NEW_EXPERIMENT = mia.Experiment("new", "Does a new row work?", (Pair("three_classes", "dense4_10c", "name"),))
MODELS = [replace(BY_NAME[name], each=60) for name in ("cnn4_10c", "dense4_10c", "dense4_10c_dp")]
MODELS.insert(2, NEW_MODEL)
EXPERIMENTS = [row for row in mia.EXPERIMENTS if row.name in ("architecture", "defence")] + [NEW_EXPERIMENT]
# A pair that is not run, but belongs to the family of acts one and two, which has three pairs.
EXPERIMENTS.append(mia.Experiment("unasked", "?", (Pair("three_classes", "cnn4_10c"),), by_default=False))
SMALL = {model.name: model for model in MODELS}
TRAININGS = 4
FIGURES = {
    f"mia_{name}.png"
    for name in ("loss", "architecture", "new", "summary", "per_class", "attacks", "samples", "defence")
}
TABLES = {f"mia_{name}.csv" for name in ("results", "curves", "kinds", "pairs", "memorisation")}


def fake_cifar10(train=50, test=20):
    """A fake: `train` and `test` random images of each class, a tint apart."""
    generator = np.random.default_rng(0)
    arrays = []
    for each in (train, test):
        labels = generator.permutation(np.repeat(np.arange(10, dtype=np.uint8), each))
        images = generator.integers(0, 30, (len(labels), 32, 32, 3)) + 25 * labels[:, None, None, None]
        arrays += [images.astype(np.uint8), labels]
    return Cifar10(*arrays)


@pytest.fixture(scope="module")
def fake():
    return fake_cifar10()


# -------------------------------------------------------------------------------- models, pairs and settings


def test_parameter_counts_are_those_worked_out_by_hand():
    first, layer = 3072 * 64 + 64, 64 * 64 + 64
    expected = {
        "cnn4_10c": (27 + 1) * 32 + 2 * (288 + 1) * 32 + (2 * 2 * 32 + 1) * 64 + 65 * 10,
        "dense4_10c": first + 3 * layer + 65 * 10,
        "dense7_10c": first + 6 * layer + 65 * 10,
        "dense4_4c": first + 3 * layer + 65 * 4,
        "dense7_4c": first + 6 * layer + 65 * 4,
        "dense4_10c_12k": first + 3 * layer + 65 * 10,
        "dense4_4c_5k": first + 3 * layer + 65 * 4,
        "dense4_10c_dp": first + 3 * layer + 65 * 10,
    }
    expected |= {f"{name}_falling": expected[name] for name in ("cnn4_10c", "dense4_10c")}
    assert {model.name: mia.build(model, 0).count_params() for model in mia.MODELS} == expected


def test_the_start_does_not_depend_on_the_global_generator(monkeypatch):
    """As if another thread of the process drew from it all the time."""
    import random

    calm = mia.build(mia.MODELS[0], 3).get_weights()
    monkeypatch.setattr(random, "randint", lambda *_: 4)
    disturbed = mia.build(mia.MODELS[0], 3).get_weights()
    assert all(np.array_equal(before, after) for before, after in zip(calm, disturbed, strict=True))


def test_pixels_are_scaled_to_one_and_seeds_decide_the_start():
    import tensorflow as tf

    white = np.full((1, 32, 32, 3), 255, np.uint8)
    networks = [mia.build(mia.MODELS[0], seed) for seed in (0, 0, 1)]
    first, same, other = (network(tf.constant(white)).numpy() for network in networks)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    scaled = mia.build(mia.MODELS[1], 0).layers[0](tf.constant(white)).numpy()
    assert scaled.dtype == np.float32
    assert (scaled == 1.0).all()


def test_the_crop_changes_no_logit(fake):
    """Against the same network without its first layer, on the whole images."""
    import keras

    cropped = mia.build(mia.MODELS[0], 0)
    whole = keras.Sequential([keras.Input((32, 32, 3)), *mia.build(mia.MODELS[0], 0).layers[1:]])
    whole.set_weights(cropped.get_weights())
    images = fake.train_images[:50]
    np.testing.assert_allclose(cropped(images).numpy(), whole(images).numpy(), rtol=1e-5, atol=1e-6)
    # The network does look at the pixels that are next to the crop.
    images = images.copy()
    images[:, 29] = 255 - images[:, 29]
    assert not np.allclose(cropped(images).numpy(), whole(fake.train_images[:50]).numpy())


def test_pairs_are_of_models_that_there_are():
    pairs = [pair for experiment in mia.EXPERIMENTS for pair in experiment.pairs]
    assert {name for pair in pairs for name in pair[:2]} <= set(BY_NAME)
    assert len({pair[:2] for pair in pairs}) == len(pairs) == 9
    # What a pair is said to have in common, it has.
    equal = {
        "all images of each class": lambda model: model.each == 6_000,
        "two fifths of the images": lambda model: model.each == 2_400,
        "ten classes": lambda model: model.classes == 10,
        "four classes": lambda model: model.classes == 4,
    }
    said = [pair for pair in pairs if pair.equal]
    assert {pair.equal for pair in said} == set(equal)
    for pair in said:
        assert all(equal[pair.equal](BY_NAME[name]) for name in pair[:2]), pair


@pytest.mark.parametrize(
    ("name", "members", "steps", "batch_size", "epochs"),
    [
        ("cnn4_10c", 30_000, 600, 50, 40),
        ("dense4_4c", 12_000, 240, 50, 40),
        ("dense4_10c_12k", 12_000, 240, 50, 40),
        ("dense4_4c_5k", 4_800, 96, 50, 40),
        ("dense4_10c_dp", 30_000, 50, 600, 30),
    ],
)
def test_the_row_alone_fixes_steps_and_batches(name, members, steps, batch_size, epochs):
    """Whichever of its trainings it is, whose numbers of heads differ."""
    for number in range(6):
        settings = mia.settings_of(BY_NAME[name], number, None, 1.0)
        assert settings.expected_members == members
        assert (settings.steps, settings.batch_size, settings.epochs) == (steps, batch_size, epochs)
    tenth = mia.settings_of(BY_NAME[name], 0, 20, 0.1)
    assert (tenth.expected_members, tenth.epochs) == (members / 10, 20)
    assert tenth.steps == members // 10 // tenth.batch_size
    assert tenth.attacked_epochs == [0, 4, 8, 12, 16, 20]
    assert replace(tenth, epochs=6).attacked_epochs == [0, 4, 6]


def test_no_two_trainings_share_a_seed():
    """Nor two that differ in epsilon alone, which would share their noise."""
    private = mia.settings_of(BY_NAME["dense4_10c_dp"], 0, None, 1.0)
    others = [
        private,
        replace(private, model=replace(private.model, epsilon=4.0)),
        replace(private, model=replace(private.model, name="again")),
        replace(private, number=1),
        replace(private, number=2),
        replace(private, epochs=31),
        replace(private, batch_size=500),
        mia.settings_of(BY_NAME["dense4_10c"], 0, None, 1.0),
    ]
    assert len({settings.seed for settings in others}) == len(others)
    assert private.seed == mia.settings_of(BY_NAME["dense4_10c_dp"], 0, None, 1.0).seed


class Answer:
    """A fake of a kept result: it holds the arguments of the call."""

    def __init__(self, call):
        self.call = call

    def read(self):
        return {"arguments": self.call.arguments}


class Notebook:
    """A fake of Lab that writes the calls down and makes none."""

    def __init__(self, jobs=2, dask=None):
        self.jobs, self.dask, self.calls = jobs, dask, []

    def do(self, what, calls, **_):
        self.calls += calls
        return {call.name: Answer(call) for call in calls}


def keys_of(models, epochs, share, data, lab_options=(2, None), trainings=2):
    """The keys of the trainings that a run would ask for, by their names."""
    lab = Notebook(*lab_options)
    mia.train_models(lab, models, trainings, epochs, share, data)
    return {call.name: _task(call).key for call in lab.calls}


def test_a_training_s_key_changes_with_all_that_its_result_depends_on(fake):
    models = [replace(BY_NAME[name], each=600) for name in ("dense4_10c", "dense4_10c_dp")]
    standard = keys_of(models, 2, 1.0, fake)
    assert list(standard) == ["dense4_10c-0", "dense4_10c-1", "dense4_10c_dp-0", "dense4_10c_dp-1"]
    keys = set(standard.values())
    other_data = fake._replace(test_labels=fake.test_labels[::-1])
    for other in (
        keys_of(models, 3, 1.0, fake),
        keys_of(models, 2, 0.5, fake),
        keys_of(models, 2, 1.0, other_data),
        keys_of(models, 2, 1.0, None),
        keys_of([replace(model, dense=3) for model in models], 2, 1.0, fake),
    ):
        assert len(keys & set(other.values())) == 0
        keys |= set(other.values())
    epsilon = keys_of([models[0], replace(models[1], epsilon=4.0)], 2, 1.0, fake)
    assert [epsilon[name] == key for name, key in standard.items()] == [True, True, False, False]
    # How many trainings there are, where they are made and on how many threads does not matter.
    assert keys_of(models, 2, 1.0, fake, (1, None)) == standard
    assert keys_of(models, 2, 1.0, fake, (1, "tcp://somewhere")) == standard
    assert standard.items() < keys_of(models, 2, 1.0, fake, trainings=4).items()


@pytest.mark.parametrize("library", ["tensorflow", "keras", "numpy", "scipy", "dp-accounting"])
def test_a_training_s_key_changes_with_its_libraries(fake, monkeypatch, library):
    """Private training's with the accountant's too, which decides the noise; plain training's without it."""
    models = [replace(BY_NAME[name], each=600) for name in ("dense4_10c", "dense4_10c_dp")]
    before = keys_of(models, 2, 1.0, fake)
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: version(name) + "+" * (name == library))
    after = keys_of(models, 2, 1.0, fake)
    for name, key in before.items():
        assert (after[name] == key) == (library == "dp-accounting" and "_dp" not in name)


def test_the_families_of_verdicts_and_of_kinds_share_the_same_error():
    """FALSE_CLAIMS alone decides every confidence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mia, "FALSE_CLAIMS", 0.2)
        lab = Notebook()
        [described] = mia.describe_models(lab, {"a": []}, THRESHOLD).values()
        assert described["arguments"][-2:] == (1 - 0.2 / len(mia.MODELS), 1 - 0.2)
        experiments = [mia.Experiment("one", "?", (Pair("a", "b"),))]
        [[compared]] = mia.compare_models(lab, {"a": [], "b": []}, experiments, THRESHOLD, 4).values()
        assert compared["arguments"][-2:] == (1 - 0.2 / 4, 1 - 0.2 / len(mia.MODELS))
        assert mia.compare_models(lab, {"a": []}, [], THRESHOLD, 0) == {}


def test_a_pair_of_two_experiments_is_compared_for_each():
    """Which may say something else of what both models have in common."""
    pairs = [Pair("a", "b", equal) for equal in ("images", "layers")]
    experiments = [mia.Experiment(pair.equal, "?", (pair,)) for pair in pairs]
    answers = mia.compare_models(Notebook(), {"a": ["of a"], "b": ["of b"]}, experiments, THRESHOLD, 5)
    # Of the family, and of kinds, beside which a model stands that was stopped early.
    confidences = 1 - 0.05 / 5, 1 - 0.05 / len(mia.MODELS)
    assert answers == {
        pair.equal: [{"arguments": (["of a"], ["of b"], ("a", "b"), pair.equal, THRESHOLD, 5, *confidences)}]
        for pair in pairs
    }


# ------------------------------------------------------------------------------------------------- training


def test_adam_takes_the_steps_of_keras():
    """Twenty steps with gradients of very different size, zero among them; only the rounding differs."""
    import keras
    import tensorflow as tf

    from suite.training.adam import Adam

    generator = np.random.default_rng(0)
    start = [generator.normal(size=shape).astype(np.float32) for shape in ((7, 5), (5,))]
    ours, theirs = ([keras.Variable(values) for values in start] for _ in range(2))
    adam, reference = Adam(ours, learning_rate=0.01), keras.optimizers.Adam(learning_rate=0.01)
    for _ in range(20):
        gradients = [
            tf.constant((generator.normal(size=value.shape) * 10.0 ** generator.integers(-9, 3)), tf.float32)
            for value in start
        ]
        gradients[1] = gradients[1] * [0, 1, 1, 1, 1]
        adam.apply(gradients)
        reference.apply(gradients, theirs)
        for own, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(own.value.numpy(), other.value.numpy(), rtol=1e-5, atol=1e-6)
    moved = [np.abs(own.value.numpy() - before) for own, before in zip(ours, start, strict=True)]
    assert moved[0].min() > 1e-3
    assert (moved[1] > 0).tolist() == [False, True, True, True, True]


def counted_batches(count, epochs, seed=0, **settings):
    """How often each of `count` images is in each batch, int (epochs * steps, count), as training takes them.

    Image i is black and of class i, and no weight changes from 0, so that in a batch of b the gradient of the
    bias of class i is 1 / count less 1 / b for each time that image i is there. See test_private.py.
    """
    import tensorflow as tf

    from suite.training import plain
    from tests.test_private import Recorder, linear_network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "Adam", Recorder)
        train_epoch = plain.plain_epochs(
            linear_network(count),
            tf.zeros((count, 2, 2, 3), tf.uint8),
            tf.range(count, dtype=tf.int32),
            learning_rate=0.1,
            falling_over=None,
            seed=seed,
            **settings,
        )
    for epoch in range(1, epochs + 1):
        train_epoch(epoch)
    gradients = Recorder.last.given.numpy()[: int(Recorder.last.steps), -count:].astype(float)
    times = settings["batch_size"] * (1 / count - gradients)
    np.testing.assert_allclose(times, times.round(), atol=1e-3)
    return times.round().astype(int)


@pytest.mark.parametrize(("count", "fewest", "most"), [(20, 1, 1), (17, 1, 2), (9, 2, 3), (23, 0, 1)])
def test_an_epoch_has_the_steps_of_its_row_however_many_members_there_are(count, fewest, most):
    """Five steps on four images each. With fewer than 20 members the order starts again, so that no image is
    seen twice more often than another; with more, the rest is left out."""
    batches = counted_batches(count, epochs=3, steps=5, batch_size=4)
    assert (batches.sum(axis=1) == 4).all()
    assert len(batches) == 3 * 5
    for epoch in batches.reshape(3, 5, count):
        times = epoch.sum(axis=0)
        assert (times.min(), times.max()) == (fewest, most)
        if count > 4:  # no image is twice in a batch but where the order starts again
            assert (epoch.max(axis=1) <= 2).all()
            assert (epoch.max(axis=1) == 2).sum() <= most - 1


def test_every_epoch_and_seed_has_an_order_of_its_own():
    batches = [counted_batches(20, epochs=2, seed=seed, steps=5, batch_size=4) for seed in (0, 1)]
    epochs = np.concatenate(batches).reshape(4, 5, 20)
    assert len({epoch.tobytes() for epoch in epochs}) == 4
    again = counted_batches(20, epochs=2, steps=5, batch_size=4)
    assert np.array_equal(again, batches[0])
    # A batch that is divided into halves is the same batch.
    halves = counted_batches(20, epochs=2, steps=5, batch_size=4, parts=2)
    assert np.array_equal(halves, batches[0])


def test_a_falling_rate_scales_what_a_step_changes():
    """Adam's first step changes each weight by the learning rate, whatever the gradient: at epoch 3 of 4 by
    half of what it changes at epoch 1, where the rate is the first."""
    import tensorflow as tf

    from suite.training import plain
    from tests.test_private import linear_network

    changes = []
    for epoch, falling_over in ((1, 4), (3, 4), (3, None)):
        network = linear_network(4)
        train_epoch = plain.plain_epochs(
            network,
            tf.fill((4, 2, 2, 3), tf.cast(255, tf.uint8)),
            tf.range(4, dtype=tf.int32),
            steps=1,
            batch_size=1,
            learning_rate=0.1,
            falling_over=falling_over,
            seed=0,
        )
        before = network.get_weights()[-1]
        train_epoch(epoch)
        changes.append(np.abs(network.get_weights()[-1] - before).max())
    assert changes == pytest.approx([0.1, 0.05, 0.1], rel=1e-4)


def train_here(settings, data):
    """What a training returns, made in this process."""
    return mia.train_plainly(settings, data, 1, lambda: None)


def test_a_model_that_learns_noise_by_heart_is_found_out(fake):
    """Noise can only be memorised: members are told by heart, others guessed, and an attack is nearly always
    right. Untrained, the same model gives nothing away."""
    generator = np.random.default_rng(5)
    noise = fake._replace(
        train_images=generator.integers(0, 256, fake.train_images.shape, np.uint8),
        test_images=generator.integers(0, 256, fake.test_images.shape, np.uint8),
    )
    settings = mia.Settings(BY_NAME["dense4_4c"], 3, 60, 60, 10, 0.001, attack_every=60)
    training = train_here(settings, noise)
    inside = training["is_member"]
    untrained, trained = (
        leakage.measure_leakage(losses[inside], losses[~inside]) for losses in training["losses"]
    )
    assert untrained["auc_low"] < 0.5 < untrained["auc_high"]
    assert training["train_accuracy"][1] > 0.95
    assert training["test_accuracy"][1] < 0.4
    assert trained["auc"] > 0.9
    assert trained["auc"] == pytest.approx(roc_auc_score(inside, -training["losses"][1]), abs=1e-12)
    # The coins of this training decide who the members are, and the whole pool is judged.
    pool = pool_of(noise, 4, 60)
    assert np.array_equal(training["image_ids"], pool.ids)
    assert np.array_equal(training["labels"], pool.labels)
    assert np.array_equal(inside, is_member(3, pool.ids))
    assert 0.3 < inside.mean() < 0.7
    assert (training["model"], training["classes"], training["training"]) == ("dense4_4c", 4, 3)


def test_accuracies_and_losses_are_those_of_members_and_of_the_others(fake):
    """All that are no members of this training are made black: the two sets cannot be mixed up."""
    outside = ~is_member(1, np.arange(len(fake.train_labels) + len(fake.test_labels)))
    black = [images.copy() for images in (fake.train_images, fake.test_images)]
    split = len(fake.train_labels)
    black[0][outside[:split]] = 0
    black[1][outside[split:]] = 0
    settings = mia.settings_of(SMALL["dense4_10c"], 1, 2, 1.0)
    training = train_here(settings, fake._replace(train_images=black[0], test_images=black[1]))
    inside = training["is_member"]
    shares = np.bincount(training["labels"][~inside], minlength=10) / (~inside).sum()
    for place in (0, 1):
        # All black images have the same logits, so that they fall into one class, and a class has one loss.
        assert np.abs(shares - training["test_accuracy"][place]).min() == pytest.approx(0, abs=1e-12)
        assert len(np.unique(training["losses"][place][~inside])) <= 10
        assert len(np.unique(training["losses"][place][inside])) > 200
    assert training["epochs"].tolist() == [0, 2]
    assert training["steps"].tolist() == [0, 2 * (300 // mia.BATCH_SIZE)]
    assert training["losses"].dtype == np.float64


# ------------------------------------------------------------------------------------------------- attacks


def test_losses_keep_what_float32_probabilities_lose():
    """Against log(1 + sum of exp(other - true)), worked out by hand."""
    logits = np.array([[30.0, 0, 0], [1e4, -1e4, 0], [-1e4, 1e4, 0], [0, 0, 0], [800, 0, 700]], np.float32)
    labels = np.array([0, 0, 0, 1, 0])
    losses = mia.losses_from_logits(logits, labels)
    assert losses.dtype == np.float64
    expected = [2 * np.exp(-30.0), 0.0, 2e4, np.log(3), np.exp(-100.0)]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    shifted = mia.losses_from_logits(logits[3:] + np.float32(64), labels[3:])
    np.testing.assert_allclose(shifted, expected[3:], rtol=1e-12)


def test_a_loss_below_the_threshold_is_called_a_member_s_and_no_other():
    called = mia.called_members(np.array([0.0, 1.0, 2.0, np.inf]), 1.0)
    assert called.tolist() == [True, False, False, False]


@pytest.mark.parametrize("digits", [9, 1, 0], ids=["no ties", "ties", "many ties"])
def test_the_best_threshold_is_the_best_of_all(digits):
    generator = np.random.default_rng(digits)
    members = generator.exponential(1.0, 300).round(digits)
    nonmembers = generator.exponential(1.5, 200).round(digits)
    best = mia.best_threshold(leakage.Losses(members, nonmembers))
    differences = [
        (members < threshold).mean() - (nonmembers < threshold).mean()
        for threshold in [*members, *nonmembers, np.inf]
    ]
    rates = (members < best["threshold"]).mean(), (nonmembers < best["threshold"]).mean()
    assert (best["true_positive_rate"], best["false_positive_rate"]) == rates
    assert rates[0] - rates[1] == max(differences)
    report = leakage.measure_leakage(members, nonmembers)
    assert rates[0] - rates[1] == pytest.approx(report["advantage"], abs=1e-12)


def made_up_training(losses, number=0, classes=3):
    """A training with these losses (N,) at its last epoch, and random classes."""
    ids = np.arange(len(losses)) + 7
    return {
        "model": "made up",
        "training": number,
        "image_ids": ids,
        "labels": np.random.default_rng(1).integers(0, classes, len(ids)),
        "is_member": is_member(number, ids),
        "losses": losses[None],
        "epochs": np.array([4]),
        "steps": np.array([40]),
        "train_accuracy": np.array([0.75]),
        "test_accuracy": np.array([0.5]),
    }


@pytest.mark.parametrize("kind", ["continuous", "tied", "saturated"])
def test_auc_and_advantage_against_scikit_learn(kind):
    """Also with losses that tie, and with logits of +-1e4, of which half have the loss 0."""
    generator = np.random.default_rng(3)
    training = made_up_training(generator.exponential(1.0, 1400))
    inside, labels = training["is_member"], training["labels"]
    losses = training["losses"][0] * np.where(inside, 1.0, 1.4)
    if kind == "tied":
        losses = losses.round(1)
    if kind == "saturated":
        extremes = np.where(generator.random((len(labels), 3)) < 0.5, 1e4, -1e4).astype(np.float32)
        losses = mia.losses_from_logits(extremes, labels)
        assert np.mean(losses == 0) > 0.1
    training["losses"] = losses[None]
    [row] = mia.attack_trainings([training], THRESHOLD, CLASS_NAMES)["rows"]
    for label in (None, 0, 1, 2):
        chosen = np.ones(len(labels), bool) if label is None else labels == label
        name = "auc" if label is None else f"auc_{CLASS_NAMES[label]}"
        assert row[name] == pytest.approx(roc_auc_score(inside[chosen], -losses[chosen]), abs=1e-12)
    fpr, tpr, _ = roc_curve(inside, -losses, drop_intermediate=False)
    assert row["advantage"] == pytest.approx(np.abs(tpr - fpr).max(), abs=1e-12)
    own = leakage.measure_leakage(losses[inside], losses[~inside])  # the row's are tensorflow_privacy's
    assert (own["auc"], own["advantage"]) == pytest.approx((row["auc"], row["advantage"]), abs=1e-12)
    assert row["auc_low"] <= row["auc"] <= row["auc_high"]
    if kind != "saturated":
        caught, accused = row["true_positive_rate"], row["false_positive_rate"]
        assert caught - accused == pytest.approx(row["advantage"], abs=1e-12)


SMALL_KIND = Kind("kind", 3, 900, 0.6)


@pytest.mark.parametrize("attack", [THRESHOLD, CALIBRATED])
def test_every_training_is_attacked_at_every_epoch(attack):
    """Calibrated: the references are the trainings of the other pairs, at the same epoch."""
    trainings = [training_of(SMALL_KIND, number) for number in range(4)]
    report = mia.attack_trainings(trainings, attack, CLASS_NAMES)
    by_place = {(row["training"], row["epoch"]): row for row in report["rows"]}
    assert list(by_place) == [(number, epoch) for epoch in (0, 2, 4) for number in range(4)]
    for (number, epoch), row in by_place.items():
        training, place = trainings[number], epoch // 2
        inside, losses = training["is_member"], training["losses"][place]
        scores = losses
        if attack == CALIBRATED:
            others = [trainings[k]["losses"][place] for k in range(4) if k // 2 != number // 2]
            scores = losses + special.logsumexp(-np.array(others), axis=0) - np.log(2)
        assert row["auc"] == pytest.approx(roc_auc_score(inside, -scores), abs=1e-12)
        expected = leakage.measure_leakage(scores[inside], scores[~inside])
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert row["train_loss"] == pytest.approx(losses[inside].mean())
        assert row["test_loss"] == pytest.approx(losses[~inside].mean())
        accuracies = training["train_accuracy"][place], training["test_accuracy"][place]
        assert (row["train_accuracy"], row["test_accuracy"]) == accuracies
        assert row["gap"] == pytest.approx(accuracies[0] - accuracies[1])
        assert (row["steps"], row["attack"], row["model"]) == (9 * epoch, attack, "kind")
        assert ("placebo_auc" in row) == ("threshold" in row) == (epoch == 4)
    assert [about["training"] for about, _ in report["curves"]] == [0, 1, 2, 3]
    assert by_place[0, 4]["auc"] > by_place[0, 0]["auc"] + 0.05


@pytest.mark.parametrize("attack", [THRESHOLD, CALIBRATED])
@pytest.mark.parametrize("count", [4, 6])
def test_the_placebo_judges_by_coins_that_no_training_was_given(attack, count):
    """Pair count / 2: heads for the first of each pair, tails for its twin. Any other pair's coins give
    another number, and the training's own give the leak."""
    trainings = [training_of(SMALL_KIND, number) for number in range(count)]
    rows = [row for row in mia.attack_trainings(trainings, attack, CLASS_NAMES)["rows"] if row["epoch"] == 4]
    for number, row in enumerate(rows):
        training = trainings[number]
        scores = training["losses"][-1]
        if attack == CALIBRATED:
            others = [trainings[k]["losses"][-1] for k in range(count) if k // 2 != number // 2]
            scores = scores + special.logsumexp(-np.array(others), axis=0)
        heads = [coins(pair, 10_000)[training["image_ids"]] for pair in range(count // 2 + 2)]
        aucs = [roc_auc_score(side if number % 2 == 0 else ~side, -scores) for side in heads]
        assert row["placebo_auc"] == pytest.approx(aucs[count // 2], abs=1e-12)
        assert row["auc"] == pytest.approx(aucs[number // 2], abs=1e-12)
        assert np.isclose(aucs, row["placebo_auc"], atol=1e-9).sum() == 1
        assert row["placebo_auc_low"] < row["placebo_auc"] < row["placebo_auc_high"]


@pytest.mark.parametrize("attack", [THRESHOLD, CALIBRATED])
def test_a_training_that_diverged_is_named(attack):
    """Which scikit-learn would refuse without a word of the model; the first epoch, and each image once."""
    trainings = [training_of(SMALL_KIND, number) for number in range(4)]
    trainings[2]["losses"][1, :5] = np.inf
    trainings[2]["losses"][2, 3:] = np.nan
    with pytest.raises(BadInput) as refused:
        mia.attack_trainings(trainings, attack, CLASS_NAMES)
    assert str(refused.value) == (
        "training 2 of kind diverged: after epoch 2 the losses of 900 images are NaN or infinite. It would "
        "do so again: take a smaller learning rate, or change the model's row in MODELS"
    )


@pytest.mark.parametrize("attack", [THRESHOLD, CALIBRATED])
def test_what_a_training_certainly_leaks(attack):
    """Each bound at half of 5%, so that the median of the bounds is above the truth in at most 5% of runs."""
    trainings = [training_of(Kind("leaky", 10, 4000, 1.5), number) for number in range(4)]
    rows = mia.attack_trainings(trainings, attack, CLASS_NAMES)["rows"]
    found = [row["epsilon_low"] for row in rows if row["epoch"] == 4]
    bounds = [
        leakage.epsilon_lower_bound(losses.members, losses.nonmembers, DELTA, confidence=0.975)
        for losses in scores_at(trainings, -1, attack)
    ]
    assert found == [bound["epsilon_low"] for bound in bounds]
    assert min(found) > 0.3


def test_curves_are_those_of_the_last_epoch():
    kind = Kind("private", 3, 900, 0.3, epsilon=2.0)
    trainings = [training_of(kind, number) for number in range(4)]
    _, curves = mia.attack_trainings(trainings, THRESHOLD, CLASS_NAMES)["curves"][2]
    losses, inside = trainings[2]["losses"][-1], trainings[2]["is_member"]
    members, nonmembers = losses[inside], losses[~inside]
    for fpr, tpr in zip(*curves["roc"], strict=True):
        accused = int(fpr * len(nonmembers) + 1e-9)
        threshold = np.sort(nonmembers)[accused] if accused < len(nonmembers) else np.inf
        assert tpr == pytest.approx((members < threshold).mean())
    for name, values in (("member histogram", members), ("non-member histogram", nonmembers)):
        lefts, shares = curves[name]
        assert shares[3] == ((values >= lefts[3]) & (values < lefts[4])).mean()
        assert sum(shares) == pytest.approx(1)
    assert curves["bound"] == [trainings[2]["bound_fprs"].tolist(), trainings[2]["bound_tprs"].tolist()]
    _, calibrated = mia.attack_trainings(trainings, CALIBRATED, CLASS_NAMES)["curves"][2]
    assert set(curves) - set(calibrated) == {"member histogram", "non-member histogram"}


# -------------------------------------------------------------------------------------------- the whole run


def small_study(**options):
    """mia.main on the small tables and the fake images, for two epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mia, "MODELS", MODELS)
        patch.setattr(mia, "EXPERIMENTS", EXPERIMENTS)
        return mia.main(**{"epochs": 2, "data": fake_cifar10()} | options)


class Run:
    """A run: its folders, what it returned, and what it printed."""

    def __init__(self, folder, **options):
        self.figures, self.cells = folder / "figures", options.pop("kept_in", folder / "cells")
        printed = io.StringIO()
        with redirect_stdout(printed):
            self.study = small_study(figures=self.figures, kept_in=self.cells, **options)
        self.printed = printed.getvalue()

    def table(self, name):
        return pd.read_csv(self.figures / f"mia_{name}.csv")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """All three acts, four trainings of each model, two at a time."""
    return Run(tmp_path_factory.mktemp("run"), trainings=TRAININGS, jobs=2)


def test_main_writes_exactly_the_named_files(first_run):
    """The new rows' too, which needed no other change."""
    assert {path.name for path in first_run.figures.iterdir()} == FIGURES | TABLES
    assert set(first_run.study.figures) == FIGURES
    for name, table in first_run.study.files().items():
        read = pd.read_csv(first_run.figures / name)
        pd.testing.assert_frame_equal(read, table.replace("", np.nan), rtol=1e-5, check_dtype=False)


def test_a_title_has_words_for_the_models_of_the_pairs_here(first_run):
    assert all(len(pair.names) == 2 for experiment in mia.EXPERIMENTS for pair in experiment.pairs)
    title = first_run.study.figures["mia_architecture.png"].legends[0].get_title().get_text()
    assert "a dense network" in " ".join(title.split())


def test_results_have_a_row_for_each_model_training_attack_and_epoch(first_run):
    results = first_run.table("results")
    rows = {(row.model, row.training, row.attack, row.epoch) for row in results.itertuples()}
    assert rows == {
        (model.name, number, attack, epoch)
        for model in MODELS
        for number in range(TRAININGS)
        for attack in ("threshold", "calibrated")
        for epoch in (0, 2)
    }
    assert len(results) == len(rows)
    private = results[results["model"] == "dense4_10c_dp"]
    assert (private["epsilon"] == 3.0).all()
    fields = ["delta", "noise_multiplier", "sampling_rate", "private_steps", "advantage_bound"]
    assert private[fields].notna().all(axis=None)
    assert results[results["model"] != "dense4_10c_dp"]["epsilon"].isna().all()
    last = results[results["epoch"] == 2]
    assert last[["threshold", "placebo_auc", "placebo_auc_low", "auc_airplane"]].notna().all(axis=None)
    assert (last[last["model"] == "three_classes"]["auc_cat"].isna()).all()
    steps = results[results["epoch"] == 2].groupby("model")["steps"].first().to_dict()
    assert steps == {"cnn4_10c": 12, "dense4_10c": 12, "three_classes": 2, "dense4_10c_dp": 100}


def test_members_of_both_trainings_of_a_pair_add_up_to_the_pool(first_run):
    for (model, *_), rows in first_run.table("results").groupby(["model", "attack", "epoch"]):
        rows = rows.set_index("training")
        pool = SMALL[model].classes * SMALL[model].each
        for first in range(0, TRAININGS, 2):
            assert rows.loc[first, "members"] + rows.loc[first + 1, "members"] == pool
            assert rows.loc[first, "members"] == rows.loc[first + 1, "nonmembers"]
        assert rows["members"].nunique() > 2  # the coins of one pair are not those of another
    kept = [dict(np.load(path)) for path in sorted(first_run.cells.glob("cnn4_10c-*.npz"))]
    assert len(kept) == TRAININGS
    assert np.array_equal(kept[0]["is_member"], ~kept[1]["is_member"])


def test_every_verdict_goes_with_its_interval_and_follows_from_the_kept_losses(first_run):
    """The calculation once more, in a few lines, and the differences from mia_results.csv alone."""
    pairs, results = first_run.table("pairs"), first_run.table("results")
    judged = pairs[pairs["variant"] == "as reported"]
    assert judged.groupby("experiment")["attack"].apply(list).to_dict() == {
        name: ["threshold", "calibrated"] for name in ("architecture", "new", "defence")
    }
    for row in judged.itertuples():
        assert (row.auc_low <= 0 <= row.auc_high) == (row.verdict == NO_DIFFERENCE)
        last = results[(results["epoch"] == 2) & (results["attack"] == row.attack)]
        means = last.groupby("model")["auc"].mean()
        assert row.auc_difference == pytest.approx(means[row.first] - means[row.second], abs=1e-5)
        kinds = []
        for model in (row.first, row.second):
            trainings = [dict(np.load(path)) for path in sorted(first_run.cells.glob(f"{model}-[0-3]-*.npz"))]
            assert len(trainings) == TRAININGS
            kinds.append([mia.losses_at(training, -1) for training in trainings])
        contrast = leakage.contrast_of_kinds(
            *kinds, (row.first, row.second), attack=row.attack, confidence=1 - 0.05 / row.family
        )
        assert [row.auc_low, row.auc_high] == pytest.approx(
            [contrast["auc_low"], contrast["auc_high"]], rel=1e-4, abs=1e-6
        )
        assert row.verdict == leakage.verdict(contrast)
    described = pairs[pairs["variant"] != "as reported"]
    assert described["verdict"].isna().all()
    stopped = described[described["variant"].isin(STOPPED)]
    assert set(stopped["experiment"]) == {"defence"}
    assert stopped["stopped_advantage_low"].notna().all()
    # Three pairs of act one, and of act two, one of which is not run; act three's pair by two attacks.
    assert pairs.groupby("experiment")["family"].unique().map(list).to_dict() == {
        "architecture": [3],
        "new": [3],
        "defence": [2],
    }


def test_kinds_and_memorisation_are_those_of_all_models_and_images(first_run):
    kinds, memorisation = first_run.table("kinds"), first_run.table("memorisation")
    keys = {(row.model, row.attack, row.variant) for row in kinds.itertuples()}
    assert len(kinds) == len(keys) == len(MODELS) * 2 * 2
    assert kinds["confidence"].to_numpy() == pytest.approx(1 - 0.05 / len(MODELS))
    assert (kinds["trainings"] == TRAININGS).all()
    reported = kinds[kinds["variant"] == "as reported"]
    assert reported[reported["attack"] == "calibrated"]["auc_gain"].notna().all()
    assert reported[reported["attack"] == "threshold"]["memorisation_reliability"].notna().all()
    assert len(memorisation) == 600
    data = fake_cifar10()
    labels = np.concatenate([data.train_labels, data.test_labels])
    assert np.array_equal(memorisation["label"], labels[memorisation["image"]])
    assert set(memorisation.columns) == {"image", "label"} | {
        f"{model}_{column}" for model in mia.PICTURED for column in ("memorisation", "member_loss")
    }


def test_three_acts_are_told_in_order(first_run):
    places = [first_run.printed.index(f"Act {act}") for act in ("one", "two", "three")]
    assert places == sorted(places)
    assert max(map(len, first_run.printed.splitlines()[:-1])) <= 100  # the last names a folder


def unfolded(printed):
    """What was printed, with the lines of a sentence joined again."""
    return re.sub(r"\n  +(?=\S)", " ", printed)


def test_the_end_says_the_first_answer_of_each_act_and_where_to_look(first_run):
    printed = unfolded(first_run.printed)
    acts = [rest.split("\n")[2] for rest in re.split(r"\nAct (?:one|two|three), ", printed)[1:]]
    assert len(acts) == 3
    end = ["In short", *acts, f"Look first at {first_run.figures / 'mia_loss.png'}"]
    assert printed.strip().splitlines()[-5:] == end
    assert acts[1].startswith("With reference models")
    assert acts[2].startswith("Does private training leak less?")


def test_figures_of_an_earlier_run_are_named(first_run, tmp_path, calls_missing):
    """And of no other program, nor this run's own."""
    (tmp_path / "figures").mkdir()
    for name in ("mia_depth.png", "mia_gone.png", "laplace.png", "mia_defence.png"):
        (tmp_path / "figures" / name).write_bytes(b"old")
    part = Run(tmp_path, trainings=TRAININGS, jobs=2, only="dense4_10c_dp", kept_in=first_run.cells)
    *_, earlier, look = part.printed.splitlines()
    assert earlier == "From an earlier run, and not of these tables: mia_depth.png, mia_gone.png"
    assert look == f"Look first at {part.figures / 'mia_defence.png'}"
    assert "an earlier run" not in first_run.printed


def test_whole_numbers_of_numpy_are_as_good_as_python_s(first_run, tmp_path, calls_missing):
    """No training is asked for under another key."""
    numbers = {name: np.int64(number) for name, number in (("epochs", 2), ("trainings", 4), ("jobs", 2))}
    Run(tmp_path, only=["dense4_10c"], kept_in=first_run.cells, **numbers)
    assert calls_missing == ["networks"]


def test_a_rehearsal_says_so_wherever_it_says_anything(tmp_path, monkeypatch):
    """All the way to its end: on the console, and in the title of every figure. Half of the fake's images,
    as a tenth would fill no batch; and an epoch."""
    monkeypatch.setattr(mia, "QUICK_SHARE", 0.5)
    run = Run(tmp_path, quick=True, trainings=2, jobs=1, only=["dense4_10c", "defence"], epochs=1)
    assert "\nIn short, a tenth of the images\n" in run.printed
    # One answer of act one, and three of act three: its pair, the bound, early stopping.
    assert run.printed.count("\nA tenth of the images: ") == 1 + 3
    assert len(run.study.figures) == 4
    for figure in run.study.figures.values():
        title = figure.legends[0].get_title().get_text()
        assert " ".join(title.split()).startswith("A tenth of the images: ")
    assert (run.table("results").groupby("training")["members"].max() < 300).all()


@pytest.fixture
def calls_missing(monkeypatch):
    """The names of the calls that would be made from now on, because no result is kept; none is made."""
    names = []
    monkeypatch.setattr(Lab, "_make", lambda self, tasks, *_: names.extend(task.call.name for task in tasks))
    return names


def test_a_second_run_makes_no_call_wherever_the_kept_results_lie(first_run, tmp_path, calls_missing):
    shutil.copytree(first_run.cells, tmp_path / "cells")
    again = Run(tmp_path, trainings=TRAININGS, jobs=2)
    assert calls_missing == []
    for path in first_run.figures.iterdir():
        assert path.read_bytes() == (again.figures / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("only", "models", "figures"),
    [
        (
            ["architecture"],
            ["cnn4_10c", "dense4_10c"],
            {"loss", "architecture", "summary", "per_class", "attacks", "samples"},
        ),
        (
            ["defence"],
            ["dense4_10c", "dense4_10c_dp"],
            {"loss", "summary", "per_class", "attacks", "samples", "defence"},
        ),
        (["three_classes"], ["three_classes"], {"loss", "summary", "per_class", "attacks"}),
        (["dense4_10c_dp"], ["dense4_10c_dp"], {"defence"}),
        (
            ["dense4_10c", "new"],
            ["dense4_10c", "three_classes"],
            {"loss", "new", "summary", "per_class", "attacks", "samples"},
        ),
    ],
)
def test_a_part_of_the_study_says_the_same_as_the_whole(
    first_run, tmp_path, calls_missing, only, models, figures
):
    """Of what was trained before nothing is done again, and an interval is as wide as in the whole study: the
    family is that of the table, not of the part."""
    part = Run(tmp_path, trainings=TRAININGS, jobs=2, only=only, kept_in=first_run.cells)
    assert calls_missing == ["networks"]
    assert {path.name for path in part.figures.glob("*.png")} == {f"mia_{name}.png" for name in figures}
    for name in ("results", "kinds"):
        whole = first_run.table(name)
        expected = whole[whole["model"].isin(models)].reset_index(drop=True)
        order = (
            ["model", "attack", "training", "epoch"] if name == "results" else ["model", "attack", "variant"]
        )
        tables = [table.sort_values(order, ignore_index=True) for table in (part.table(name), expected)]
        # Without a private model, say, there are no columns of privacy.
        pd.testing.assert_frame_equal(tables[0], tables[1][list(tables[0])], check_dtype=False)
    if (part.figures / "mia_architecture.png").exists() or "new" in only:
        whole, alone = first_run.table("pairs"), part.table("pairs")
        expected = whole[whole["experiment"] == only[-1]].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, expected[list(alone)], check_dtype=False)


def assert_same_losses(name, *folders):
    """A training of this name is kept in both folders, with the same losses to the last bit."""
    [own], [other] = (list(folder.glob(f"{name}-*.npz")) for folder in folders)
    assert own.name == other.name  # one key
    for field in ("losses", "train_accuracy", "test_accuracy"):
        assert np.load(own)[field].tobytes() == np.load(other)[field].tobytes()


@pytest.fixture(scope="module")
def two_trainings(tmp_path_factory):
    """Two trainings of each model, one at a time, and a keras.json that asks for other defaults."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "keras.json").write_text('{"floatx": "float64", "image_data_format": "channels_first"}')
    theirs = {"TF_DETERMINISTIC_OPS": "1", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2", "KERAS_BACKEND": "jax"}
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in (theirs | {"KERAS_HOME": str(folder)}).items():
            patch.setenv(variable, value)
        return Run(folder, trainings=2, jobs=1)


def test_neither_jobs_nor_their_number_nor_the_reader_s_environment_matter(first_run, two_trainings):
    """The same losses to the last bit, on one thread as on two, of plain and of private models; and the same
    rows of the threshold attack, but for the placebo's coins."""
    for model in MODELS:
        for number in (0, 1):
            assert_same_losses(f"{model.name}-{number}", first_run.cells, two_trainings.cells)
    alone, whole = two_trainings.table("results"), first_run.table("results")
    same = whole[(whole["training"] < 2) & (whole["attack"] == "threshold")].reset_index(drop=True)
    columns = [name for name in alone if "placebo" not in name]
    order = ["model", "training", "epoch"]
    tables = [table.sort_values(order, ignore_index=True)[columns] for table in (alone, same)]
    pd.testing.assert_frame_equal(*tables, check_dtype=False)
    assert not np.allclose(alone["placebo_auc"].dropna(), same["placebo_auc"].dropna())


def test_with_two_trainings_one_line_says_that_there_is_no_act_two(two_trainings):
    lines = [line for line in two_trainings.printed.splitlines() if line.startswith("No act two")]
    assert len(lines) == 1
    assert "--trainings 4" in lines[0]
    assert "Act two" not in two_trainings.printed
    names = {path.name for path in two_trainings.figures.iterdir()}
    assert names == (FIGURES | TABLES) - {"mia_attacks.png", "mia_samples.png"}
    for name in ("results", "kinds", "pairs"):
        assert set(two_trainings.table(name)["attack"]) == {"threshold"}
    assert two_trainings.table("pairs")["verdict"].dropna().isin([NO_DIFFERENCE]).any()


def test_a_dask_cluster_gives_the_same_losses(first_run, fake, tmp_path):
    """A worker process, which shares no folder with this one but by accident."""
    from distributed import LocalCluster

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, Lab([tmp_path / "cells"], 1, cluster.scheduler_address) as lab:
        mia.train_models(lab, [SMALL["dense4_10c"], SMALL["cnn4_10c"]], 2, 2, 1.0, fake)
    for name in ("dense4_10c-0", "dense4_10c-1", "cnn4_10c-0"):
        assert_same_losses(name, first_run.cells, tmp_path / "cells")


# ------------------------------------------------------------------------------------------------- bad input


@pytest.fixture
def refused(monkeypatch, tmp_path, run_command_line):
    """Runs the command line on the fake images, expects one line and status 2, and returns the line. Nothing
    may be trained, and no file written."""

    def run(*arguments, models=mia.MODELS, experiments=mia.EXPERIMENTS):
        # Of each class the fake has 140 images, a 50th of 7,000.
        small = [replace(model, each=model.each // 50) for model in models]
        monkeypatch.setattr(mia, "MODELS", small)
        monkeypatch.setattr(mia, "EXPERIMENTS", experiments)
        monkeypatch.setattr(mia, "load_cifar10", lambda: fake_cifar10(train=100, test=40))
        monkeypatch.setattr(mia, "FIGURES", tmp_path / "figures")
        monkeypatch.setattr(mia, "REHEARSAL", tmp_path / "rehearsal")
        monkeypatch.setattr(mia, "cache_folders", lambda: [tmp_path / "cache"])
        monkeypatch.setattr(mia, "train_models", None)
        before = [path for path in tmp_path.rglob("*") if path.is_file()]
        status, _, error = run_command_line(mia, *arguments)
        assert status == 2
        # Lines of progress may have come before, on a slow machine.
        said = [line for line in error.splitlines() if not re.match(r"\d\d:\d\d (left|gone), ", line)]
        assert len(said) == 1
        assert said[0].startswith("mia.py: ")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == before
        return said[0]

    return run


DEPTH = mia.EXPERIMENTS[1]
DENSE = BY_NAME["dense4_10c"]


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        (
            replace(DEPTH, pairs=(Pair("dense4_10c", "dense5_10c"),)),
            "no model is named dense5_10c; MODELS has",
        ),
        (replace(DEPTH, pairs=Pair("dense7_10c", "dense4_10c")), "(Pair(...),) with a comma"),
        (replace(DEPTH, pairs=("dense7_10c", "dense4_10c")), "(Pair(...),) with a comma"),
        (replace(DEPTH, pairs=()), "(Pair(...),) with a comma"),
        *(
            (
                replace(DEPTH, pairs=(DEPTH.pairs[0]._replace(names=names),)),
                "the names of a pair are two texts",
            )
            for names in ("a CNN", ("a CNN",), ("a CNN", 4), ("a CNN", ""), None)
        ),
        (replace(DEPTH, pairs=(Pair("dense4_10c", "dense4_10c"),)), "a pair is two models"),
        (replace(DEPTH, pairs=DEPTH.pairs * 2), "stands there once"),
        (replace(DEPTH, pairs=(*DEPTH.pairs, Pair("dense4_10c", "dense7_10c"))), "stands there once"),
        (replace(DEPTH, name="images"), "EXPERIMENTS has 2 rows named images"),
        (replace(DEPTH, pairs=(Pair("dense4_10c_dp", "dense4_10c"),)), "the private model of a pair comes"),
        (replace(DEPTH, name="deep/wide"), "a row named 'deep/wide'; use letters"),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("--only", "architecture")])
def test_a_row_of_experiments_that_says_nothing_is_refused(refused, experiment, words, arguments):
    """Whichever part of the table is run."""
    experiments = [experiment if row is DEPTH else row for row in mia.EXPERIMENTS]
    line = refused(*arguments, experiments=experiments)
    assert words in line
    if "rows named" not in words and "a row named" not in words:
        assert "the experiment depth: " in line


@pytest.mark.parametrize("name", ["summary", "loss", "dense4_10c"])
def test_an_experiment_takes_no_name_of_another_figure_or_model(refused, name):
    experiments = [*mia.EXPERIMENTS, replace(DEPTH, name=name)]
    assert "a model or another figure has this name" in refused(experiments=experiments)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (replace(DENSE, name="dense7_10c"), "MODELS has 2 rows named dense7_10c"),
        (replace(DENSE, name="dense 4"), "MODELS has a row named 'dense 4'"),
        (
            replace(DENSE, name="large", each=7_100),
            "the model large: a pool takes 1 to 140 images of each class",
        ),
        (replace(DENSE, name="empty", each=0), "the model empty: a pool takes 1 to 140 images"),
        (
            replace(DENSE, name="many", classes=11),
            "the model many: a model tells 2 to 10 classes apart, not 11",
        ),
        (replace(DENSE, name="few", each=100), "the model few: 10 members fill no batch"),
        (replace(DENSE, name="text", dense="four"), "the model text: layers, classes and images are whole"),
        (replace(DENSE, name="half", dense=2.5), "the model half: layers, classes and images are whole"),
        (
            replace(DENSE, name="zero", epsilon=0.0),
            "the model zero: epsilon must be a number above 0, not 0.0",
        ),
        (
            replace(DENSE, name="vast", epsilon=float("inf")),
            "the model vast: epsilon must be a number above 0",
        ),
        (
            replace(DENSE, name="word", epsilon="3"),
            "the model word: epsilon must be a number above 0, not '3'",
        ),
        (replace(DENSE, name="few", each=100, epsilon=3.0), "the model few: 10 members fill no batch"),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused(refused, model, words):
    assert words in refused(models=[*mia.MODELS, model])


def test_a_rehearsal_refuses_what_the_whole_study_does(refused):
    """A tenth of the images would be there; and what fills no batch in a rehearsal is refused too."""
    large = replace(DENSE, name="large", each=7_100)
    assert "a pool takes 1 to 140 images" in refused("--quick", models=[large], experiments=[])
    few = replace(DENSE, name="few", each=4_500)
    assert "45 members fill no batch" in refused("--quick", models=[few], experiments=[])


@pytest.mark.parametrize("width", [1, 1370])
def test_a_private_network_with_too_many_weights_is_refused(monkeypatch, width):
    """Which is more than 2^22: 3,072 + 1 weights a unit, and 10 + 1 / width a unit of the last layer."""
    monkeypatch.setattr(mia, "UNITS", width)
    model = replace(DENSE, name="wide", dense=1)
    mia.check_networks([model], 2)
    private = replace(model, epsilon=3.0)
    weights = 3073 * width + 10 * (width + 1)
    if weights > 2**22:
        words = (
            f"the model wide: private training rounds too coarsely for {weights:,} weights; take a smaller"
        )
        with pytest.raises(BadInput, match=words):
            mia.check_networks([private], 2)
    else:
        mia.check_networks([private], 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"convolutional": 5}, "the network of deep cannot be built: "),
        (
            {"convolutional": 1, "epsilon": 3.0},
            "the model deep: it cannot be trained privately because of its layer Cropping2D",
        ),
    ],
)
def test_a_network_that_cannot_be_is_refused(change, words):
    model = replace(DENSE, name="deep", **change)
    with pytest.raises(BadInput) as problem:
        mia.check_networks([DENSE, model], 2)
    assert words in str(problem.value)
    assert "\n" not in str(problem.value)


def test_networks_are_built_before_anything_is_trained(refused):
    """In a worker; its complaint is the command's one line."""
    model = replace(DENSE, name="deep", convolutional=5)
    assert "the network of deep cannot be built" in refused("--only", "deep", models=[*mia.MODELS, model])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *[([option, bad], option) for option in ("--epochs", "--jobs") for bad in ("0", "-1", "1.5", "two")],
        *[(["--trainings", bad], "not an even number of at least 2") for bad in ("0", "1", "3", "-2", "2.5")],
        (
            ["--only", "nothing"],
            "--only nothing: no such experiment or model; there are architecture, depth,",
        ),
        (["--only", "depth", "dense4"], "--only dense4: no such experiment or model"),
        (["--only"], "--only"),
        (["--figures", "a_file"], "cannot write into the folder"),
        (["--figures", "a_file/below"], "cannot write into the folder"),
        (["--figures", ""], "the folder to write into has an empty name"),
        (["--dask", ""], "--dask: the address is empty"),
        (["--seeds", "3"], "unrecognized arguments: --seeds 3"),
    ],
)
def test_bad_options_are_refused(refused, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_bytes(b"in the way")
    assert words in refused(*arguments)


def test_odd_trainings_are_refused_by_main_too(fake, tmp_path):
    for number in (0, 1, 3, -2, 4.0):
        with pytest.raises(BadInput, match=f"must be an even number, not {number}"):
            mia.main(trainings=number, data=fake, figures=tmp_path / "figures", kept_in=tmp_path / "cells")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [0, -1, 2.0, "2"])
@pytest.mark.parametrize("name", ["epochs", "jobs"])
def test_counts_that_are_none_are_refused_by_main_too(fake, tmp_path, name, count):
    with pytest.raises(BadInput, match=f"{name} must be a whole number of at least 1, not {count!r}"):
        mia.main(**{name: count}, data=fake, figures=tmp_path / "figures", kept_in=tmp_path / "cells")
    assert list(tmp_path.iterdir()) == []


def test_what_only_names_is_what_is_run():
    def names_of(*only):
        models, experiments = mia.chosen(only)
        pairs = {row.name: [pair[:2] for pair in row.pairs] for row in experiments}
        return [model.name for model in models], pairs

    # What is not run by default, and the models that take part in nothing else, is left out.
    assert mia.chosen(()) == (mia.MODELS[:8], mia.EXPERIMENTS[:6])
    falling = ["cnn4_10c_falling", "dense4_10c_falling"]
    assert names_of("schedule") == (falling, {"schedule": [tuple(falling)]})
    depth = [("dense7_10c", "dense4_10c")]
    architecture = [("cnn4_10c", "dense4_10c")]
    assert names_of("depth") == (["dense4_10c", "dense7_10c"], {"depth": depth})
    assert names_of("dense4_10c", "dense7_10c") == (["dense4_10c", "dense7_10c"], {"depth": depth})
    assert names_of("dense4_4c") == (["dense4_4c"], {})
    # An experiment does not bring others that its models happen to take part in; models that are named do.
    assert names_of("depth", "cnn4_10c") == (["cnn4_10c", "dense4_10c", "dense7_10c"], {"depth": depth})
    assert names_of("depth", "cnn4_10c", "dense4_10c") == (
        ["cnn4_10c", "dense4_10c", "dense7_10c"],
        {"architecture": architecture, "depth": depth},
    )
    assert names_of("images")[0] == ["dense4_10c", "dense4_4c", "dense4_10c_12k", "dense4_4c_5k"]
    assert list(names_of("images")[1]) == ["images"]


def test_a_rehearsal_takes_a_tenth_of_the_images_and_half_of_the_epochs(monkeypatch, tmp_path, fake):
    taken = []

    def stop(lab, models, trainings, epochs, share, data):
        taken.append((trainings, epochs, share))
        raise BadInput("that is all")

    monkeypatch.setattr(mia, "MODELS", [replace(model, each=360) for model in mia.MODELS])
    monkeypatch.setattr(mia, "REHEARSAL", tmp_path / "rehearsal")
    monkeypatch.setattr(mia, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(mia, "train_models", stop)
    monkeypatch.setattr(mia, "check_networks", lambda models, threads: {})
    monkeypatch.setattr(Lab, "do", lambda *_, **__: {})
    for options in ({}, {"epochs": 3}):
        with pytest.raises(BadInput, match="that is all"):
            mia.main(quick=True, data=fake, kept_in=tmp_path / "cells", **options)
    assert taken == [(4, 20, 0.1), (4, 3, 0.1)]
    assert {path.name for path in tmp_path.iterdir()} == {"rehearsal"}


def in_the_way(path):
    path.write_bytes(b"in the way")


def dangling(path):
    path.symlink_to(path.parent / "absent" / "absent")


@pytest.mark.parametrize("obstacle", [in_the_way, dangling], ids=["a file", "a dangling link"])
def test_a_folder_of_results_that_is_none_is_said_before_any_training(obstacle, tmp_path, refused):
    obstacle(tmp_path / "cache")
    assert "cannot write into the folder" in refused()


def test_a_scheduler_that_is_none_is_said(tmp_path, monkeypatch, fake):
    monkeypatch.setattr(workers, "DASK_SECONDS", 1)
    monkeypatch.setattr(mia, "MODELS", MODELS[:2])
    monkeypatch.setattr(mia, "EXPERIMENTS", EXPERIMENTS[:1])
    folders = {"figures": tmp_path / "figures", "kept_in": tmp_path / "cells"}
    with pytest.raises(BadInput, match="does not answer"):
        mia.main(epochs=2, data=fake, dask="tcp://127.0.0.1:1", **folders)
    assert [path.name[:8] for path in (tmp_path / "cells").iterdir()] == ["networks"]


def test_without_tensorflow_one_line_says_what_is_missing(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(mia.importlib.util, "find_spec", lambda name: None)
    assert "TensorFlow is missing" in refused()
    assert not (tmp_path / "figures").exists()


def test_a_damaged_kept_copy_is_named(tmp_path, monkeypatch, run_command_line):
    from suite.sources.cifar10 import load_cifar10

    kept = tmp_path / "cifar10.bin"
    kept.write_bytes(b"not CIFAR-10")
    monkeypatch.setattr(mia, "load_cifar10", lambda: load_cifar10(kept))
    monkeypatch.setattr(mia, "cache_folders", lambda: [tmp_path / "cache"])
    status, _, error = run_command_line(mia, "--figures", tmp_path / "figures")
    assert status == 2
    assert error.count("\n") == 1
    assert str(kept) in error
    assert "delete" in error
    assert list((tmp_path / "figures").iterdir()) == []
    assert not (tmp_path / "cache").exists()
