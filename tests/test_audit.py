"""The audit: what it reads, what it refuses, what it warns of, and what its report says."""

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from leakage import Losses, measure_leakage, paired_contrast
from leakage.audit import audit, command_line, doubts, print_report
from leakage.command_line import BadInput
from leakage.files import Columns, losses_of, read_examples

ROOT = Path(__file__).resolve().parents[1]


def npy(*arrays):
    stream = io.BytesIO()
    for array in arrays:
        np.save(stream, np.asarray(array))
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def read(tmp_path, content, name="file", labels=None, **columns):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_examples(path, Columns(**columns), labels)


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


# ----------------------------------------------------------------------------------------------- what is read

LOSSES = [0.53, 1.27, 0.11]
LINES = "0.53\n1.27\n0.11\n"


READ = [
    *((npy(np.array(LOSSES, dtype)), {}) for dtype in ("<f8", ">f8", "f4", "f2", np.longdouble)),
    (npy(np.array(LOSSES).reshape(3, 1)), {}),
    (npy(np.array(LOSSES).reshape(1, 3)), {}),
    (npz(anything=LOSSES), {}),
    (npz(members=LOSSES, nonmembers=[1.0, 2.0]), {"loss": "members"}),
    (LINES, {}),
    (LINES.rstrip("\n"), {}),
    (LINES.replace("\n", "\r\n"), {}),
    (LINES.replace("\n", "\r"), {}),
    ("\ufeff" + LINES, {}),
    (("loss\n" + LINES).encode("utf-16"), {}),
    ("loss\n" + LINES, {}),
    ("# loss\n" + LINES, {}),
    ("0\n" + LINES, {}),
    ("0\n" + LINES, {"header": True}),
    ("17\n" + LINES, {"header": True}),
    (",0\n0,0.53\n1,1.27\n2,0.11\n", {}),
    (",loss\n0,0.53\n1,1.27\n2,0.11\n", {}),
    ('"","x"\n"1",0.53\n"2",1.27\n"3",0.11\n', {}),
    ("Unnamed: 0,l\n0,0.53\n1,1.27\n2,0.11\n", {}),
    ("id;loss\n7;0.53\n8;1.27\n9;0.11\n", {}),
    ("id\tx\n7\t0.53\n8\t1.27\n9\t0.11\n", {"loss": "x"}),
    ("id,x\n7,0.53\n8,1.27\n9,0.11\n", {"id": "id"}),
    ("7,0.53\n8,1.27\n9,0.11\n", {"loss": "2"}),
    ("loss,\n0.53,\n1.27,\n0.11,\n", {}),
]


@pytest.mark.parametrize(("content", "columns"), READ, ids=range(len(READ)))
def test_losses_are_read_as_they_are(tmp_path, content, columns):
    frame, _ = read(tmp_path, content, **columns)
    rounded = isinstance(content, bytes) and b"<f2" in content
    np.testing.assert_allclose(frame["loss"], LOSSES, rtol=1e-3 if rounded else 1e-7)
    assert frame["loss"].dtype == float


@pytest.mark.parametrize(
    "losses", [np.random.default_rng(0).exponential(1, 200), np.geomspace(1e-300, 1e300, 50)]
)
def test_writers_lose_nothing(tmp_path, losses):
    """To the last bit through numpy's and pandas' writers."""
    series, frame = (
        pd.Series(losses, name="loss"),
        pd.DataFrame({"id": np.arange(len(losses)), "loss": losses}),
    )
    np.savetxt(tmp_path / "savetxt", losses)
    np.savetxt(tmp_path / "savetxt_header", losses, header="loss")
    np.savetxt(tmp_path / "savetxt_column", losses[:, None], delimiter=",")
    series.to_csv(tmp_path / "series")
    series.to_csv(tmp_path / "series_alone", index=False)
    pd.DataFrame(losses).to_csv(tmp_path / "nameless")
    pd.DataFrame(losses).to_csv(tmp_path / "nameless_alone", index=False)
    frame.to_csv(tmp_path / "frame", index=False)
    frame.to_csv(tmp_path / "semicolon", sep=";")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 9
    for path in files:
        np.testing.assert_array_equal(read_examples(path)[0]["loss"], losses, err_msg=path.name)


