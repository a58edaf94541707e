"""mia.py: its models, its attack against independent references, and the whole run on small made-up images.

The images are a fake of CIFAR-10, named as one: few, random, with a hint of their class.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

import mia
from data.cifar10 import Cifar10
from leakage.audit import audit
from report.mia_tables import control_sentence, summary_table
from training.jobs import Job, run_jobs

FILES = {
    "mia_architecture.png",
    "mia_depth.png",
    "mia_depth_4class.png",
    "mia_classes.png",
    "mia_summary.png",
    "mia_per_class.png",
    "mia_samples.png",
    "mia_results.csv",
}


def fake_cifar10(train=60, test=30):
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

    from training.adam import Adam

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


def test_the_choice_of_images():
    """On labels as many as CIFAR-10's: 5,000 of each class in a random order."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5000))
    four = mia.choose(labels, classes=4, each=5000)
    assert len(four) == 20_000
    assert set(labels[four]) == {0, 1, 2, 3}
    assert (np.diff(four) > 0).all()
    control = mia.choose(labels, classes=10, each=2000)
    assert np.bincount(labels[control]).tolist() == [2000] * 10
    assert (labels[: control.max() + 1] == labels[control[-1]]).sum() == 2000  # the first 2,000, not any


# ------------------------------------------------------------------------------------------------- the attack


def test_losses_keep_what_float32_probabilities_lose():
    """Against mpmath-like arithmetic in logarithms: a loss is log(1 + sum of exp(other - true))."""
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
    report = mia.attack(*losses, *labels, seed=0)
    for label in (None, 0, 1, 2):
        members, nonmembers = (
            one if label is None else one[two == label] for one, two in zip(losses, labels, strict=True)
        )
        truth = np.repeat([1, 0], [len(members), len(nonmembers)])
        scores = -np.concatenate([members, nonmembers])
        name = "auc" if label is None else f"auc_{mia.CLASS_NAMES[label]}"
        assert report[name] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
        assert report[f"{name}_low"] <= report[name] <= report[f"{name}_high"]
    fpr, tpr, _ = roc_curve(np.repeat([1, 0], [900, 500]), -np.concatenate(losses), drop_intermediate=False)
    assert report["advantage"] == pytest.approx(np.abs(tpr - fpr).max(), abs=1e-12)
    own = mia.measure_leakage(*losses)  # report's auc and advantage are tensorflow_privacy's
    assert (own["auc"], own["advantage"]) == pytest.approx((report["auc"], report["advantage"]), abs=1e-12)


