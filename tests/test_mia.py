"""mia.py: its models, its attack against independent references, and the whole run on small made-up images.

The images are a fake of CIFAR-10, named as one: few, random, with a hint of their class.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

import leakage
import mia
from suite.jobs.jobs import run_jobs
from suite.sources.cifar10 import CLASS_NAMES, Cifar10
from suite.study.findings import Pair, losses_at
from suite.training.repeatable import start_tensorflow

# Before TensorFlow runs in this process: its threads cannot be set later.
start_tensorflow(threads=2)
ROOT = Path(mia.__file__).parent
BY_NAME = {model.name: model for model in mia.MODELS}
# A new row in either table, with a name, a depth and a number of classes that no other has.
NEW_MODEL = mia.Model("three_classes", convolutional=1, dense=2, classes=3, images=15_000)
NEW_EXPERIMENT = mia.Experiment("new", "Does a new row work?", (Pair("three_classes", "dense4_10c", "name"),))
MODELS = [BY_NAME["cnn4_10c"], BY_NAME["dense4_10c"], NEW_MODEL, BY_NAME["dense4_10c_dp"]]
EXPERIMENTS = [one for one in mia.EXPERIMENTS if one.name in ("architecture", "defence")] + [NEW_EXPERIMENT]
SEEDS = 2
FIGURES = {
    f"mia_{name}.png"
    for name in ("architecture", "new", "summary", "per_class", "samples", "attacks", "defence")
}
TABLES = {f"mia_{name}.csv" for name in ("results", "curves", "kinds", "pairs", "exposure")}


def fake_cifar10(train=60, test=300):
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


# -------------------------------------------------------------------------- models and the choice of images


def test_parameter_counts_are_those_worked_out_by_hand():
    first, layer = 3072 * 64 + 64, 64 * 64 + 64
    expected = {
        "cnn4_10c": (27 + 1) * 32 + 2 * (288 + 1) * 32 + (2 * 2 * 32 + 1) * 64 + 65 * 10,
        "dense4_10c": first + 3 * layer + 65 * 10,
        "dense7_10c": first + 6 * layer + 65 * 10,
        "dense4_4c": first + 3 * layer + 65 * 4,
        "dense7_4c": first + 6 * layer + 65 * 4,
        "dense4_10c_20k": first + 3 * layer + 65 * 10,
        "dense4_4c_8k": first + 3 * layer + 65 * 4,
        "dense4_10c_dp": first + 3 * layer + 65 * 10,
    }
    assert {model.name: mia.build(model, 0).count_params() for model in mia.MODELS} == expected


def test_the_start_does_not_depend_on_the_global_generator(monkeypatch):
    """As if another thread of the process drew from it all the time."""
    import random

    calm = mia.build(mia.MODELS[0], 3).get_weights()
    monkeypatch.setattr(random, "randint", lambda *_: 4)
    disturbed = mia.build(mia.MODELS[0], 3).get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(calm, disturbed, strict=True))


def test_pixels_are_scaled_to_one_and_seeds_decide_the_start():
    import tensorflow as tf

    model = mia.MODELS[0]
    white = np.full((1, 32, 32, 3), 255, np.uint8)
    networks = [mia.build(model, seed) for seed in (0, 0, 1)]
    one, same, other = (network(tf.constant(white)).numpy() for network in networks)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    dense = mia.build(mia.MODELS[1], 0)
    scaled = dense.layers[0](tf.constant(white)).numpy()
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


def test_adam_takes_the_steps_of_keras():
    """Twenty steps with gradients of very different size, zero among them; only the rounding differs."""
    import keras
    import tensorflow as tf

    from suite.training.adam import Adam

    generator = np.random.default_rng(0)
    start = [generator.normal(size=shape).astype(np.float32) for shape in ((7, 5), (5,))]
    ours, theirs = ([keras.Variable(one) for one in start] for _ in range(2))
    adam, reference = Adam(ours, learning_rate=0.01), keras.optimizers.Adam(learning_rate=0.01)
    for _ in range(20):
        gradients = [
            tf.constant((generator.normal(size=one.shape) * 10.0 ** generator.integers(-9, 3)), tf.float32)
            for one in start
        ]
        gradients[1] = gradients[1] * [0, 1, 1, 1, 1]
        adam.apply(gradients)
        reference.apply(gradients, theirs)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one.value.numpy(), other.value.numpy(), rtol=1e-5, atol=1e-6)
    moved = [np.abs(one.value.numpy() - before) for one, before in zip(ours, start, strict=True)]
    assert moved[0].min() > 1e-3
    assert (moved[1] > 0).tolist() == [False, True, True, True, True]


def test_pairs_are_of_models_that_there_are():
    pairs = [pair for experiment in mia.EXPERIMENTS for pair in experiment.pairs]
    assert {name for pair in pairs for name in pair[:2]} <= set(BY_NAME)
    assert len({pair[:2] for pair in pairs}) == len(pairs) == 8
    # What a pair is said to have in common, it has.
    for first, second, equal in ((BY_NAME[pair.first], BY_NAME[pair.second], pair.equal) for pair in pairs):
        each = [model.images // model.classes for model in (first, second)]
        if "images a class" in equal:
            assert each == [int(equal.split()[0].replace(",", ""))] * 2
        elif "classes" in equal:
            assert first.classes == second.classes == {"ten": 10, "four": 4}[equal.split()[0]]


# ------------------------------------------------------------------------------------------------- the attack


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


@pytest.mark.parametrize("kind", ["continuous", "tied", "saturated"])
def test_auc_and_advantage_against_scikit_learn(kind):
    """Also with losses that tie, and with logits of +-1e4, of which half have the loss 0."""
    generator = np.random.default_rng(3)
    labels = [generator.integers(0, 3, size).astype(np.int32) for size in (900, 500)]
    losses = [generator.exponential(scale, len(one)) for scale, one in zip((1.0, 1.4), labels, strict=True)]
    if kind == "tied":
        losses = [one.round(1) for one in losses]
    if kind == "saturated":
        extremes = [np.where(generator.random((len(one), 3)) < 0.5, 1e4, -1e4) for one in labels]
        losses = [
            mia.losses_from_logits(one.astype(np.float32), two)
            for one, two in zip(extremes, labels, strict=True)
        ]
        assert np.mean(losses[0] == 0) > 0.1
    report = mia.attack(mia.Losses(*losses), *labels)
    for label in (None, 0, 1, 2):
        members, nonmembers = (
            one if label is None else one[two == label] for one, two in zip(losses, labels, strict=True)
        )
        truth = np.repeat([1, 0], [len(members), len(nonmembers)])
        scores = -np.concatenate([members, nonmembers])
        name = "auc" if label is None else f"auc_{CLASS_NAMES[label]}"
        assert report[name] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
        assert report[f"{name}_low"] <= report[name] <= report[f"{name}_high"]
    fpr, tpr, _ = roc_curve(np.repeat([1, 0], [900, 500]), -np.concatenate(losses), drop_intermediate=False)
    assert report["advantage"] == pytest.approx(np.abs(tpr - fpr).max(), abs=1e-12)
    own = mia.measure_leakage(*losses)  # report's auc and advantage are tensorflow_privacy's
    assert (own["auc"], own["advantage"]) == pytest.approx((report["auc"], report["advantage"]), abs=1e-12)


def train_here(cell, data):
    """A cell's losses, trained in this process."""
    return mia.training_job(cell, data, "fake", threads=1).work(epoch_done=lambda: None)


