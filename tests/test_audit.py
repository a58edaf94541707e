"""The audit: what it reads, what it refuses, what it warns of, and what its report says."""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from leakage import FAMILY, Losses, groups_differ, measure_leakage, paired_contrast
from leakage.audit import audit, command_line, print_report
from leakage.command_line import BadInput

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run_audit(tmp_path, capsys):
    """Runs the command line in this process: exit status, standard output, standard error."""

    def run(*arguments):
        try:
            command_line([*map(str, arguments), "--output", str(tmp_path / "audit")], "python -m leakage")
            status = 0
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return run


def scores_and_labels(n=200, classes=4, seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, (n, classes))
    return logits, generator.integers(0, classes, n)


# -------------------------------------------------------------------------------- what is believed is checked


def made(n=2000, m=1500, seed=0, leak=0.9):
    """Losses of a model that leaks: members' losses are a tenth smaller."""
    generator = np.random.default_rng(seed)
    return generator.exponential(leak, n), generator.exponential(1, m)


def test_doubts_stand_in_the_report(run_audit, tmp_path):
    np.save(tmp_path / "larger.npy", 1 + made(50, 50)[0])
    np.save(tmp_path / "zeros.npy", np.zeros(50))
    status, out, _ = run_audit(tmp_path / "larger.npy", tmp_path / "zeros.npy")
    assert status == 0
    assert out.startswith("The losses stand the wrong way round")
    assert "Warning: Members have the larger values" in out
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert any("larger values" in warning for warning in report["warnings"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("member", "others", "last", "expected"),
    [(np.inf, np.inf, 1, 0.4875), (1, 1, 2, 0.5125), (1e-320, np.inf, 1, 1)],
)
def test_equal_or_infinite_losses_are_drawn_without_a_warning(member, others, last, expected, tmp_path):
    """All but one non-member's; sides of one value each are refused."""
    found = audit(np.full(50, member), np.append(np.full(39, others), last), output=tmp_path)
    assert found["trainings"][0]["loss"]["auc"] == expected
    assert (tmp_path / "mia_audit.png").exists()


# ------------------------------------------------------------------------------------------------ the report


def test_the_report_is_that_of_measure_leakage_in_all_its_files(run_audit, tmp_path):
    members, nonmembers = made()
    np.save(tmp_path / "loss_$0.npy", members)
    np.savetxt(tmp_path / "loss_$1.csv", nonmembers, header="loss", comments="")
    status, out, _ = run_audit(tmp_path / "loss_$0.npy", tmp_path / "loss_$1.csv", "--examples")
    assert status == 0
    assert "confidential/audit_examples.csv lists who was a member" in out
    assert sorted(path.name for path in (tmp_path / "audit").iterdir()) == [
        "audit.html",
        "audit.json",
        "confidential",
        "mia_audit.png",
    ]
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert report["confidences"] == report["confidences_of_trainings"] | {"epsilon_low": 0.995}
    sure = {measure: report["confidences"][measure] for measure in FAMILY}
    assert sure == FAMILY  # one question
    expected = measure_leakage(members, nonmembers, confidence=sure)
    assert report["trainings"][0]["loss"] == pytest.approx(expected)
    assert out.startswith(
        f"It leaks: a random member has a lower loss than a random non-member in {expected['auc']:.1%}"
    )
    assert "takes 10,000 non-members" in out
    assert "nan" not in out
    for key in ("auc", "heldout_advantage", "advantage", "tpr_at_1pct_fpr", "tnr_at_1pct_fnr"):
        assert f"{expected[key]:.4f}" in out
    examples = pd.read_csv(tmp_path / "audit" / "confidential" / "audit_examples.csv")
    assert list(examples) == ["id", "member", "loss", "rank", "called_at_1pct_fpr"]
    np.testing.assert_array_equal(examples["loss"], np.concatenate([members, nonmembers]))
    np.testing.assert_array_equal(examples["rank"], np.argsort(np.argsort(examples["loss"])) + 1)
    called = examples[examples["called_at_1pct_fpr"] == 1]
    assert called["member"].sum() / len(members) == pytest.approx(expected["tpr_at_1pct_fpr"])
    assert (called["member"] == 0).sum() == 15
    assert roc_auc_score(examples["member"], -examples["loss"]) == pytest.approx(expected["auc"])


@pytest.mark.parametrize(
    ("leak", "answer"), [(0.5, "It leaks"), (1.0, "No leak can be shown"), (2.0, "The losses stand")]
)
def test_the_first_words_are_the_answer(leak, answer):
    assert audit(*made(seed=3, leak=leak))["verdict"][0].startswith(answer)


def test_how_many_are_found_is_compared_with_chance():
    # The interval begins at 1.068%: with two digits it would be at chance.
    assert "(1.068% to 6.875%), more than chance, 1.066%" in audit(*made(leak=0.3))["verdict"][1]
    assert "not told from chance, 1.07%" in audit(*made(leak=1.0))["verdict"][1]
    assert "takes 1,000 non-members" in audit(*made(50, 50))["verdict"][1]


def table_of(losses, seed=0):
    """A shuffled table of members and non-members with ids, and a group by the id."""
    members = losses[0]
    table = pd.DataFrame({"loss": np.concatenate(losses)})
    table["member"] = (np.arange(len(table)) < len(members)).astype(int)
    table["name"] = [f"image {place}" for place in range(len(table))]
    table["kind"] = np.where(np.arange(len(table)) % 3, "common", "rare")
    return table.sample(frac=1, random_state=seed)


def test_one_table_is_audited_as_two_files_are(tmp_path):
    members, nonmembers = made()
    table_of((members, nonmembers)).to_csv(tmp_path / "table.csv", index=False)
    report = audit(tmp_path / "table.csv", member_column="member", id_column="name", group_column="kind")
    assert report["trainings"][0]["loss"]["auc"] == pytest.approx(measure_leakage(members, nonmembers)["auc"])
    rows = {row["group"]: row for row in report["groups"]["rows"]}
    rare = np.arange(len(members)) % 3 == 0, (np.arange(len(nonmembers)) + len(members)) % 3 == 0
    # The level is shared by the attack and the groups, and then by the two groups.
    groups = [
        [Losses(members[rare[0]], nonmembers[rare[1]])],
        [Losses(members[~rare[0]], nonmembers[~rare[1]])],
    ]
    expected, _ = groups_differ(groups, confidence=1 - 0.05 / 2)
    assert rows["rare"]["auc"] == pytest.approx(expected["auc"])
    assert rows["rare"]["auc_low"] == pytest.approx(expected["auc_low"])
    assert rows["rare"]["members"] == rare[0].sum()
    assert not any(row["above"] or row["below"] for row in rows.values())


def test_groups_that_leak_differently_differ():
    leaky, tight = (
        table_of(made(leak=0.3)).assign(kind="leaky"),
        table_of(made(leak=1, seed=1)).assign(kind="tight"),
    )
    table = pd.concat([leaky, tight, leaky.groupby("member").head(9).assign(kind="lonely")])
    report = audit(table, member_column="member", group_column="kind")
    rows = {row["group"]: row for row in report["groups"]["rows"]}
    assert rows["leaky"]["above"]
    assert rows["tight"]["below"]
    assert rows["leaky"]["difference"] == pytest.approx(-rows["tight"]["difference"])
    assert report["groups"]["compared"] == 2
    # The third, of 9 members and 9 non-members, would say who they are.
    assert report["groups"]["too_small"] == 1
    assert "lonely" not in json.dumps(report)


def test_two_models_are_a_paired_contrast_whatever_the_order_of_the_rows():
    first, second = made(), tuple(losses * 1.1 for losses in made(seed=0, leak=0.8))
    ids = np.arange(2000), np.arange(2000, 3500)
    expected = paired_contrast(Losses(*first, *ids), Losses(*second, *ids), ("a", "b"))
    by_row = audit(*first, against=second)["contrast"]
    options = {"member_column": "member", "id_column": "name"}
    by_id = audit(table_of(first, 1), against=[table_of(second, 2)], **options)["contrast"]
    for contrast in (by_row, by_id):
        for part in ("difference", "low", "high"):
            assert contrast[f"auc_{part}"] == pytest.approx(expected[f"auc_{part}"])
        assert contrast["over"] == "examples"


def test_several_trainings_are_a_kind(run_audit, tmp_path):
    kinds = {"first": 0.8, "second": 0.5}
    files = {kind: [] for kind in kinds}
    for kind, leak in kinds.items():
        for seed in range(3):
            for side, losses in zip("mn", made(seed=10 * seed + 7, leak=leak), strict=True):
                files[kind].append(tmp_path / f"{kind}_{seed}_{side}.npy")
                np.save(files[kind][-1], losses)
    status, out, _ = run_audit(*files["first"], "--against", *files["second"], "--examples")
    assert status == 0
    assert "Mean of 3 trainings" in out
    assert "the other leaks more than the audited model" in out
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert report["contrast"]["first_trainings"] == 3
    assert report["kind"]["auc"] == pytest.approx(
        np.mean([training["loss"]["auc"] for training in report["trainings"]])
    )
    examples = pd.read_csv(tmp_path / "audit" / "confidential" / "audit_examples.csv")
    assert list(examples["training"].unique()) == [1, 2, 3]


# ------------------------------------------------------------------------------------------------ references


def target_and_references(pairs=2, n=2000, m=1500, seed=0):
    """Losses of a target, those of reference models (K, n + m), and what these were trained on: an example's
    difficulty is shared by all, and training on it makes the loss a little lower."""
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(0, 1.5, n + m)

    def losses_given(trained):
        return np.exp(difficulty + generator.normal(0, 0.3, n + m) - 0.5 * trained)

    halves = [generator.random(n + m) < 0.5 for _ in range(pairs)]
    trained = np.array([half for first in halves for half in (first, ~first)])
    return losses_given(np.arange(n + m) < n), np.array([losses_given(inside) for inside in trained]), trained


def test_references_make_the_attack_stronger_in_any_layout(run_audit, tmp_path):
    target, losses, trained = target_and_references()
    np.save(tmp_path / "members.npy", target[:2000])
    np.save(tmp_path / "nonmembers.npy", target[2000:])
    np.savez(tmp_path / "lira.npz", losses=losses, keep=trained)
    np.save(tmp_path / "losses.npy", losses)
    np.save(tmp_path / "trained.npy", trained)
    ids = [f"image {place}" for place in range(3500)]
    tables = []
    for place in range(len(losses)):
        table = pd.DataFrame({"name": ids, "loss": losses[place], "member": trained[place].astype(int)})
        tables.append(tmp_path / f"reference_{place}.csv")
        table.sample(frac=1, random_state=place).to_csv(tables[-1], index=False)
    whole = pd.DataFrame({"name": ids, "loss": target, "member": (np.arange(3500) < 2000).astype(int)})
    whole.to_csv(tmp_path / "target.csv", index=False)
    two_files = tmp_path / "members.npy", tmp_path / "nonmembers.npy"
    found = [
        audit(*two_files, references=[tmp_path / "lira.npz"]),
        audit(*two_files, references=[tmp_path / "losses.npy"], reference_members=[tmp_path / "trained.npy"]),
        audit(tmp_path / "target.csv", member_column="member", id_column="name", references=tables),
    ]
    for report in found:
        assert report["trainings"][0]["calibrated"] == found[0]["trainings"][0]["calibrated"]
        assert report["trainings"][0]["left_out"] == 0
    loss, calibrated = (found[0]["trainings"][0][attack] for attack in ("loss", "calibrated"))
    assert calibrated["auc_low"] > loss["auc_high"]
    assert "calibrated loss" in found[0]["verdict"][0]
    status, out, _ = run_audit(*two_files, "--references", tmp_path / "lira.npz", "--examples")
    assert status == 0
    assert f"{calibrated['auc']:.4f}" in out
    examples = pd.read_csv(tmp_path / "audit" / "confidential" / "audit_examples.csv")
    assert roc_auc_score(examples["member"], -examples["calibrated"]) == pytest.approx(calibrated["auc"])
    np.testing.assert_array_equal(examples["rank"], examples["calibrated"].rank(method="min"))


def test_examples_without_both_kinds_of_reference_are_left_out_and_counted(tmp_path):
    """Three independent halves leave an example with neither in a quarter of all cases."""
    target, losses, trained = target_and_references(pairs=3)
    losses, trained = losses[::2], trained[::2]
    sides, sources = (target[:2000], target[2000:]), {"references": [losses], "reference_members": [trained]}
    report = audit(*sides, **sources, output=tmp_path, examples=True)
    lacking = (trained.sum(axis=0) % 3 == 0).sum()
    assert report["trainings"][0]["left_out"] == lacking
    sizes = [report["trainings"][0]["calibrated"][kind] for kind in ("members", "nonmembers")]
    assert sum(sizes) == 3500 - lacking
    examples = pd.read_csv(tmp_path / "confidential" / "audit_examples.csv", keep_default_na=False)
    for name in ("calibrated", "rank", "called_at_1pct_fpr"):
        assert (examples[name] == "").sum() == lacking


def test_references_of_other_data_are_accepted(run_audit, tmp_path):
    """Trained on neither side, which a word or an array says; one is enough."""
    generator = np.random.default_rng(3)
    difficulty = generator.normal(0, 1.5, 3500)
    target, *losses = (np.exp(difficulty + generator.normal(0, 0.3, 3500)) for _ in range(5))
    target[:2000] *= 0.7
    losses, sides = np.array(losses), (target[:2000], target[2000:])
    np.save(tmp_path / "base.npy", losses[:1])
    np.save(tmp_path / "members.npy", sides[0])
    np.save(tmp_path / "nonmembers.npy", sides[1])
    by_array = audit(*sides, references=[losses], reference_members=[np.zeros((4, 3500), bool)])
    by_word = audit(*sides, references=[losses], reference_members=["none"])
    assert by_array["trainings"] == by_word["trainings"]
    loss, calibrated = (by_word["trainings"][0][attack] for attack in ("loss", "calibrated"))
    assert calibrated["auc_low"] > loss["auc_high"]
    files = [tmp_path / name for name in ("members.npy", "nonmembers.npy", "base.npy")]
    status, out, _ = run_audit(*files[:2], "--references", files[2], "--reference-members", "none")
    assert status == 0
    assert "calibrated loss" in out
    np.savez(tmp_path / "told.npz", losses=losses, keep=np.zeros((4, 3500), bool))
    with pytest.raises(BadInput, match="losses of 4 references, but the members of 8"):
        audit(*sides, references=[tmp_path / "told.npz"], reference_members=["none"])


@pytest.mark.parametrize("kind", ["complement", "fixed count", "members only", "count", "alone", "shape"])
def test_references_that_cannot_be_used_are_refused(kind):
    target, losses, trained = target_and_references()
    member = np.arange(3500) < 2000
    if kind == "complement":
        trained[0], trained[1] = ~member, member
    elif kind == "fixed count":  # two more were trained on each non-member
        generator = np.random.default_rng(0)
        trained = np.argsort(np.argsort(generator.random((4, 3500)), axis=0), axis=0) < 3 - 2 * member
    elif kind == "members only":
        trained &= member
    elif kind == "count":
        trained = trained[:3]
    elif kind == "shape":
        losses, trained = losses[:, :-1], trained[:, :-1]
    sources = {"references": [losses], "reference_members": [] if kind == "alone" else [trained]}
    with pytest.raises(BadInput) as refusal:
        audit(target[:2000], target[2000:], **sources)
    assert len(str(refusal.value)) < 300


def test_models_with_each_record_in_half_of_them_are_references():
    """LiRA's layout: the audited model is one of eight, and the records leave out a reference by lot."""
    generator = np.random.default_rng(0)
    trained = np.argsort(np.argsort(generator.random((8, 3000)), axis=0), axis=0) < 4
    losses = np.exp(generator.normal(0, 1.5, 3000) + generator.normal(0, 0.3, (8, 3000)) - 0.5 * trained)
    order = np.argsort(~trained[0], kind="stable")
    losses, trained, members = losses[:, order], trained[:, order], np.count_nonzero(trained[0])
    sides = np.split(losses[0], [members])
    report = audit(*sides, references=[losses[1:]], reference_members=[trained[1:]])
    assert any("left out by lot" in words for words in report["warnings"])
    assert not report["finding"]["sides_differ"]
    loss, calibrated = (report["trainings"][0][attack] for attack in ("loss", "calibrated"))
    assert calibrated["auc_low"] > loss["auc_high"]


@pytest.mark.parametrize("kind", ["references", "one of them", "control"])
def test_losses_in_another_order_are_remarked_on(kind):
    """Their AUC is no sign: it says that nothing leaks."""
    target, losses, trained = target_and_references()
    generator = np.random.default_rng(0)
    mixed = losses.copy()
    for place in range(4) if kind != "one of them" else [2]:
        mixed[place] = generator.permutation(mixed[place])
    sides = target[:2000], target[2000:]
    if kind == "control":
        good, bad = (audit(*sides, control=[of[0]]) for of in (losses, mixed))
    else:
        good, bad = (audit(*sides, references=[of], reference_members=[trained]) for of in (losses, mixed))
    name = {"references": "the references", "one of them": "reference 3", "control": "the control"}[kind]
    assert any(f"losses of {name} have nothing to do" in words for words in bad["warnings"])
    assert not any("one order" in words for words in good["warnings"])


# ------------------------------------------------------------------------------------------ bound on epsilon


def laplace_mechanism(generator, epsilon, n):
    return generator.laplace(0, 1 / epsilon, n), generator.laplace(1, 1 / epsilon, n)


def test_every_training_gets_its_share_of_the_error_of_the_bound(capsys):
    """And the largest bound is printed; sides of unequal size are drawn down, as for members by lot."""
    generator = np.random.default_rng(2)
    alone = audit(*laplace_mechanism(generator, 1.0, 3000))
    assert alone["trainings"][0]["epsilon"]["confidence"] == pytest.approx(0.95)
    nothing, leaking = (laplace_mechanism(generator, epsilon, 3000) for epsilon in (0.01, 2.0))
    report = audit(*nothing, *leaking)
    bounds = [training["epsilon"] for training in report["trainings"]]
    assert [bound["confidence"] for bound in bounds] == pytest.approx([0.975, 0.975])
    assert bounds[0]["epsilon_low"] < 0.2 < 1.5 < bounds[1]["epsilon_low"]
    print_report(report)
    said = f"at least {bounds[1]['epsilon_low']:.3f} (95% sure, if a lot decided for each record"
    assert said in capsys.readouterr().out
    members, nonmembers = generator.normal(size=5000), generator.normal(size=500)
    bound = audit(members, nonmembers)["trainings"][0]["epsilon"]
    assert bound["epsilon_low"] == 0 and 850 < bound["examples"] < 1150


def test_a_claim_below_the_bound_is_contradicted():
    generator = np.random.default_rng(1)
    members, nonmembers = laplace_mechanism(generator, 2.0, 3000)
    assert any(
        "claimed 1" in warning for warning in audit(members, nonmembers, claimed_epsilon=1.0)["warnings"]
    )
    assert not any(
        "claimed" in warning for warning in audit(members, nonmembers, claimed_epsilon=3.0)["warnings"]
    )


# --------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["good.npy"], "members and non-members in turn"),
        (["good.npy", "absent.npy"], "No such file"),
        (["good.npy", "bad.csv"], "bad.csv"),
        (["good.npy", "good.npy", "--labels", "good.npy"], "labels"),
        (["good.npy", "good.npy", "--against", "good.npy", "short.npy"], "--id-column"),
        (["good.npy", "good.npy", "--reference-members", "good.npy"], "--references"),
        (["good.npy", "good.npy", "--delta", "1"], "delta"),
        (["good.npy", "good.npy", "--claimed-epsilon", "0"], "not above 0"),
        (["one_kind.csv", "--member-column", "member"], "one kind"),
        (["twice.csv", "--member-column", "member", "--id-column", "id"], "twice"),
        ([], "FILE"),
    ],
)
def test_bad_input_is_one_line_and_status_2_and_writes_nothing(run_audit, tmp_path, arguments, part):
    np.save(tmp_path / "good.npy", np.arange(50.0))
    np.save(tmp_path / "short.npy", np.arange(40.0))
    (tmp_path / "bad.csv").write_text("loss\n0.5\n" + "x" * 100_000)
    (tmp_path / "one_kind.csv").write_text("loss,member\n0.5,1\n0.6,1\n")
    (tmp_path / "twice.csv").write_text("id,loss,member\n1,0.5,1\n1,0.6,0\n")
    status, out, error = run_audit(*(tmp_path / word if "." in word else word for word in arguments))
    assert status == 2
    assert out == ""
    assert error.count("\n") == 1
    assert len(error) < 330  # with the program's name
    assert part in error
    assert not (tmp_path / "audit").exists()