def test_a_model_that_learns_noise_by_heart_is_found_out(fake, tmp_path):
    """Noise can only be memorised: training accuracy 1, test accuracy that of guessing, and
    an attack that is nearly always right. Untrained, the same model betrays nothing."""
    generator = np.random.default_rng(5)
    noise = fake._replace(
        train_images=generator.integers(0, 256, fake.train_images.shape, np.uint8),
        test_images=generator.integers(0, 256, fake.test_images.shape, np.uint8),
    )
    model = next(model for model in mia.MODELS if model.name == "dense4_4c")
    cell = mia.Cell(model, seed=0, epochs=60, share=1.0, attack_every=60, batch_size=10)
    # In a process of its own, as always: TensorFlow's threads are set before it starts, or not at all.
    job = Job(
        cell.name, partial(cell.key, "noise"), cell.epochs, cell.cost, partial(mia.train_cell, cell, noise)
    )
    result = run_jobs([job], tmp_path, workers=1)[cell.name]
    untrained, trained = result["rows"]
    assert untrained["auc_low"] < 0.5 < untrained["auc_high"]
    assert trained["train_accuracy"] > 0.95
    assert trained["test_accuracy"] < 0.4
    assert trained["auc"] > 0.9
    truth = np.repeat([1, 0], [len(result["members"]), len(result["nonmembers"])])
    scores = -np.concatenate([result["members"], result["nonmembers"]])
    assert trained["auc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert (noise.train_labels[result["member_ids"]] < 4).all()


# --------------------------------------------------------------------------------------------- the conclusion


def test_exposure_and_its_agreement_between_seeds():
    ids = np.arange(1000) + 7
    losses = np.linspace(1, 2, 1000)
    cells = [{"members": losses, "member_ids": ids}, {"members": losses, "member_ids": ids}]
    exposure = mia.exposure_of("some_model", cells)
    assert exposure["most"] == list(range(7, 17))
    assert exposure["least"] == list(range(1006, 996, -1))
    assert exposure["agreement"] == 1.0
    reversed_seed = {"members": losses[::-1], "member_ids": ids}
    assert mia.exposure_of("some_model", [cells[0], reversed_seed])["agreement"] == 0.0
    assert np.isnan(mia.exposure_of("some_model", cells[:1])["agreement"])


def test_the_control_warns_only_when_an_untrained_model_leaks():
    untrained = pd.DataFrame(
        {"model": ["a", "b"], "seed": 0, "epoch": 0, "auc": [0.503, 0.52]}
        | {"auc_low": [0.496, 0.513], "auc_high": [0.51, 0.527]}
    )
    assert "WARNING" not in control_sentence(untrained[:1])
    assert "0 of the 95% intervals miss" in control_sentence(untrained[:1])
    assert "SEEM TO LEAK: b (seed 0)" in control_sentence(untrained)


def test_the_classes_experiment_is_told_with_its_control():
    experiment = next(one for one in mia.EXPERIMENTS if one.name == "classes")
    assert experiment.pairs == [
        ("dense4_10c", "dense4_4c"),
        ("dense4_10c", "dense4_10c_20k"),
        ("dense4_10c_20k", "dense4_4c"),
    ]


# ------------------------------------------------------------------------------------------ the whole run


@pytest.fixture(scope="module")
def first_run(fake, tmp_path_factory):
    """All six models, two epochs, two at a time; the folders of its figures and of its cells."""
    folder = tmp_path_factory.mktemp("run")
    table = mia.main(epochs=2, jobs=2, figures=folder / "figures", data=fake, cells_folder=folder / "cells")
    return folder, table


def test_main_writes_exactly_the_named_files(first_run):
    folder, table = first_run
    assert {path.name for path in (folder / "figures").iterdir()} == FILES
    assert table.groupby("model", sort=False).epoch.apply(list).to_dict() == {
        m.name: [0, 2] for m in mia.MODELS
    }
    read = pd.read_csv(folder / "figures" / "reference" / "mia_results.csv")
    pd.testing.assert_frame_equal(read, table, rtol=1e-5)
    assert len(summary_table(read)) == 6


def test_nothing_is_trained_twice_and_jobs_do_not_matter(first_run, fake, tmp_path, capsys):
    """One job in place of two gives the same bytes; a second seed adds six trainings to the six there are."""
    folder, _ = first_run
    finished = {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    alone = {"epochs": 2, "jobs": 1, "data": fake}
    mia.main(**alone, figures=tmp_path / "again", cells_folder=folder / "cells")
    assert {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()} == finished
    mia.main(**alone, figures=tmp_path / "one_job", cells_folder=tmp_path / "cells")
    results = [
        path / "mia_results.csv" for path in (folder / "figures", tmp_path / "again", tmp_path / "one_job")
    ]
    assert len({path.read_bytes() for path in results}) == 1
    capsys.readouterr()
    two = mia.main(**alone, seeds=2, figures=tmp_path / "two", cells_folder=folder / "cells")
    assert len(list((folder / "cells").iterdir())) == 12
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert two.groupby("model").seed.apply(set).map(sorted).tolist() == [[0, 1]] * 6
    assert "intervals over seeds" in capsys.readouterr().out


def test_a_dask_cluster_gives_the_same_results(first_run, fake, tmp_path):
    """Two worker processes, which share no folder with this one but by accident."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        mia.main(
            epochs=2,
            data=fake,
            dask=cluster.scheduler_address,
            figures=tmp_path,
            cells_folder=tmp_path / "cells",
        )
    folder, _ = first_run
    assert (tmp_path / "mia_results.csv").read_bytes() == (
        folder / "figures" / "reference" / "mia_results.csv"
    ).read_bytes()


def test_a_cell_s_key_changes_with_all_that_its_result_depends_on():
    cell = mia.Cell(mia.MODELS[0], seed=0, epochs=2, share=1.0)
    others = [
        mia.Cell(mia.MODELS[1], seed=0, epochs=2, share=1.0),
        mia.Cell(mia.MODELS[0], seed=1, epochs=2, share=1.0),
        mia.Cell(mia.MODELS[0], seed=0, epochs=3, share=1.0),
        mia.Cell(mia.MODELS[0], seed=0, epochs=2, share=0.5),
        mia.Cell(mia.MODELS[0], seed=0, epochs=2, share=1.0, learning_rate=0.01),
    ]
    keys = {one.key("data") for one in [cell, *others]} | {cell.key("other data")}
    assert len(keys) == 7
    assert cell.key("data") == mia.Cell(mia.MODELS[0], seed=0, epochs=2, share=1.0).key("data")


# ------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "arguments",
    [
        *[[option, bad] for option in ("--epochs", "--seeds", "--jobs") for bad in ("0", "-1", "1.5", "two")],
        ["--figures", "a_file"],
        ["--figures", "a_file/below"],
        ["--dask", "tcp://127.0.0.1:1"],
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(arguments, fake, tmp_path, monkeypatch, run_command_line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_bytes(b"in the way")
    monkeypatch.setattr(mia, "load_cifar10", lambda: fake)
    monkeypatch.setattr(mia, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(mia, "CELLS", tmp_path / "cells")
    status, _, error = run_command_line(mia, *arguments)
    assert status == 2
    assert error.splitlines()[-1].startswith("mia.py: ")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a_file"]


def test_a_damaged_kept_copy_is_named(tmp_path, monkeypatch, run_command_line):
    kept = tmp_path / "cifar10.bin"
    kept.write_bytes(b"not CIFAR-10")
    monkeypatch.setattr(mia, "load_cifar10", lambda: mia_load(kept))
    from data.cifar10 import load_cifar10 as mia_load

    status, _, error = run_command_line(mia, "--figures", tmp_path / "figures")
    assert status == 2
    assert error.count("\n") == 1
    assert str(kept) in error
    assert "delete" in error
    assert not (tmp_path / "figures").exists()


# ------------------------------------------------------------------------------------------------- the audit


def test_audit_reports_the_same_for_npy_and_csv(tmp_path, capsys):
    generator = np.random.default_rng(0)
    members, nonmembers = generator.exponential(1, 3000), generator.exponential(1.5, 2000)
    np.save(tmp_path / "members.npy", members)
    np.savetxt(tmp_path / "nonmembers.csv", nonmembers, header="loss", comments="")
    report = audit(tmp_path / "members.npy", tmp_path / "nonmembers.csv", tmp_path / "out")
    assert report == pytest.approx(mia.measure_leakage(members, nonmembers), nan_ok=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mia_audit.png"]
    assert f"{report['auc']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.npy", None, "No such file"),
        ("empty.npy", b"", ""),
        ("empty.csv", b"", "shape"),
        ("text.csv", b"loss\n0.5\nhigh\n", "high"),
        ("nan.csv", b"0.5\nnan\n", "1 NaN"),
        ("two_columns.csv", b"0.5,1\n0.4,2\n", "0.4,2"),
        ("square.npy", np.zeros((3, 3)), "shape"),
        ("words.npy", np.array(["a", "b"]), "not numbers"),
        ("nothing.npy", np.zeros(0), "shape"),
    ],
)
def test_audit_refuses_rubbish(name, content, message, tmp_path, run_command_line):
    np.save(tmp_path / "good.npy", np.arange(50.0))
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        np.save(tmp_path / name, content)
    for files in ((tmp_path / name, tmp_path / "good.npy"), (tmp_path / "good.npy", tmp_path / name)):
        run = ("--audit", *files, "--figures", tmp_path / "figures")
        status, _, error = run_command_line(mia, *run)
        assert status == 2
        assert error.count("\n") == 1
        assert name in error
        assert message in error
        assert not (tmp_path / "figures").exists()