def test_a_header_that_pandas_writes_is_told(tmp_path):
    frame, remarks = read(tmp_path, "0\n0.53\n1.27\n")
    assert list(frame["loss"]) == [0.53, 1.27]
    assert "--header no" in remarks[0]
    frame, remarks = read(tmp_path, "0\n0.53\n1.27\n", header=False)
    assert list(frame["loss"]) == [0, 0.53, 1.27]
    assert remarks == []


def test_a_table_gives_member_id_and_group(tmp_path):
    text = "name,loss,in,kind\na,0.1,1,x\nb,0.2,0,x\nc,0.3,TRUE,y\nd,0.4,false,y\n"
    frame, _ = read(tmp_path, text, member="in", id="name", group="kind")
    assert list(frame["member"]) == [True, False, True, False]
    assert list(frame["id"]) == list("abcd")
    assert list(frame["group"]) == list("xxyy")
    arrays = npz(loss=[0.1, 0.2], inside=np.array([True, False]), number=[5, 6])
    frame, _ = read(tmp_path, arrays, member="inside", id="number")
    assert frame.to_numpy().tolist() == [[0.1, True, "5"], [0.2, False, "6"]]


def test_arrays_and_frames_are_sources_too():
    for source in (np.array(LOSSES), LOSSES, pd.DataFrame({"loss": LOSSES})):
        assert list(read_examples(source)[0]["loss"]) == LOSSES


def test_no_column_of_a_frame_is_dropped_for_its_name():
    with pytest.raises(BadInput, match="same name"):
        read_examples(pd.DataFrame([[0.5, 0.6]], columns=["loss", "loss"]))


def test_a_colon_names_an_array_or_a_column(tmp_path):
    (tmp_path / "several.npz").write_bytes(npz(members=LOSSES, nonmembers=[1.0]))
    (tmp_path / "several.csv").write_text("a,b\n0.53,1\n1.27,2\n0.11,3\n")
    assert list(read_examples(f"{tmp_path}/several.npz:members")[0]["loss"]) == LOSSES
    assert list(read_examples(f"{tmp_path}/several.csv:a")[0]["loss"]) == LOSSES


# ---------------------------------------------------------------------------------------- what is refused