def test_it_runs_from_any_folder_without_tensorflow(tmp_path):
    """And writes where it is called, into a folder that it names."""
    members, nonmembers = made()
    np.save(tmp_path / "members.npy", members)
    np.save(tmp_path / "nonmembers.npy", nonmembers)
    program = (
        "import sys, runpy; sys.argv[1:] = ['members.npy', 'nonmembers.npy'];"
        "runpy.run_module('leakage', run_name='__main__');"
        "assert not {'tensorflow', 'sklearn', 'mia', 'suite'} & set(sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "MPLBACKEND": "module://nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert (tmp_path / "audit" / "audit.json").exists()
    assert ended.stdout.rstrip().endswith("written into audit")


@pytest.mark.filterwarnings("ignore:Attempting to set identical")  # the axis of a single non-member
@pytest.mark.parametrize("scale", [1.0, -1.0])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 40), (2000, 1500)])
def test_odd_sizes_and_signs_are_drawn(tmp_path, n, m, scale):
    members, nonmembers = (scale * losses for losses in made(n, m))
    report = audit(members, nonmembers, output=tmp_path / "out")
    assert (tmp_path / "out" / "mia_audit.png").stat().st_size > 10_000
    assert report["trainings"][0]["loss"]["members"] == n


def test_infinite_losses_are_losses(tmp_path):
    members, nonmembers = made()
    nonmembers[:100] = np.inf
    report = audit(members, nonmembers, output=tmp_path)
    assert report["trainings"][0]["loss"]["auc"] == measure_leakage(members, nonmembers)["auc"]