def test_a_model_that_learns_noise_by_heart_is_found_out(fake):
    """Noise can only be memorised: training accuracy 1, test accuracy that of guessing, and
    an attack that is nearly always right. Untrained, the same model gives nothing away."""
    generator = np.random.default_rng(5)
    noise = fake._replace(
        train_images=generator.integers(0, 256, fake.train_images.shape, np.uint8),
        test_images=generator.integers(0, 256, fake.test_images.shape, np.uint8),
    )
    model = BY_NAME["dense4_4c"]
    cell = mia.Cell(model, seed=0, epochs=60, share=1.0, attack_every=60, batch_size=10)
    training = train_here(cell, noise)
    untrained, trained = (
        leakage.measure_leakage(*losses)
        for losses in zip(training["member_losses"], training["nonmember_losses"], strict=True)
    )
    assert untrained["auc_low"] < 0.5 < untrained["auc_high"]
    assert training["train_accuracy"][1] > 0.95
    assert training["test_accuracy"][1] < 0.4
    assert trained["auc"] > 0.9
    truth = np.repeat([1, 0], [training["member_losses"].shape[1], training["nonmember_losses"].shape[1]])
    scores = -np.concatenate([training["member_losses"][1], training["nonmember_losses"][1]])
    assert trained["auc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    # Who the members are: the labels fit the numbers, and a test image's number follows the training ones'.
    assert (noise.train_labels[training["member_ids"]] == training["member_labels"]).all()
    tests = training["nonmember_ids"] - len(noise.train_labels)
    assert (noise.test_labels[tests] == training["nonmember_labels"]).all()
    assert set(training["member_labels"]) == {0, 1, 2, 3}


def test_accuracies_and_losses_are_those_of_either_set(fake):
    """With test images that are all black, and labels that are known: the two sets cannot be mixed up."""
    black = fake._replace(test_images=np.zeros_like(fake.test_images))
    cell = mia.Cell(BY_NAME["dense4_10c"], seed=1, epochs=2, share=1.0)
    training = train_here(cell, black)
    for epoch in (0, 1):
        # All black images have the same logits, so that they fall into one class, and a class has one loss.
        assert training["test_accuracy"][epoch] == pytest.approx(0.1)
        assert len(np.unique(training["nonmember_losses"][epoch])) <= 10
        assert len(np.unique(training["member_losses"][epoch])) > 400
    assert training["epochs"].tolist() == [0, 2]
    assert training["steps"].tolist() == [0, 2 * (600 // mia.BATCH_SIZE)]


def test_every_epoch_and_seed_has_an_order_of_its_own(monkeypatch):
    """The batches as plain_epochs hands them to TensorFlow, which a fake of tf.function records."""
    import tensorflow as tf

    from suite.training import plain

    seen = []
    monkeypatch.setattr(
        plain.tf, "function", lambda f=None, **_: lambda batches, *_: seen.append(batches.numpy())
    )
    network = mia.build(BY_NAME["dense4_4c"], 0)
    images, labels = tf.zeros((105, 32, 32, 3), tf.uint8), np.zeros(105, np.int32)
    for seed in (0, 1):
        train = plain.plain_epochs(
            network, images, labels, batch_size=10, learning_rate=0.1, seed=seed, parts=1
        )
        for epoch in (1, 2):
            train(epoch)
    assert all(sorted(np.unique(batches)) == sorted(batches.ravel()) for batches in seen)
    assert all(batches.shape == (10, 10) for batches in seen)
    assert len({batches.tobytes() for batches in seen}) == 4


# ------------------------------------------------------------------------------------------ the whole run


@pytest.fixture(scope="module")
def small_study():
    """The tables of models and of experiments, each with a new row, and fewer others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mia, "MODELS", MODELS)
        patch.setattr(mia, "EXPERIMENTS", EXPERIMENTS)
        patch.setattr(mia, "PRIVATE_BATCH", 30)
        yield partial(mia.main, epochs=2, data=fake_cifar10(test=30))


@pytest.fixture(scope="module")
def first_run(small_study, tmp_path_factory):
    """All three acts with two seeds, two jobs at a time; the folder of its figures and cells, and tables."""
    folder = tmp_path_factory.mktemp("run")
    study = small_study(seeds=SEEDS, jobs=2, figures=folder / "figures", cells_folder=folder / "cells")
    return folder, study


@pytest.fixture
def two_models(small_study, monkeypatch, tmp_path):
    """Act one with a single seed and two models, a convolutional and a dense one, into fresh folders."""
    monkeypatch.setattr(mia, "MODELS", MODELS[:2])
    monkeypatch.setattr(mia, "EXPERIMENTS", EXPERIMENTS[:1])
    folders = {"figures": tmp_path / "figures", "cells_folder": tmp_path / "cells"}
    return partial(small_study, references=0, **folders)


def assert_same_cells(alone, whole):
    """All cells of a run's mia_results.csv, as texts, are those of the same rows of a larger run."""
    alone, whole = (pd.read_csv(folder / "mia_results.csv", dtype=str) for folder in (alone, whole))
    same = (whole["seed"] == "0") & (whole["attack"] == "threshold") & whole["model"].isin(alone["model"])
    assert len(alone) == 2 * alone["model"].nunique()  # before and after training
    # A larger run has columns more: of privacy, and of the calibrated attack's gain.
    pd.testing.assert_frame_equal(alone, whole.loc[same, list(alone)].reset_index(drop=True))


def test_main_writes_exactly_the_named_files(first_run):
    folder, study = first_run
    assert {path.name for path in (folder / "figures").iterdir()} == FIGURES | TABLES
    read = pd.read_csv(folder / "figures" / "mia_results.csv")
    pd.testing.assert_frame_equal(read, study.results, rtol=1e-5, check_dtype=False)
    threshold = read[read.attack == "threshold"]
    assert {(row.model, row.epoch) for row in threshold.itertuples()} == {
        (model.name, epoch) for model in MODELS for epoch in (0, 2)
    }
    assert set(read[read.attack == "calibrated"].epoch) == {2}
    assert not read.duplicated(["model", "seed", "attack", "epoch"]).any()
    assert len(read) == 4 * SEEDS * 3
    private = read[read.model == "dense4_10c_dp"]
    assert (private.epsilon == 3.0).all()
    assert private[["delta", "noise_multiplier", "sampling_rate", "private_steps"]].notna().all(axis=None)
    assert read[read.model != "dense4_10c_dp"].epsilon.isna().all()


def test_every_verdict_follows_from_the_results_and_the_kept_losses(first_run):
    """The calculation once more, in ten lines, and the differences from mia_results.csv alone."""
    folder, study = first_run
    last = study.results[study.results.epoch == 2]
    means = last[last.attack == "threshold"].groupby("model").auc.mean()
    pairs = study.pairs[study.pairs.variant == "as reported"]
    assert len(pairs) == 2 + 2 + 2  # architecture and new by each attack, defence by each
    acts = [pairs[(pairs.attack == "threshold") & (pairs.experiment != "defence")]]
    contrasts = []
    for row in acts[0].itertuples():
        kinds = []
        for model in (row.first, row.second):
            files = sorted((folder / "cells").glob(f"{model}-seed*.npz"))
            kinds.append([losses_at(dict(np.load(file)), -1) for file in files])
        contrasts.append(leakage.contrast_of_kinds(*kinds, (row.first, row.second)))
        assert row.auc_difference == pytest.approx(means[row.first] - means[row.second], abs=1e-9)
    adjusted = leakage.holm([contrast["auc_p"] for contrast in contrasts])
    assert acts[0].auc_adjusted_p.tolist() == pytest.approx(adjusted)
    assert acts[0].verdict.tolist() == list(map(leakage.verdict, contrasts, adjusted))


def assert_same_losses(name, *folders):
    """A cell of this name is kept in both folders, with the same losses to the last bit."""
    [ours], [theirs] = (list(folder.glob(f"{name}-*.npz")) for folder in folders)
    for losses in ("member_losses", "nonmember_losses"):
        assert np.load(ours)[losses].tobytes() == np.load(theirs)[losses].tobytes()


def test_nothing_is_trained_or_found_out_twice(first_run, small_study, tmp_path, capsys):
    folder, _ = first_run
    finished = {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    capsys.readouterr()
    small_study(seeds=SEEDS, jobs=1, figures=tmp_path, cells_folder=folder / "cells")
    assert {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()} == finished
    counts = [line for line in capsys.readouterr().out.splitlines() if "kept from before" in line]
    assert counts
    assert all(line.endswith(", 0 to do") for line in counts)
    for path in (folder / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_neither_jobs_nor_seeds_nor_the_reader_s_environment_matter(
    first_run, two_models, tmp_path, monkeypatch
):
    """One seed, one job, without references, and with a keras.json that asks for other defaults: the same
    cells as the first of two seeds by two jobs, and the same losses to the last bit."""
    (tmp_path / "keras.json").write_text('{"floatx": "float64", "image_data_format": "channels_first"}')
    theirs = {"TF_DETERMINISTIC_OPS": "1", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2", "KERAS_BACKEND": "jax"}
    for variable, value in (theirs | {"KERAS_HOME": str(tmp_path)}).items():
        monkeypatch.setenv(variable, value)
    folder, _ = first_run
    two_models(jobs=1)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == (FIGURES | TABLES) - {"mia_attacks.png", "mia_new.png", "mia_defence.png"}
    assert_same_cells(tmp_path / "figures", folder / "figures")
    for name in ("cnn4_10c-seed0", "dense4_10c-seed0"):
        assert_same_losses(name, folder / "cells", tmp_path / "cells")


def test_a_dask_cluster_gives_the_same_losses(first_run, two_models, tmp_path, monkeypatch):
    """A worker process, which shares no folder with this one but by accident. What comes after the trainings
    is left out: it is done here, not there."""
    from distributed import LocalCluster

    def train_alone(acts, run, drawing, folder):
        run_jobs("trainings", run.trainings("dense4_10c", 1, False), run.folder, run.trainers)

    monkeypatch.setattr(mia, "perform_all", train_alone)
    folder, _ = first_run
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as dask:
        two_models(dask=dask.scheduler_address)
    assert_same_losses("dense4_10c-seed0", folder / "cells", tmp_path / "cells")


def test_a_cell_s_key_changes_with_all_that_its_result_depends_on():
    def key(*arguments, digest="data", **options):
        return mia.training_job(mia.Cell(*arguments, **options), None, digest, threads=1).key()

    model, other = BY_NAME["cnn4_10c"], BY_NAME["dense4_10c"]
    keys = [
        key(model, 0, 2, 1.0),
        key(other, 0, 2, 1.0),
        key(model, 1, 2, 1.0),
        key(model, 0, 3, 1.0),
        key(model, 0, 2, 0.5),
        key(model, 0, 2, 1.0, 0),
        key(model, 0, 2, 1.0, learning_rate=0.01),
        key(model, 0, 2, 1.0, digest="other data"),
        key(BY_NAME["dense4_10c_dp"], 0, 2, 1.0),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == mia.training_job(mia.Cell(model, 0, 2, 1.0), None, "data", threads=2).key()


# ------------------------------------------------------------------------------------------------- bad input


def in_the_way(path):
    path.write_bytes(b"in the way")


def dangling(path):
    path.symlink_to(path.parent / "absent" / "absent")


@pytest.mark.parametrize("obstacle", [in_the_way, dangling], ids=["a file", "a dangling link"])
def test_a_folder_of_cells_that_is_none_is_said_before_any_training(
    obstacle, fake, tmp_path, monkeypatch, run_command_line
):
    obstacle(tmp_path / "cells")
    monkeypatch.setattr(mia, "CELLS", tmp_path / "cells")
    monkeypatch.setattr(mia, "load_cifar10", lambda: 1 / 0)
    status, _, error = run_command_line(mia, "--figures", tmp_path / "figures")
    assert status == 2
    assert error.count("\n") == 1
    assert "cannot write into the folder" in error


def test_without_tensorflow_one_line_says_what_is_missing(tmp_path, monkeypatch, run_command_line):
    monkeypatch.setattr(mia.importlib.util, "find_spec", lambda name: None)
    status, _, error = run_command_line(mia, "--figures", tmp_path / "figures")
    assert status == 2
    assert error.count("\n") == 1
    assert "TensorFlow is missing" in error
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        *[[option, bad] for option in ("--epochs", "--seeds", "--jobs") for bad in ("0", "-1", "1.5", "two")],
        *[["--references", bad] for bad in ("1", "-2", "2.5")],
        ["--figures", "a_file"],
        ["--figures", "a_file/below"],
        ["--dask", "tcp://127.0.0.1:1"],
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(arguments, fake, tmp_path, monkeypatch, run_command_line):
    from suite.jobs import workers

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_bytes(b"in the way")
    monkeypatch.setattr(workers, "DASK_SECONDS", 1)
    monkeypatch.setattr(mia, "load_cifar10", lambda: fake)
    monkeypatch.setattr(mia, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(mia, "CELLS", tmp_path / "cells")
    status, _, error = run_command_line(mia, *arguments)
    assert status == 2
    assert error.splitlines()[-1].startswith("mia.py: ")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a_file"]


def test_a_damaged_kept_copy_is_named(tmp_path, monkeypatch, run_command_line):
    from suite.sources.cifar10 import load_cifar10

    kept = tmp_path / "cifar10.bin"
    kept.write_bytes(b"not CIFAR-10")
    monkeypatch.setattr(mia, "load_cifar10", lambda: load_cifar10(kept))
    monkeypatch.setattr(mia, "CELLS", tmp_path / "cells")
    status, _, error = run_command_line(mia, "--figures", tmp_path / "figures")
    assert status == 2
    assert error.count("\n") == 1
    assert str(kept) in error
    assert "delete" in error
    assert list((tmp_path / "figures").iterdir()) == []