REFUSED = [
    (npy(LOSSES, LOSSES), {}, "more than one array"),
    (npy(LOSSES) + b"x", {}, "more than one array"),
    ("loss\n0.5\n\n0.7\n", {}, "1 of 3 losses"),
    ("0.5\n0.7\n\n", {}, "1 of 3 losses"),
    ("\n0.5\n0.7\n", {}, "cannot be read"),
    ("id,loss\n1,0.5\n2\n", {}, "1 of 2 losses"),
    ('loss\n0.5\n""\n', {}, "1 of 2 losses"),
    ('""\n0.5\n', {}, "1 of 2 losses"),
    ("NA\n0.5\n0.6\n", {}, "1 of 3 losses"),
    ("loss\nNA\n0.5\nnan\n", {}, "2 of 3 losses"),
    (npy([0.5, np.nan]), {}, "1 of 2 losses"),
    ("0\n0.5\n2\n", {}, "--header"),
    ("0\n", {}, "(0,)"),
    ("17\n0.5\n0.7\n", {}, "--header"),
    ("loss\n0.5\nhigh\n", {}, "high"),
    ("loss\n0,5\n0,7\n", {}, "line 2, saw 2"),
    ("id;loss\n1;0,5\n2;0,7\n", {}, "0,5"),
    ("a,b\n0.5,1\n0.7,2\n", {}, "a, b"),
    ("0.5,1\n0.7,2\n", {}, "--column"),
    ("a,a\n0.5,1\n", {"loss": "a"}, "same name"),
    ("loss\n0.5\n0.6,1\n", {}, "line 3, saw 2"),
    ("loss\n", {}, "(0,)"),
    ("", {}, "cannot be read"),
    ("loss\n0.5\n", {"loss": "score"}, "no column score"),
    ("loss\n0.5\n", {"id": "name"}, "no column name"),
    ("0.5\n0.6\n", {"group": "g"}, "no column g, but one without a name"),
    ("id,loss,member\n0,0.2,1\n1,0.8,0\n", {}, "--member-column member"),
    ("loss,in\n0.5,train\n", {"member": "in"}, "train"),
    ("loss,g\n0.5,\n0.6,x\n", {"group": "g"}, "1 rows"),
    (",".join(["0.25"] * 3000) + "\n", {}, "3,000 columns"),
    ('"0.5\n0.6\n', {}, "cannot be read"),
    (npz(members=LOSSES, nonmembers=[1.0]), {}, "members, nonmembers"),
    (npz(loss=LOSSES, id=[1, 2]), {"id": "id"}, "3 losses, but 2"),
    (npz(), {}, "0 columns or arrays"),
    (npy(np.zeros((40, 3))), {}, "--labels"),
    (npy(np.zeros((0,))), {}, "(0,)"),
    (npy(0.5), {}, "()"),
    (npy(["a", "b"]), {}, "'a'"),
    (npy([1 + 2j]), {}, "complex"),
    (npy([True, False]), {}, "bool"),
    (npy(LOSSES)[:-3], {}, "cannot be read"),
    (b"\x93NUMPY\x01\x00\x10\x00{'descr':((((((\n ", {}, "cannot be read"),
    (b"PK\x03\x04nothing", {}, "zip"),
    (b"\xff\x00\x81\x1f", {}, "utf-8"),
]


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
@pytest.mark.parametrize(("content", "columns", "part"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_understood_is_refused_in_one_line(tmp_path, content, columns, part, suffix):
    """Whatever the file is called."""
    with pytest.raises(BadInput) as refusal:
        read(tmp_path, content, f"losses{suffix}", **columns)
    message = str(refusal.value)
    assert part in message
    assert len(message) < 300
    assert "\n" not in message
    assert "losses" in message  # the file's name


def test_archives_of_something_else_are_refused(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    with pytest.raises(BadInput, match=r"data\.pkl"):
        read(tmp_path, stream.getvalue(), "model.pt")
    stream = io.BytesIO()
    np.save(stream, np.array([{"loss": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="pickle"):
        read(tmp_path, stream.getvalue())


@pytest.mark.parametrize("name", ["absent.npy", "", "\0", "x" * 5000])
def test_files_that_are_not_there(tmp_path, name):
    with pytest.raises(BadInput) as refusal:
        read_examples(str(tmp_path / name))
    assert len(str(refusal.value)) < 300


def losses_or_one_line(content, **columns):
    """The losses in a file of these bytes, or None if it is refused, which must be in one short line."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            return read_examples(file.name, Columns(**columns))[0]["loss"].to_numpy()
        except BadInput as refusal:
            assert len(str(refusal)) < 300
            assert str(refusal).isprintable()
            return None


FUZZING = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@FUZZING
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda tail: b"\x93NUMPY" + tail)))
def test_any_bytes_are_refused_or_read(content):
    losses = losses_or_one_line(content)
    if losses is not None and not content.startswith((b"\x93NUMPY", b"PK")):
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        lines = len(text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n"))
        assert lines - 1 <= len(losses) <= lines


@FUZZING
@given(st.data())
def test_damaged_arrays_are_refused_or_read(data):
    """Bytes of a .npy or .npz file are changed, cut off, or put in."""
    whole = data.draw(st.sampled_from([npy(np.arange(9.0)), npz(a=np.arange(9.0)), npz(a=[1.0], b=[2.0])]))
    place = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, 20))
    losses = losses_or_one_line(whole[:place] + data.draw(st.binary(max_size=20)) + whole[place + length :])
    assert losses is None or np.isfinite(losses).size >= 1


CELLS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "NA", "nan", "inf", "loss", "-", "1_0", " 2 ", '"', '"3"', "#", "\x00", "٣"]
    ),
    st.floats(allow_nan=False).map(repr),
    st.text(max_size=5),
)


@FUZZING
@given(st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=6), st.sampled_from(",;\t"), st.booleans())
def test_any_table_gives_one_loss_a_line_or_a_refusal(rows, separator, quoted):
    """As many losses as lines, or one fewer, for the header."""
    if quoted:
        rows = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows]
    text = "".join(separator.join(row) + "\n" for row in rows)
    losses = losses_or_one_line(text.encode("utf-8", "replace"))
    if losses is not None and not any(mark in "".join(map("".join, rows)) for mark in '"\n\r'):
        assert len(losses) in (len(rows), len(rows) - 1)
        # A first line in which all cells are numbers with a point is a loss.
        if all("." in cell and cell.replace(".", "").isdigit() for cell in rows[0]):
            assert len(losses) == len(rows)


# ------------------------------------------------------------------------------- from scores and labels


def scores_and_labels(n=200, classes=4, seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, (n, classes))
    return logits, generator.integers(0, classes, n)


def test_losses_of_probabilities_and_logits_are_scikit_learns():
    logits, labels = scores_and_labels()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = [
        log_loss([label], row[None], labels=range(4))
        for label, row in zip(labels, probabilities, strict=True)
    ]
    np.testing.assert_allclose(losses_of(probabilities, labels), expected, rtol=1e-12)
    np.testing.assert_allclose(losses_of(logits, labels), expected, rtol=1e-12)
    np.testing.assert_allclose(losses_of(np.log(probabilities), labels), expected, rtol=1e-12)


def test_losses_of_a_binary_classifier():
    probability, labels = np.array([[0.9], [0.2], [0.6]]), np.array([1, 0, 0])
    expected = -np.log([0.9, 0.8, 0.4])
    np.testing.assert_allclose(losses_of(probability, labels), expected)
    np.testing.assert_allclose(losses_of(np.log(probability / (1 - probability))[:, 0], labels), expected)


def test_confident_logits_neither_overflow_nor_cancel():
    losses = losses_of(np.array([[0.0, 50.0], [0.0, 2000.0], [2000.0, 0.0]]), np.array([1, 1, 1]))
    np.testing.assert_allclose(losses, [np.exp(-50), 0, 2000], rtol=1e-12)


@pytest.mark.parametrize(
    ("scores", "labels", "part"),
    [
        (np.full((3, 2), 0.5), [0, 1], "2 labels"),
        (np.full((3, 2), 0.5), [1, 2, 1], "labels from 1 to 2"),
        (np.full((3, 2), 0.5), [0, 0.5, 1], "labels from 0 to 1"),
        (np.full((3, 2), 0.9), [0, 1, 1], "sum to 1"),
        (np.array([[np.inf, np.inf], [1, 2]]), [0, 1], "infinite"),
        (np.array([[np.nan, 0.5], [1, 2]]), [0, 1], "1 of 4 scores"),
        (np.full((3, 2), 0.5), np.eye(3), "argmax"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores, labels, part):
    with pytest.raises(BadInput, match=part):
        read_examples(scores, labels=np.array(labels))


def test_scores_come_from_files_and_saturated_ones_are_told(tmp_path):
    logits, labels = scores_and_labels()
    pd.DataFrame(logits, columns=list("abcd")).to_csv(tmp_path / "logits.csv")
    np.savetxt(tmp_path / "labels.csv", labels, fmt="%d", header="label")
    frame, remarks = read_examples(tmp_path / "logits.csv", labels=tmp_path / "labels.csv")
    np.testing.assert_array_equal(frame["loss"], losses_of(logits, labels))
    assert remarks == []
    confident = (logits + 40 * np.eye(4)[labels]).astype(np.float32)
    confident = np.exp(confident) / np.exp(confident).sum(axis=1, keepdims=True)
    _, remarks = read_examples(confident, labels=labels)
    assert "saturated" in remarks[0]


# -------------------------------------------------------------------------------- what is believed is checked


def made(n=2000, m=1500, seed=0, leak=0.9):
    """Losses of a model that leaks: members' losses are a tenth smaller."""
    generator = np.random.default_rng(seed)
    return generator.exponential(leak, n), generator.exponential(1, m)


@pytest.mark.parametrize(
    ("members", "nonmembers", "part"),
    [
        (np.ones(50), np.zeros(50), "larger values"),
        (np.ones(50), np.zeros(50), "nobody was called"),
        (*made()[::-1], "swapped"),
        (*np.exp(-np.array(made(1500, 1500))), "within 0 and 1"),
        (*-np.array(made(1500, 1500)), "log-probabilities"),
        (made()[0], made()[0], "given twice"),
        (made()[0], np.append(made()[0][:400], made()[1][:1000]), "given twice"),
        (np.maximum(made()[0], 0.3), np.maximum(made()[1], 0.3), "tied at the smallest"),
    ],
)
def test_doubts_are_told(members, nonmembers, part):
    assert any(
        part in doubt for doubt in doubts(Losses(members, nonmembers), measure_leakage(members, nonmembers))
    )


@pytest.mark.parametrize("digits", [16, 2])
def test_good_losses_raise_no_doubt(digits):
    members, nonmembers = (np.round(5 + losses, digits) for losses in made())
    assert doubts(Losses(members, nonmembers), measure_leakage(members, nonmembers)) == []


def test_doubts_stand_in_the_report(run_audit, tmp_path):
    np.save(tmp_path / "ones.npy", np.ones(50))
    np.save(tmp_path / "zeros.npy", np.zeros(50))
    status, out, _ = run_audit(tmp_path / "ones.npy", tmp_path / "zeros.npy")
    assert status == 0
    assert out.startswith("The losses stand the wrong way round")
    assert "Warning: Members have the larger values" in out
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert any("larger values" in warning for warning in report["warnings"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("members", "nonmembers"), [(np.inf, np.inf), (1.0, 1.0), (1e-320, np.inf)])
def test_losses_that_are_all_equal_or_infinite_are_drawn_without_a_warning(members, nonmembers, tmp_path):
    found = audit(np.full(50, members), np.full(40, nonmembers), output=tmp_path)
    expected = 0.5 if members == nonmembers else float(members < nonmembers)
    assert found["trainings"][0]["loss"]["auc"] == expected
    assert (tmp_path / "mia_audit.png").exists()


# ------------------------------------------------------------------------------------------------ the report


def test_the_report_is_that_of_measure_leakage_in_all_its_files(run_audit, tmp_path):
    members, nonmembers = made()
    np.save(tmp_path / "loss_$0.npy", members)
    np.savetxt(tmp_path / "loss_$1.csv", nonmembers, header="loss", comments="")
    status, out, _ = run_audit(tmp_path / "loss_$0.npy", tmp_path / "loss_$1.csv")
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "audit").iterdir()) == [
        "audit.json",
        "audit_examples.csv",
        "mia_audit.png",
    ]
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    expected = measure_leakage(members, nonmembers)
    assert report["trainings"][0]["loss"] == pytest.approx(expected)
    assert out.startswith(
        f"It leaks: a random member has a lower loss than a random non-member in {expected['auc']:.1%}"
    )
    assert "takes 10,000 non-members" in out
    assert "nan" not in out
    for key in ("auc", "heldout_advantage", "advantage", "tpr_at_1pct_fpr", "tnr_at_1pct_fnr"):
        assert f"{expected[key]:.4f}" in out
    examples = pd.read_csv(tmp_path / "audit" / "audit_examples.csv")
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


def test_how_many_can_be_named_is_compared_with_chance():
    assert "more than chance, 1.07%" in audit(*made(leak=0.3))["verdict"][1]
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
    expected = measure_leakage(members[rare[0]], nonmembers[rare[1]])
    assert rows["rare"]["auc"] == pytest.approx(expected["auc"])
    assert rows["rare"]["auc_low"] == pytest.approx(expected["auc_low"])
    assert rows["rare"]["members"] == rare[0].sum()
    assert not any(row["above"] or row["below"] for row in rows.values())


def test_groups_that_leak_differently_differ():
    leaky, tight = (
        table_of(made(leak=0.3)).assign(kind="leaky"),
        table_of(made(leak=1, seed=1)).assign(kind="tight"),
    )
    table = pd.concat([leaky, tight, leaky.head(1).assign(kind="lonely", member=1)])
    report = audit(table, member_column="member", group_column="kind")
    rows = {row["group"]: row for row in report["groups"]["rows"]}
    assert rows["leaky"]["above"]
    assert rows["tight"]["below"]
    assert rows["leaky"]["difference"] == pytest.approx(-rows["tight"]["difference"])
    assert report["groups"]["compared"] == 2
    assert [row["auc"] is None for row in report["groups"]["rows"] if row["group"] == "lonely"] == [True]


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
    status, out, _ = run_audit(*files["first"], "--against", *files["second"])
    assert status == 0
    assert "Mean of 3 trainings" in out
    assert "the other leaks more than the audited model" in out
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert report["contrast"]["first_trainings"] == 3
    assert report["kind"]["auc"] == pytest.approx(
        np.mean([training["loss"]["auc"] for training in report["trainings"]])
    )
    examples = pd.read_csv(tmp_path / "audit" / "audit_examples.csv")
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
    status, out, _ = run_audit(*two_files, "--references", tmp_path / "lira.npz")
    assert status == 0
    assert f"{calibrated['auc']:.4f}" in out
    examples = pd.read_csv(tmp_path / "audit" / "audit_examples.csv")
    assert roc_auc_score(examples["member"], -examples["calibrated"]) == pytest.approx(calibrated["auc"])
    np.testing.assert_array_equal(examples["rank"], examples["calibrated"].rank(method="min"))


def test_examples_without_both_kinds_of_reference_are_left_out_and_counted(tmp_path):
    """Three independent halves leave an example with neither in a quarter of all cases."""
    target, losses, trained = target_and_references(pairs=3)
    losses, trained = losses[::2], trained[::2]
    sides, sources = (target[:2000], target[2000:]), {"references": [losses], "reference_members": [trained]}
    report = audit(*sides, **sources, output=tmp_path)
    lacking = (trained.sum(axis=0) % 3 == 0).sum()
    assert report["trainings"][0]["left_out"] == lacking
    sizes = [report["trainings"][0]["calibrated"][kind] for kind in ("members", "nonmembers")]
    assert sum(sizes) == 3500 - lacking
    examples = pd.read_csv(tmp_path / "audit_examples.csv", keep_default_na=False)
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
    elif kind == "fixed count":  # LiRA's models, each image in half of them, the target one of them
        generator = np.random.default_rng(0)
        trained = np.argsort(generator.random((4, 3500)), axis=0) < 2 - member
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
    said = f"at least {bounds[1]['epsilon_low']:.3f} (95% sure, if a lot decided for each example"
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


def test_the_figure_names_its_axes_after_the_score(monkeypatch):
    drawn = []
    monkeypatch.setattr("leakage.audit.save_figures", lambda folder, figures: drawn.extend(figures.values()))
    monkeypatch.setattr("leakage.audit.write_whole", lambda *_: None)
    monkeypatch.setattr("leakage.audit.output_folder", Path)
    target, losses, trained = target_and_references()
    sides = target[:2000], target[2000:]
    audit(*sides, output="x")
    audit(pd.DataFrame({"a $b$": sides[0]}), pd.DataFrame({"a $b$": sides[1]}), column="a $b$", output="x")
    audit(*sides, references=[losses], reference_members=[trained], output="x")
    logits, labels = scores_and_labels()
    audit(logits, logits + 1, labels=[labels, labels], output="x")
    names = [figure.axes[1].get_xlabel() for figure in drawn]
    assert names == ["loss, as given", "a $b$, as given", "calibrated loss (nats)", "loss (nats)"]
    assert mpl.rcParams["axes.spines.top"]  # the look is not left behind