# ------------------------------------------------------------------------------------------------ real models


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images / 16, labels, train_size=0.5, random_state=0, stratify=labels)


def test_a_forest_and_a_network_are_audited_end_to_end(digits, tmp_path):
    """Both learn digits; the forest, whose trees are grown to the end, gives its members away."""
    train, test, train_labels, test_labels = digits
    found = {}
    for name, model in {
        "forest": RandomForestClassifier(100, random_state=0),
        "network": MLPClassifier((64,), max_iter=60, random_state=0),
    }.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *_, **__: None)  # the network has not converged
            model.fit(train, train_labels)
        assert model.score(test, test_labels) > 0.9
        report = audit(
            model.predict_proba(train),
            model.predict_proba(test),
            labels=[train_labels, test_labels],
            output=tmp_path / name,
        )
        found[name] = report["trainings"][0]["loss"]
        scores = [
            model.predict_proba(images)[np.arange(len(labels)), labels]
            for images, labels in ((train, train_labels), (test, test_labels))
        ]
        member = np.repeat([1, 0], [len(train), len(test)])
        assert found[name]["auc"] == pytest.approx(roc_auc_score(member, np.concatenate(scores)), abs=1e-6)
    assert found["forest"]["auc_low"] > 0.75
    assert 0.5 < found["network"]["auc"] < found["forest"]["auc_low"]
    assert (tmp_path / "forest" / "mia_audit.png").exists()


