"""What the audit reads: files, arrays and frames, as losses of examples or refused in one line."""

import io
import tempfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from leakage.command_line import BadInput
from leakage.files import Columns, read_examples
from leakage.scores import losses_of
from leakage.tables import Notes


def npy(*arrays):
    stream = io.BytesIO()
    for array in arrays:
        np.save(stream, np.asarray(array))
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def read_one(source, columns=None, labels=None):
    """The examples of one source, and the remarks on it."""
    notes = Notes()
    [frame] = read_examples([source], columns, [] if labels is None else [labels], notes=notes)
    return frame, notes.remarks


def read(tmp_path, content, name="file", labels=None, **columns):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_one(path, Columns(**columns), labels)


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
        np.testing.assert_array_equal(read_one(path)[0]["loss"], losses, err_msg=path.name)


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
        assert list(read_one(source)[0]["loss"]) == LOSSES


def test_no_column_of_a_frame_is_dropped_for_its_name():
    with pytest.raises(BadInput, match="same name"):
        read_one(pd.DataFrame([[0.5, 0.6]], columns=["loss", "loss"]))


def test_a_colon_names_an_array_or_a_column(tmp_path):
    (tmp_path / "several.npz").write_bytes(npz(members=LOSSES, nonmembers=[1.0]))
    (tmp_path / "several.csv").write_text("a,b\n0.53,1\n1.27,2\n0.11,3\n")
    assert list(read_one(f"{tmp_path}/several.npz:members")[0]["loss"]) == LOSSES
    assert list(read_one(f"{tmp_path}/several.csv:a")[0]["loss"]) == LOSSES


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
        read_one(str(tmp_path / name))
    assert len(str(refusal.value)) < 300


def losses_or_one_line(content, **columns):
    """The losses in a file of these bytes, or None if it is refused, which must be in one short line."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            return read_one(file.name, Columns(**columns))[0]["loss"].to_numpy()
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
        read_one(scores, labels=np.array(labels))


def test_scores_come_from_files_and_saturated_ones_are_told(tmp_path):
    logits, labels = scores_and_labels()
    pd.DataFrame(logits, columns=list("abcd")).to_csv(tmp_path / "logits.csv")
    np.savetxt(tmp_path / "labels.csv", labels, fmt="%d", header="label")
    frame, remarks = read_one(tmp_path / "logits.csv", labels=tmp_path / "labels.csv")
    np.testing.assert_array_equal(frame["loss"], losses_of(logits, labels))
    assert remarks == []
    confident = (logits + 40 * np.eye(4)[labels]).astype(np.float32)
    confident = np.exp(confident) / np.exp(confident).sum(axis=1, keepdims=True)
    _, remarks = read_one(confident, labels=labels)
    assert "saturated" in remarks[0]