def test_the_figure_names_its_axes_after_the_score():
    target, losses, trained = target_and_references()
    sides = target[:2000], target[2000:]
    logits, labels = scores_and_labels()
    reports = [
        audit(*sides),
        audit(pd.DataFrame({"a $b$": sides[0]}), pd.DataFrame({"a $b$": sides[1]}), column="a $b$"),
        audit(*sides, references=[losses], reference_members=[trained]),
        audit(logits, logits + 1, labels=[labels, labels]),
    ]
    names = [report.figure().axes[1].get_xlabel() for report in reports]
    assert names == ["loss, as given", "a $b$, as given", "calibrated loss (nats)", "loss (nats)"]
    assert mpl.rcParams["axes.spines.top"]  # the look is not left behind


def test_equal_losses_are_a_line_that_is_seen():
    """Of a model that gives every member probability 1, as nearest neighbours do."""
    others = np.where(np.arange(1000) % 4, 0, np.random.default_rng(0).exponential(0.5, 1000))
    axes = audit(np.zeros(1000), others).figure().axes[1]
    members, left, right = axes.get_lines()[0], *axes.get_xlim()
    across, up = members.get_data()
    assert left < 0 < across[-1] == right
    assert up[-1] > 0.99
    assert across[np.argmax(up > 0.5)] == 0


def test_scores_near_0_with_long_tails_are_spread_on_both_sides():
    generator = np.random.default_rng(1)
    tails = generator.normal(0, 1, (2, 1000)) * 10.0 ** generator.uniform(-6, 1, (2, 1000))
    axes = audit(*tails).figure().axes[1]
    assert axes.get_xscale() == "symlog"
    near = axes.transData.transform([[-1e-3, 0], [1e-3, 0]])[:, 0]
    assert np.ptp(near) > 0.2 * axes.bbox.width
