"""What the audit reads: files, arrays and frames, as losses of examples or refused in one line."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import tempfile
import unicodedata
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from leakage.audit import audit
from leakage.command_line import BadInput
from leakage.estimates import Losses, mean_by_person
from leakage.files import Columns, read_examples, read_references, read_training
from leakage.scores import losses_of
from leakage.suspicions import refuse_means
from leakage.tables import Notes, listed


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
    ("7 0.53\n8 1.27\n9 0.11\n", {"loss": "2"}),  # as np.savetxt writes
    ("# id loss\n7 0.53\n8 1.27\n9 0.11\n", {}),
    ("tensor(0.5)\n" + LINES, {"header": True}),
    ("epoch1,epoch2\n1,0.53\n1,1.27\n1,0.11\n", {"loss": "epoch2"}),
    ("epoch1,epoch2,loss\n1,1,0.53\n1,1,1.27\n1,1,0.11\n", {}),
    ("epoch 1;epoch 2\n1;0.53\n1;1.27\n1;0.11\n", {"loss": "epoch 2"}),
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
    ("", {}, "is empty"),
    ("loss\n0.5\n", {"loss": "score"}, "no column score"),
    ("loss\n0.5\n", {"id": "name"}, "no column name"),
    ("0.5\n0.6\n", {"group": "g"}, "no column g, but one without a name"),
    ("id,loss,member\n0,0.2,1\n1,0.8,0\n", {}, "--member-column member"),
    ("loss,in\n0.5,train\n", {"member": "in"}, "train"),
    ("loss,g\n0.5,\n0.6,x\n", {"group": "g"}, "1 rows"),
    (",".join(["0.25"] * 3000) + "\n", {}, "3,000 columns"),
    ('"0.5\n0.6\n', {}, "cannot be read"),
    (npz(members=LOSSES, nonmembers=[1.0]), {}, "members, nonmembers"),
    ("img1,0.53\nimg2,0.61\n", {"loss": "2"}, "say --header yes or --header no"),
    ("tensor(0.5)\n0.6\n0.7\n", {}, "header or values"),
    ("tensor(3, device='cuda:0')\n4\n", {}, "header or values"),
    ("0.5 nats\n0.6\n", {}, "header or values"),
    ("50%\n0.6\n", {}, "header or values"),
    ("name;1,5\na;0.5\n", {"loss": "1,5"}, "header or values"),
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


def archive(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as whole:
        for name in names:
            whole.writestr(name, b"\x80\x02}q\x00.")
    return stream.getvalue()


def npy_of_objects():
    stream = io.BytesIO()
    np.save(stream, np.array([{"loss": 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()


FOREIGN = [
    (b"PAR1\x15\x04PAR1", "read_parquet(FILE).to_csv"),
    (b"ARROW1\0\0", "read_feather"),
    (gzip.compress(LINES.encode()), "gunzip"),
    (bz2.compress(LINES.encode()), "bunzip2"),
    (lzma.compress(LINES.encode()), "unxz"),
    (b"\x28\xb5\x2f\xfd1", "unzstd"),
    *((pickle.dumps(np.array(LOSSES), protocol), "pickle") for protocol in range(2, 6)),
    (archive("archive/data.pkl", "archive/data/0"), "torch.load"),
    (archive("[Content_Types].xml", "xl/workbook.xml"), "read_excel"),
    (archive("losses.csv"), "unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1", "read_excel"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"MATLAB 5.0 MAT-file", "loadmat"),
    (b"RDX3\nX\n", "write.csv"),
    (b"SQLite format 3\0", "as a CSV"),
    (b"%PDF-1.7", "as a CSV"),
    (b"\x89PNG\r\n", "as a CSV"),
    ((40).to_bytes(8, "little") + b'{"loss":{"dtype":"F32","shape":[1]}}        1234', "safetensors"),
    (json.dumps(LOSSES), "JSON"),
    (json.dumps({"loss": LOSSES, "val_loss": LOSSES}, indent=1), "JSON"),
    ("".join(json.dumps({"loss": loss}) + "\n" for loss in LOSSES), "JSON in lines"),
    (str(np.array(LOSSES)), "as Python prints"),
    ("<!DOCTYPE html><html></html>", "HTML"),
    ("Epoch 1/10\n32/32 - loss: 0.53 - val_loss: 0.61\n", "each example"),
    ("epoch 1: train loss 0.53\nepoch 2: train loss 0.41\n", "each example"),
    ("Epoch [1/10], Loss: 0.53\n", "each example"),
    ("Epoch 1, loss=0.53, acc=0.7\n", "each example"),
    (npy_of_objects(), "np.array(losses, dtype=float)"),
    (b"\x93NUMPY" + npy(np.zeros(3, "V2"))[6:], "numbers"),  # bfloat16, whose name np.save does not keep
]


@pytest.mark.parametrize(("content", "part"), FOREIGN, ids=[part for _, part in FOREIGN])
def test_other_formats_are_named_with_what_to_do(tmp_path, content, part):
    with pytest.raises(BadInput) as refusal:
        read(tmp_path, content, "losses.csv")
    assert part in str(refusal.value)
    assert len(str(refusal.value)) < 300


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


def test_scores_come_from_files_and_saturated_ones_are_read(tmp_path):
    logits, labels = scores_and_labels()
    pd.DataFrame(logits, columns=list("abcd")).to_csv(tmp_path / "logits.csv")
    np.savetxt(tmp_path / "labels.csv", labels, fmt="%d", header="label")
    frame, remarks = read_one(tmp_path / "logits.csv", labels=tmp_path / "labels.csv")
    np.testing.assert_array_equal(frame["loss"], losses_of(logits, labels))
    assert remarks == []
    confident = (logits + 40 * np.eye(4)[labels]).astype(np.float32)
    confident = np.exp(confident) / np.exp(confident).sum(axis=1, keepdims=True)
    frame, remarks = read_one(confident, labels=labels)
    assert (frame["loss"] == 0).any()
    assert remarks == []  # the audit says it once, of both sides: see leakage.checks.doubts


@pytest.mark.parametrize("side", [0, 1])
def test_probabilities_rounded_below_0_are_probabilities(side):
    """Of a row that still sums to 1; the other side has none of them."""
    logits, labels = scores_and_labels()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rounded = probabilities.copy()
    rounded[3] = [-1e-12, 0.5, 0.25, 0.25]
    whole = np.maximum(rounded, 0)
    sides = [probabilities, probabilities]
    expected = [losses_of(scores, labels) for scores in (*sides[:side], whole, *sides[side + 1 :])]
    sides[side] = rounded
    frame = read_training(sides, labels=[labels, labels])
    np.testing.assert_array_equal(frame["loss"], np.concatenate(expected))
    assert np.isposinf(losses_of(rounded, np.where(np.arange(200) == 3, 0, labels))[3])


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


PROBABILITIES, LABELS = softmax(scores_and_labels()[0]), scores_and_labels()[1]
LOGITS = scores_and_labels()[0]
NUMBERS = np.arange(200.0)


def cell_changed(scores, row, value):
    return np.where(np.arange(scores.size).reshape(scores.shape) == row * scores.shape[1], value, scores)


@pytest.mark.parametrize(
    ("scores", "part"),
    [
        (cell_changed(PROBABILITIES, 5, 0.9 + PROBABILITIES[5, 0]), "row 6"),
        (cell_changed(PROBABILITIES, 5, -1e-12), "row 6"),
        (np.column_stack([NUMBERS, PROBABILITIES]), "--id-column"),
        (np.column_stack([PROBABILITIES, LABELS]), "--id-column"),
        (np.column_stack([PROBABILITIES, -np.log(PROBABILITIES[:, 0])]), "--id-column"),
        (np.column_stack([PROBABILITIES[:, :2], NUMBERS / 7, PROBABILITIES[:, 2:]]), "column 3"),
        (np.column_stack([NUMBERS, LOGITS]), "column 1 "),
        (np.column_stack([LOGITS, LABELS]), "column 5 "),
        (np.round(255 * PROBABILITIES).astype(np.uint8), "whole numbers"),
        (np.round(256 * PROBABILITIES - 128).astype(np.int8), "whole numbers"),
        (np.round(100 * PROBABILITIES, 2), "about 100"),
        (25.5 * PROBABILITIES, "about 25.5"),
        (2 * PROBABILITIES - 0.25, "sum to 1, but"),
        (PROBABILITIES[:, :1] * 100, "per cent"),
        (cell_changed(PROBABILITIES[:, :1], 5, 1.7), "row 6"),
        (PROBABILITIES / 1.1, "about 0.9091"),
        (1 / (1 + np.exp(-LOGITS)), "do not sum to 1"),  # of classes that exclude nothing
        (np.where(LOGITS[5, 2] == LOGITS, np.nan, LOGITS), "row 6, column 3"),
    ],
)
def test_what_is_neither_probabilities_nor_logits_is_refused(scores, part):
    with pytest.raises(BadInput, match=part) as refusal:
        read_training([scores, scores], labels=[LABELS, LABELS])
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    "logits",
    [
        LOGITS - LOGITS.mean(axis=1, keepdims=True),  # sum to 0, as those of a multinomial regression
        LOGITS - LOGITS.mean(axis=1, keepdims=True) + 1,  # or to another number
        LOGITS - LOGITS[:, :1],  # of the other classes, beside one of reference
        np.maximum(LOGITS, 0),
        LOGITS.astype(np.float16),
        np.log(PROBABILITIES),
        LOGITS / 1000,
    ],
)
def test_logits_of_any_kind_are_logits(logits):
    expected = -np.log(softmax(logits.astype(float))[np.arange(200), LABELS])
    np.testing.assert_allclose(read_training([logits, logits], labels=[LABELS] * 2)["loss"][:200], expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_probabilities_of_any_width_are_probabilities(dtype):
    found = read_training([PROBABILITIES.astype(dtype)] * 2, labels=[LABELS] * 2)["loss"]
    np.testing.assert_allclose(np.exp(-found[:200]), PROBABILITIES[np.arange(200), LABELS], atol=1e-3)


def test_both_sides_hold_the_same_kind_of_scores():
    for other in (LOGITS, PROBABILITIES[:, :3] / PROBABILITIES[:, :3].sum(axis=1, keepdims=True)):
        with pytest.raises(BadInput, match="same kind"):
            read_training([PROBABILITIES, other], labels=[LABELS, LABELS % 3])


def test_an_id_beside_scores_is_named_or_refused(tmp_path):
    table = pd.DataFrame(PROBABILITIES, columns=["p0", "p1", "p2", "p3"])
    table.insert(0, "image", np.arange(200))
    table.to_csv(tmp_path / "m.csv", index=False)
    table.assign(image=np.arange(200, 400)).to_csv(tmp_path / "n.csv", index=False)
    files, labels = [tmp_path / "m.csv", tmp_path / "n.csv"], [LABELS, LABELS]
    with pytest.raises(BadInput, match=r"column image .*--id-column"):
        read_training(files, labels=labels)
    frame = read_training(files, Columns(id="image"), labels)
    np.testing.assert_allclose(frame["loss"], np.tile(losses_of(PROBABILITIES, LABELS), 2))
    assert list(frame["id"]) == list(map(str, range(400)))


NAMED = {
    "numbers": ["0", "2", "1", "3"],
    "as text sorts": ["p0", "p10", "p1", "p2"],
    "from 1": ["c1", "c3", "c2", "c4"],
}


@pytest.mark.parametrize("names", NAMED.values(), ids=NAMED)
def test_columns_of_classes_are_taken_by_their_names(tmp_path, names):
    """In any order, told once, and whatever the order of the other side's columns."""
    order = np.argsort([int(name.lstrip("pc")) for name in names])
    table = pd.DataFrame(PROBABILITIES, columns=names)
    table.to_csv(tmp_path / "m.csv", index=False)
    table[[names[place] for place in order]].to_csv(tmp_path / "n.csv", index=False)
    notes = Notes()
    frame = read_training(
        [tmp_path / "m.csv", tmp_path / "n.csv"], Columns(header=True), [LABELS, LABELS], notes=notes
    )
    expected = losses_of(PROBABILITIES[:, order], LABELS)
    np.testing.assert_allclose(frame["loss"], np.tile(expected, 2))
    assert len(notes.remarks) == (names != NAMED["numbers"])  # which the labels themselves say
    assert [found.name for found in notes.inputs[:2]] == [f"{tmp_path}/m.csv", f"{tmp_path}/n.csv"]


def test_labels_may_be_names_of_columns():
    names = np.array(["dog", "cat", "owl", "17"])
    frame = pd.DataFrame(PROBABILITIES, columns=names)
    found = read_training([frame, frame[["17", "cat", "owl", "dog"]]], labels=[names[LABELS]] * 2)
    np.testing.assert_allclose(found["loss"], np.tile(losses_of(PROBABILITIES, LABELS), 2))
    assert list(found["label"][:200]) == list(names[LABELS])
    with pytest.raises(BadInput, match="label bird is no column's name"):
        read_training([frame, frame], labels=[np.where(LABELS == 3, "bird", names[LABELS])] * 2)
    with pytest.raises(BadInput, match="number classes from 0 on"):
        read_training([PROBABILITIES] * 2, labels=[names[LABELS]] * 2)


def test_labels_may_stand_in_the_table_and_be_matched_by_id(tmp_path):
    table = pd.DataFrame(LOGITS, columns=list("abcd")).assign(label=LABELS, member=NUMBERS % 2, id=NUMBERS)
    table.to_csv(tmp_path / "all.csv", index=False)
    table[["id", "label"]].sample(frac=1, random_state=0).to_csv(tmp_path / "labels.csv", index=False)
    columns = Columns(member="member", id="id")
    for scores, labels in (
        (str(tmp_path / "all.csv"), f"{tmp_path}/all.csv:label"),
        (table.drop(columns="label"), tmp_path / "labels.csv"),
    ):
        frame = read_training([scores], columns, [labels])
        np.testing.assert_allclose(frame["loss"], losses_of(LOGITS, LABELS))
        np.testing.assert_array_equal(frame["correct"], LOGITS.argmax(axis=1) == LABELS)
    with pytest.raises(BadInput, match="column label"):
        read_training([table], columns, [LABELS])
    with pytest.raises(BadInput, match="1 examples have no label"):
        read_training([table.drop(columns="label")], columns, [table[["id", "label"]][1:]])


def test_shuffled_labels_show_in_the_accuracy():
    """Which is that of the largest class or less; the report warns of it."""
    labels = LOGITS.argmax(axis=1)
    shuffled = np.random.default_rng(0).permutation(labels)
    right, wrong = (
        read_training([LOGITS] * 2, labels=[given] * 2)["correct"] for given in (labels, shuffled)
    )
    assert right.all()
    assert right.dtype == bool
    assert wrong.mean() < 0.4
    frame = read_training([PROBABILITIES[:, 0]] * 2, labels=[PROBABILITIES[:, 0] > 0.5] * 2)  # of two classes
    assert frame["correct"].all()
    assert set(frame["label"]) == {"0", "1"}


# ---------------------------------------------------------------------------------- ids, groups and persons


def written(values, how):
    """Whole numbers as programs write them."""
    return {
        "integers": [str(value) for value in values],
        "pandas' floats": [f"{value}.0" for value in values],
        "numpy's floats": [f"{value:.18e}" for value in values],
        "five digits": [f"{value:05d}" for value in values],
    }[how]


@pytest.mark.parametrize("how", ["integers", "pandas' floats", "numpy's floats"])
def test_ids_and_groups_are_the_same_however_they_are_written(how):
    ids, losses = list(range(40)), np.random.default_rng(0).exponential(1, 40)
    target = pd.DataFrame({"loss": losses, "id": ids, "kind": np.arange(40) % 3})
    other = target.assign(id=written(range(100, 140), how), kind=written(np.arange(40) % 3, how))
    notes, columns = Notes(), Columns(id="id", group="kind", loss="loss")
    frame = read_training([target, other], columns, notes=notes)
    assert set(frame["group"]) == {"0", "1", "2"}
    assert list(frame["id"]) == [*map(str, ids), *map(str, range(100, 140))]
    assert notes.remarks == []
    inside = np.arange(40) % 2
    reference = pd.DataFrame({"loss": losses, "id": written(ids, how), "kind": 0, "member": inside})
    found, trained = read_references([reference[::-1]], [], frame, columns)
    np.testing.assert_array_equal(found[0, :40], losses)
    np.testing.assert_array_equal(trained[0, :40], inside)
    assert np.isnan(found[0, 40:]).all()


def test_ids_that_do_not_match_are_refused_with_an_example_of_each():
    values = np.random.default_rng(0).exponential(1, 40)
    frame = pd.DataFrame({"loss": values, "member": values > 1, "id": [str(place) for place in range(40)]})
    columns = Columns(id="id")
    for ids, part in (
        (written(range(40), "five digits"), "00000 and 0|0 and 00000"),
        ([f"{place:02d}" for place in range(40)], "00 and 0|0 and 00|01 and 1|1 and 01"),  # 10 to 39 match
        ([f"image {place}" for place in range(40)], "0 there, image 0 here"),
    ):
        reference = pd.DataFrame({"loss": values, "id": ids, "member": values < 2})
        with pytest.raises(BadInput, match=part):
            read_references([reference], [], frame, columns)


@pytest.mark.parametrize(
    ("first", "second", "part"),
    [
        ("f", "F", "in two ways, f and F"),
        ("1", "01", "in two ways, 1 and 01"),
        ("a", "b", "No group has both"),
    ],
)
def test_groups_of_one_kind_are_told(first, second, part):
    sides = [pd.DataFrame({"loss": draws(10), "kind": [name] * 10}) for name in (first, second)]
    columns, notes = Columns(group="kind", loss="loss"), Notes()
    read_training(sides, columns, notes=notes)
    assert part in notes.remarks[0]
    assert f"{first} and {second}" in notes.remarks[0]
    # Fewer rows, or rows of fewer persons, would say who is in the group.
    notes = Notes()
    read_training([side[:9] for side in sides], columns, notes=notes)
    read_training(sides, columns, persons=[[1, *range(9)]] * 2, notes=notes)
    assert len(notes.remarks) == 2
    assert all(part.split(",")[0] in remark and f"{first} and" not in remark for remark in notes.remarks)


def test_persons_stand_in_a_column_or_are_given(tmp_path):
    sides = [
        pd.DataFrame({"loss": [0.1, 0.2, 0.4], "person": [7, 7, 8]}),
        pd.DataFrame({"loss": [0.3, 0.5, 0.6], "person": [8.0, 9.0, 9.0]}),
    ]
    frame = read_training(sides, Columns(loss="loss", person="person"))
    assert list(frame["person"]) == ["7", "7", "8", "8", "9", "9"]
    (tmp_path / "persons.csv").write_text("person,age\n8,40\n9,50\n9,50\n")
    losses = [side["loss"].to_numpy() for side in sides]
    given = read_training(losses, persons=[[7, 7, 8], f"{tmp_path}/persons.csv:person"])
    pd.testing.assert_frame_equal(frame[["loss", "member", "person"]], given[["loss", "member", "person"]])
    refused = [
        ({"persons": [[7, 7, 8], [8, 9, None]]}, "1 rows have nothing in .*row 3"),
        ({"persons": [[7, 7, 8], [8, 9]]}, "3 losses, but 2"),
        ({"persons": [[7, 7, 8]]}, "1 of persons"),
    ]
    for options, part in refused:
        with pytest.raises(BadInput, match=part):
            read_training(losses, **options)
    with pytest.raises(BadInput, match="leave out one"):
        read_training(sides, Columns(loss="loss", person="person"), persons=[[1, 2, 3]] * 2)


def test_repeated_ids_are_refused_with_the_way_on():
    losses = [0.1, 0.2, 0.4]
    once, twice, other = (
        pd.DataFrame({"loss": losses, "name": names})
        for names in (["a", "b", "c"], ["d", "d", "e"], ["c", "f", "g"])
    )
    columns = Columns(loss="loss", id="name")
    for sides, part in (
        ([once, twice], "id d .*--person-column name"),
        ([once, other], "id c .*among members and"),
    ):
        with pytest.raises(BadInput, match=part) as refusal:
            read_training(sides, columns)
        assert len(str(refusal.value)) < 300
        assert read_training(sides, Columns(loss="loss", person="name")).shape == (6, 3)


def test_a_column_of_members_in_both_files_says_what_the_files_say():
    """As whoever splits one table has it; where it says something else, it is refused as before."""
    sides = [pd.DataFrame({"loss": draws(10), "member": [value] * 10}) for value in (1, 0)]
    for members, others in (sides, [sides[0].astype({"member": bool}), sides[1].astype({"member": str})]):
        frame = read_training([members, others])
        assert frame["member"].tolist() == [True] * 10 + [False] * 10
    scores = [
        pd.DataFrame(PROBABILITIES, columns=list("abcd")).assign(member=value) for value in (True, False)
    ]
    assert len(read_training(scores, labels=[LABELS, LABELS])) == 400
    mixed = sides[0].assign(member=[1] * 9 + [0])
    for wrong in (sides[::-1], [sides[0]] * 2, [mixed, sides[1]], [sides[0].assign(member="yes"), sides[1]]):
        with pytest.raises(BadInput, match="--member-column member, or leave that column out"):
            read_training(wrong)


@pytest.mark.parametrize("name", ["person", "Patient ID", "user_id", "author", "id"])
def test_persons_of_whom_nothing_is_said_are_refused(name):
    """Where some have several rows: the case persons_null, whose model leaks nothing."""
    table = pd.DataFrame({name: [1, 1, 2, 3], "loss": [0.1, 0.4, 0.2, 0.3], "in": [1, 1, 0, 0]})
    with pytest.raises(BadInput, match=f"--person-column {name}"):
        read_training([table], Columns(member="in", loss="loss"))
    for columns in (
        Columns(member="in", loss="loss", person=name),
        Columns(member="in", loss="loss", group=name),
    ):
        assert len(read_training([table], columns)) == 4
    columns = Columns(member="in", loss="loss")
    assert len(read_training([table], columns, persons=[table[name]])) == 4
    assert (
        len(read_training([table.assign(who=[1, 1, 2, 2])], Columns(**vars(columns) | {"person": "who"})))
        == 4
    )
    with pytest.raises(BadInput, match="or --group-column for groups"):
        read_training([table], columns)
    table[name] = [1, 2, 3, 4]
    assert "person" not in read_training([table], columns)


def test_persons_named_by_their_column_are_given(tmp_path):
    files = [str(tmp_path / name) for name in ("m.csv", "n.csv")]
    for seed, file in enumerate(files):
        pd.DataFrame({"user_id": np.arange(40) // 2 + 20 * seed, "loss": draws(40, seed)}).to_csv(file)
    frame = read_training(files, persons=[f"{file}:user_id" for file in files])
    assert frame["person"].nunique() == 40


@pytest.mark.parametrize("role", ["id", "group", "person"])
def test_one_letter_is_one_letter_and_names_of_nothing_are_names(tmp_path, role):
    """Accents as macOS writes them, apart from their letters; people called None or Nan, and Namibia."""
    names = ["caf\u00e9", "None", "nan", "NA", "<NA>", "null"]
    (tmp_path / "m.csv").write_text(
        "loss,p\u00e9rte\n" + "".join(f"0.{len(name)},{name}\n" for name in names)
    )
    apart = [unicodedata.normalize("NFD", name) for name in names]
    (tmp_path / "n.csv").write_text("loss,pe\u0301rte\n" + "".join(f"0.2,{name}\n" for name in apart))
    files, columns = [tmp_path / "m.csv", tmp_path / "n.csv"], Columns(**{role: "p\u00e9rte", "loss": "loss"})
    if role == "id":
        with pytest.raises(BadInput, match="the id caf\u00e9 stands there twice, among members and"):
            read_training(files, columns)
        [frame] = read_examples(files[1:], columns)
        assert list(frame["id"]) == names
    else:
        assert list(read_training(files, columns)[role]) == [*names, *names]


def test_refusals_have_their_names_and_numbers(tmp_path):
    """An empty file, a label that is missing in an array without a name, one of a thing."""
    for content in (b"", b" \n\n"):
        with pytest.raises(BadInput, match="file: is empty; "):
            read(tmp_path, content)
    scores, labels = scores_and_labels(20)
    with pytest.raises(BadInput, match="2 rows have nothing in it, first row 1;"):
        read_one(scores, labels=np.append([np.nan, np.nan], labels[2:]))
    frame = pd.DataFrame({"loss": draws(30), "member": np.arange(30) < 15})
    with pytest.raises(BadInput, match="losses of 1 reference, but"):
        read_references([draws(30)], [], frame, Columns())
    for word in ("none", "None", " NONE"):
        assert not read_references([draws(30)], [word], frame, Columns())[1].any()
    few = Losses(draws(20), draws(20), member_persons=[0] * 20, nonmember_persons=np.arange(1, 21))
    with pytest.raises(BadInput, match="only 1 person is a member, or a non-member, with all their rows"):
        mean_by_person(few)


@pytest.mark.parametrize(
    ("source", "columns", "part"),
    [
        ("", {}, "name of a file is empty"),
        ("{0}", {"loss": ""}, "name of a column is empty"),
        ("{0}:", {}, "name of a column is empty"),
        ("{0}", {"loss": "b", "group": "c"}, "2 rows have nothing in c, first row 1"),
        ("{0}", {"loss": "loss"}, "'\\u200bloss'"),
    ],
)
def test_empty_names_and_hidden_letters_are_told(tmp_path, source, columns, part):
    (tmp_path / "m.csv").write_text("\u200bloss,b,c\n0.1,2,\n0.2,2,\n")
    with pytest.raises(BadInput) as refusal:
        read_one(source.format(tmp_path / "m.csv"), Columns(**columns))
    assert part in str(refusal.value)


# ------------------------------------------------------------------------- what is no loss of an example


def draws(n=300, seed=0):
    return np.random.default_rng(seed).exponential(1, n)


def batched(size, n=898, seed=0):
    losses = draws(n, seed)
    return np.concatenate(
        [np.full(len(batch), batch.mean()) for batch in np.split(losses, range(size, n, size))]
    )


@pytest.mark.parametrize("size", [2, 32, 64, 200])
def test_means_of_batches_are_refused(size):
    """Of either side, of float32, in any order; and in a reference."""
    losses = batched(size).astype(np.float32)
    for sides in ([losses, draws()], [draws(), losses]):
        with pytest.raises(BadInput, match=r"means of batches.*each example"):
            read_training(sides)
    frame = pd.DataFrame({"loss": draws(898), "member": draws(898) < 1})
    with pytest.raises(BadInput, match=r"a reference .*means of batches"):
        read_references([losses], ["none"], frame, Columns())
    shuffled = np.random.default_rng(1).permutation(losses)
    if size < 200:
        with pytest.raises(BadInput, match="means of batches"):
            read_training([shuffled, draws()])


def test_two_batches_are_told():
    notes = Notes()
    read_training([batched(600), draws()], notes=notes)
    assert "means of batches" in notes.remarks[0]
    # Not so one value for all, nor a few that stand apart.
    notes = Notes()
    refuse_means(np.full(300, 0.5), "members", notes)
    refuse_means(np.append(np.random.default_rng(0).permutation(batched(600)), 7.0), "members", notes)
    assert notes.remarks == []


def test_a_loss_of_each_person_in_all_their_rows_is_no_mean_of_a_batch():
    """Sorted by person or not; what stands in rows of two persons is refused. In references too."""
    whose = np.repeat(np.arange(60), 5)
    losses, order = draws(60)[whose], np.random.default_rng(0).permutation(300)
    for place in (np.arange(300), order):
        sides = [
            pd.DataFrame({"loss": losses[place] + side, "who": whose[place] + 60 * side}) for side in (0, 1)
        ]
        notes = Notes()
        examples = read_training(sides, Columns(loss="loss", person="who"), notes=notes)
        assert notes.remarks == []
        read_references([examples["loss"]], ["none"], examples, Columns())
        shared = [side.assign(who=np.where(side["who"] < 3, np.arange(300), side["who"])) for side in sides]
        with pytest.raises(
            BadInput, match="members have 60 different values, each 5 times: means of batches"
        ):
            read_training(shared, Columns(loss="loss", person="who"))
        with pytest.raises(BadInput, match="if each record stands there 5 times, keep one"):
            read_training([side["loss"] for side in sides])
    nobody = examples.assign(person="somebody").drop(columns="person")
    with pytest.raises(BadInput, match="a reference"):
        read_references([examples["loss"]], ["none"], nobody, Columns())
    two = [np.repeat(draws(2, seed), 300) for seed in (0, 1)]
    notes = Notes()
    read_training(two, persons=[np.repeat([0, 1], 300), np.repeat([2, 3], 300)], notes=notes)
    assert not any("together" in remark for remark in notes.remarks)


@pytest.mark.parametrize("values", [(1, 0), (0.31, 0.52), (0, 0), (np.inf, np.inf)])
def test_one_value_for_all_is_refused(values):
    with pytest.raises(BadInput, match=r"same value.*not the mean"):
        read_training([np.full(50, value) for value in values])
    table = pd.DataFrame({"loss": np.repeat(values, 50), "in": np.repeat([1, 0], 50)})
    with pytest.raises(BadInput, match="same value"):
        read_training([table], Columns(member="in"))
    read_training([np.full(50, values[0]), draws()])  # a model may be sure of all its members


def test_losses_of_few_values_are_no_means_of_batches():
    """Those of neighbours and trees: none of 600 draws, sorted or not, is refused."""
    generator = np.random.default_rng(0)
    for n in (20, 50, 1000):
        for levels in range(2, 12):
            for _ in range(10):
                losses = -np.log(generator.integers(1, levels + 1, n) / levels)
                for values in (losses, np.sort(losses)):
                    refuse_means(values, "members", Notes())
    refuse_means(np.repeat([0, 0.5, 1], 20), "members", Notes())  # sorted, and as many of each by accident


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (pd.DataFrame({"loss": draws(), "val_loss": draws()}), "training log"),
        (pd.DataFrame({"loss": draws(600), "Val_accuracy": draws(600)}), "training log"),
        (pd.DataFrame({"loss": draws(500), "val_f1": draws(500)}), "training log"),
        (pd.DataFrame({"epoch": range(300), "loss": draws()}), "training log"),
        (pd.DataFrame({"Step": range(0, 3000, 10), "Value": draws()}), "training log"),
        (
            pd.DataFrame({"epoch": np.arange(300) // 100, "name": range(300), "loss": draws()}),
            "several epochs",
        ),
        (pd.DataFrame({"": [*range(299), "mean"], "loss": draws()}), "row 300 is called mean"),
        (pd.DataFrame({"id": [*range(299), "Total"], "loss": draws()}), "called Total"),
        (pd.DataFrame({"loss": draws()}).describe().reset_index(), "called max"),
        (pd.DataFrame({"loss": np.append(draws(), draws().mean())}), "mean of the others"),
        (pd.DataFrame({"loss": np.append(draws(), draws().sum())}), "sum of the others"),
        (pd.DataFrame({"loss": np.append(draws(), draws().mean()).astype(np.float32)}), "mean of the others"),
        (np.append(draws(), np.float32(draws().mean())), "mean of the others"),
    ],
)
@pytest.mark.parametrize("form", ["frame", "file"])
def test_logs_and_summaries_are_refused(tmp_path, table, part, form):
    columns = Columns(
        loss="Value" if "Value" in table else "loss" if isinstance(table, pd.DataFrame) else None
    )
    if form == "file":
        table = pd.DataFrame(table, columns=["loss"]) if isinstance(table, np.ndarray) else table
        columns = Columns(loss=columns.loss or "loss")
        table.to_csv(tmp_path / "m.csv", index=False)
        table = tmp_path / "m.csv"
    with pytest.raises(BadInput, match=part) as refusal:
        read_one(table, columns)
    assert len(str(refusal.value)) < 300
    assert str(refusal.value).endswith(", or say --as-given")
    notes = Notes(as_given=True)
    [frame] = read_examples([table], columns, notes=notes)
    if isinstance(table, pd.DataFrame):
        assert len(frame) == len(table)
    assert f"Taken as given: {str(refusal.value).removesuffix(', or say --as-given')}." == notes.taken[0]


def test_what_is_taken_as_given_is_read_and_told():
    """Every check that refuses: nothing is silent."""
    notes = Notes(as_given=True)
    table = pd.DataFrame(
        {"loss": draws(), "val_loss": draws(), "step": range(300), "user": np.arange(300) // 2}
    )
    table["kind"] = [*["x"] * 299, "total"]
    table.loc[299, "loss"] = table["loss"][:299].mean()
    read_examples([table.assign(epoch=[1, 2] * 150)], Columns(loss="loss"), notes=notes)
    refuse_means(batched(32), "members", notes)
    read_training([np.full(50, 1.0), np.full(50, 2.0)], notes=notes)
    parts = (
        "val_loss",
        "counts the rows",
        "user repeats",
        "several epochs",
        "called total",
        "is the mean",
        "batches",
        "same value",
    )
    assert len(notes.taken) == len(parts)
    for part, told in zip(parts, notes.taken, strict=True):
        assert told.startswith("Taken as given: ") and part in told
    with pytest.raises(BadInput, match="missing"):  # what is no suspicion is refused all the same
        read_examples([[0.5, np.nan]], notes=notes)


def test_a_value_near_the_mean_is_the_mean_of_the_others_by_no_accident():
    """Of 2,000 draws none is refused, whose spread is a 700th of the mean; the mean itself always is, and of
    a usual spread also as float32."""
    generator = np.random.default_rng(0)
    for draw in generator.normal(0.693, 0.001, (2000, 30)):
        read_one(draw)
        with pytest.raises(BadInput, match="mean of the others"):
            read_one(np.append(draw, draw.mean()))
    for spread in (0.01, 0.1, 0.5):
        for draw in generator.normal(0.693, spread, (50, 30)):
            with pytest.raises(BadInput, match="mean of the others"):
                read_one(np.append(draw, np.float32(draw.mean())))
    with pytest.raises(BadInput, match="sum of the others"):
        read_one(np.append(np.full(20, 0.5), 10.0))
    with warnings.catch_warnings(action="error"):
        read_one(np.zeros(20))


def test_what_resembles_logs_and_summaries_is_read():
    for name in ("val_id", "val_fold", "Val_Number", "val_account"):
        read_one(pd.DataFrame({name: np.arange(300) % 7, "loss": draws()}), Columns(loss="loss"))
    read_one(pd.DataFrame({"val_margin": draws(501), "loss": draws(501)}), Columns(loss="loss"))
    # Segments of an EEG, and steps of a series, are named as what they are.
    for name, values in (("epoch", np.arange(300) % 100), ("step", np.arange(300))):
        series = pd.DataFrame({name: values, "loss": draws()})
        with pytest.raises(BadInput, match=r"name it by .*--group-column"):
            read_one(series, Columns(loss="loss"))
        assert len(read_training([series, series], Columns(loss="loss", group=name))) == 600
    read_one(pd.DataFrame({"epoch": 10, "loss": draws()}), Columns(loss="loss"))
    read_one(pd.DataFrame({"step": range(300), "loss": draws()}), Columns(loss="loss", id="step"))
    words = [*(f"word {place}" for place in range(298)), "mean", "mean"]
    read_one(pd.DataFrame({"word": words, "loss": draws()}), Columns(loss="loss"))
    with warnings.catch_warnings(action="error"):
        for sign in (1, -1):  # their sum is infinite
            read_one(np.append(sign, draws()) / 10 * sign * 1e308)
    with pytest.raises(BadInput, match="mean of the others"):
        read_one(np.append(draws(), draws().mean()) * 1e307)
    read_one([0, 1] * 10 + [0.5, 0.5])  # the mean of the others, but one of the values


def test_values_that_fall_are_told():
    notes = Notes()
    read_training([np.exp(-np.arange(40) / 10) + 0.01 * draws(40), draws()], notes=notes)
    assert "training log" in notes.remarks[0]
    notes = Notes()
    for seed in range(300):
        refuse_means(draws(20, seed), "members", notes)
    refuse_means(np.exp(-np.arange(501) / 10), "members", notes)  # more than a log has epochs
    assert notes.remarks == []


# ---------------------------------------------------------------------------------- objects, pipes and names


class Refusing:
    """As a tensor of torch that has a gradient, when numpy asks."""

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


class Detached:
    """As one of torch, in a dtype that numpy has or has not."""

    def __init__(self, values, dtype="torch.float32"):
        self.values, self.dtype, self.attached = np.asarray(values), dtype, True

    def detach(self):
        self.attached = False
        return self

    def cpu(self):
        return self

    def float(self):
        self.dtype = "torch.float32"
        return self

    def __array__(self, *_, **__):
        if self.attached or self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


class Frame:
    """As a data frame of polars, or a table of Arrow."""

    def __init__(self, columns):
        self.columns, self.values = list(columns), columns

    def __getitem__(self, name):
        return self.values[name]


def test_tensors_and_frames_of_others_are_read():
    mapping = {"loss": LOSSES, "member": [True, False, True]}
    for source in (Frame(mapping), mapping, pd.DataFrame(mapping)):
        frame = read_training([source], Columns(member="member"))
        assert list(frame["loss"]) == LOSSES
        assert list(frame["member"]) == mapping["member"]
    for source in (
        Detached(LOSSES),
        Detached(LOSSES, "torch.bfloat16"),
        [Detached(loss) for loss in LOSSES],
        pd.Series(LOSSES, dtype="Float64"),
    ):
        assert list(read_one(source)[0]["loss"]) == LOSSES
    half = pytest.importorskip("ml_dtypes").bfloat16
    np.testing.assert_allclose(read_one(np.array(LOSSES, half))[0]["loss"], LOSSES, rtol=0.01)


def test_those_of_the_libraries_themselves():
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"loss": LOSSES, "member": [True, False, True], "kind": ["a", "b", "a"]})
    frame = read_training([table], Columns(member="member", group="kind"))
    assert list(frame["loss"]) == LOSSES
    assert list(frame["group"]) == ["a", "b", "a"]
    with pytest.raises(BadInput, match="not computed yet"):
        read_one(table.lazy())
    with pytest.raises(BadInput, match="1 of 4"):
        read_one(polars.Series([*LOSSES, None]))
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        losses = torch.tensor(LOSSES, requires_grad=True, dtype=dtype)
        np.testing.assert_allclose(read_one(losses)[0]["loss"], LOSSES, rtol=0.01)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ([[0.1, 0.2], [0.3]], "its rows have different lengths; one number for each example"),
        ([Detached([0.1, 0.2]), Detached([0.3])], "its rows have different lengths"),
        (Refusing(), "requires grad"),
        ([Refusing(), Refusing()], "requires grad"),
        (None, "no rows"),
        ({0.5, 0.6}, "no rows"),
        ((loss for loss in LOSSES), "no rows"),
        ({"loss": [[0.1], [0.2, 0.3]]}, "different lengths"),
        (Frame({"loss": Refusing()}), "requires grad"),
        (
            np.ma.masked_array(LOSSES, [False, True, False]),
            "1 of 3 losses are missing or NaN, first in row 2",
        ),
        (pd.Series([0.5, None], dtype="Float64"), "1 of 2"),
        (pd.DataFrame({"loss": pd.array([0.5, None], dtype="Float64")}), "1 of 2"),
        (pd.Series([0.5, "high"]), "high"),
        (pd.Series(pd.to_datetime(["2024-01-01", "2024-01-02"])), "not numbers"),
        (np.array([(0.5, 1)], dtype=[("loss", float), ("id", int)]), "not numbers"),
        (np.array(np.nan), "missing"),
        (b"losses", "losses"),
        (pd.DataFrame(), "0 columns"),
        ({}, "0 columns"),
        ([], "shape"),
    ],
)
def test_what_is_no_array_of_losses_is_refused(source, part):
    with pytest.raises(BadInput, match=part) as refusal:
        read_one(source)
    assert len(str(refusal.value)) < 300


def test_one_source_or_none_is_a_list():
    assert list(listed(None)) == []
    for source in ("a.npy", Path("a.npy"), {"loss": LOSSES}):
        assert listed(source) == [source]
    assert listed(["a", "b"]) == ["a", "b"]


def test_inputs_are_kept_with_their_digests_also_from_a_pipe(tmp_path):
    (tmp_path / "a.csv").write_text(LINES)
    read_end, write_end = os.pipe()
    os.write(write_end, LINES.encode())
    os.close(write_end)
    notes = Notes()
    pipe = f"/dev/fd/{read_end}"
    for source in (tmp_path / "a.csv", str(tmp_path / "a.csv"), pipe):
        [frame] = read_examples([source], notes=notes)
        assert list(frame["loss"]) == LOSSES
    os.close(read_end)
    digest = hashlib.sha256(LINES.encode()).hexdigest()
    kept = [(found.name, found.size, found.sha256) for found in notes.inputs]
    assert kept == [(str(tmp_path / "a.csv"), len(LINES), digest), (pipe, len(LINES), digest)]


def test_a_file_whose_name_is_no_utf8_is_audited(tmp_path):
    files = [tmp_path / os.fsdecode(name) for name in (b"caf\xe9.npy", b"caf\xe8.npy")]
    for seed, file in enumerate(files):
        np.save(file, draws(30, seed))
    audit(*files, output=tmp_path / "audit")
    with pytest.raises(BadInput) as refusal:
        read_one(f"{files[0]}x")
    assert "\udce9" not in str(refusal.value)


# --------------------------------------------------------------------------------------- anything, at random

VALUES = st.one_of(
    st.floats(),
    st.integers(-3, 300),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.sampled_from(["0", "1", "0.0", "1e+01", "nan", "mean", pd.NA, np.float16(2), complex(1)]),
)
DTYPES = st.sampled_from(["f8", "f4", "f2", "i1", "u1", "i8", "?", "O", "U", "c8", "M8[s]", "S"])


def read_or_refused(*arguments):
    """The examples, or None where they are refused in a short line; whatever else is raised is a fault."""
    try:
        return read_training(*arguments)
    except BadInput as refusal:
        assert len(str(refusal)) < 300
        return None


@FUZZING
@given(st.lists(st.lists(VALUES, max_size=25), min_size=2, max_size=2), DTYPES)
def test_any_lists_and_arrays_are_read_or_refused(sides, dtype):
    read_or_refused(sides)
    try:
        with np.errstate(over="ignore"):
            arrays = [np.array(side, dtype=dtype) for side in sides]
    except (ValueError, TypeError, OverflowError):
        return
    frame = read_or_refused(arrays)
    if frame is not None:
        np.testing.assert_array_equal(frame["loss"], np.concatenate(arrays).astype(float))


@FUZZING
@given(st.data())
def test_any_scores_and_labels_are_read_or_refused(data):
    """And a loss that is read is the one of softmax, or of the probability."""
    n, classes = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 4))
    cells = st.one_of(st.floats(-3, 3), st.sampled_from([0, 1, 0.5, 0.25, 100, np.inf, -np.inf, np.nan]))
    numbers = data.draw(st.lists(cells, min_size=2 * n * classes, max_size=2 * n * classes))
    scores = np.array(numbers, float).reshape(2, n, classes)
    if data.draw(st.booleans()) and n * classes and np.isfinite(scores).all():
        scores = np.stack([softmax(side) for side in scores])
    labels = np.array(data.draw(st.lists(st.integers(-1, 4), min_size=2 * n, max_size=2 * n))).reshape(2, n)
    frame = read_or_refused(list(scores), None, list(labels))
    if frame is not None and np.isfinite(scores).all() and classes > 1:
        scores, labels = scores.reshape(-1, classes), labels.ravel().astype(int)
        true = scores[np.arange(2 * n), labels]
        expected = [-np.log(np.clip(true, 1e-300, 1)), -np.log(softmax(scores)[np.arange(2 * n), labels])]
        found = frame["loss"].to_numpy()
        assert any(np.allclose(found, losses, atol=1e-9) for losses in expected) or np.isinf(found).any()


@FUZZING
@given(st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES, VALUES), max_size=25), st.booleans())
def test_any_table_with_all_columns_is_read_or_refused(rows, with_references):
    table = pd.DataFrame(rows, columns=["loss", "member", "id", "group", "person"], dtype=object)
    columns = Columns(member="member", id="id", group="group", person="person", loss="loss")
    frame = read_or_refused([table], columns)
    if frame is not None:
        assert len(frame) == len(rows)
        assert frame["id"].is_unique
        try:
            report = audit(
                table,
                column="loss",
                **{f"{role}_column": role for role in ("member", "id", "group", "person")},
            )
            assert report["verdict"]
        except BadInput as refusal:
            assert len(str(refusal)) < 300
    if with_references:
        examples = pd.DataFrame({"loss": draws(20), "member": draws(20) < 1, "id": list(map(str, range(20)))})
        try:
            losses, trained = read_references([table], [], examples, columns)
            assert losses.shape == trained.shape == (1, 20)
        except BadInput as refusal:
            assert len(str(refusal)) < 300


TWO_USES = [
    *[{"member_column": "member", f"{role}_column": "member"} for role in ("group", "person", "id")],
    *[{"member_column": "member", f"{role}_column": "loss"} for role in ("group", "person", "id")],
    {"member_column": "member", "column": "member"},
    {"member_column": "member", "column": "age", "group_column": "age"},
    {"member_column": "member", "id_column": "name", "person_column": "name"},
    {"member_column": "member", "persons": ":loss"},
    {"member_column": "member", "persons": ""},  # the column of losses is the only one that it could be
    {"member_column": "member", "id_column": "name", "labels": ":name"},
    {"member_column": "member", "labels": ":member"},
]


@pytest.mark.parametrize("options", TWO_USES)
def test_one_column_cannot_be_two_things(options, tmp_path):
    generator = np.random.default_rng(4)
    columns = {"loss": generator.exponential(1, 40), "member": np.arange(40) % 2, "age": 30 + np.arange(40)}
    path = tmp_path / "table.csv"
    pd.DataFrame(columns | {"name": [f"n{row}" for row in range(40)]}).to_csv(path, index=False)
    files = {key: f"{path}{options[key]}" for key in ("persons", "labels") if key in options}
    with pytest.raises(BadInput, match="one column cannot be two things") as refusal:
        audit(str(path), **options | files)
    assert len(refusal.value.shown()) < 300
    with pytest.raises(BadInput, match="1 file and 0 of labels"):
        audit(str(path))


def test_a_column_called_loss_may_be_a_group_where_another_holds_the_losses():
    generator = np.random.default_rng(4)
    table = {"nll": generator.exponential(1, 40), "member": np.arange(40) % 2, "loss": ["a", "b"] * 20}
    found = audit(pd.DataFrame(table), column="nll", member_column="member", group_column="loss")
    assert found["groups"]["by"] == "loss"


def test_the_losses_file_is_not_that_of_the_persons_too(tmp_path):
    for name in ("members", "others"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(len(name)).exponential(1, 30))
    files = [str(tmp_path / f"{name}.npy") for name in ("members", "others")]
    with pytest.raises(BadInput, match="one column cannot be two things"):
        audit(*files, persons=files)


ROWS = st.tuples(
    st.sampled_from([0.1, 0.2, 0.25, 1.0, 1.5, np.inf]),
    st.booleans(),
    st.sampled_from("xy"),
    st.sampled_from("ABCDEFGH"),
    st.sampled_from([0.1, 0.3, np.inf]),
)


@FUZZING
@given(st.lists(ROWS, min_size=2, max_size=60), st.booleans(), st.booleans(), st.booleans())
def test_any_few_examples_are_audited_or_refused(rows, of_persons, in_groups, with_references):
    """Few of them, tied and infinite losses, persons on both sides, groups of one: no number is missing, and
    nothing is raised but a refusal in one line."""
    table = pd.DataFrame(rows, columns=["loss", "member", "group", "person", "reference"])
    options = {"references": [table.pop("reference")], "reference_members": "none"}
    try:
        report = audit(
            table,
            column="loss",
            member_column="member",
            group_column="group" if in_groups else None,
            person_column="person" if of_persons else None,
            as_given=True,
            **(options if with_references else {}),
        )
    except BadInput as refusal:
        assert len(str(refusal)) < 300
        assert table["member"].nunique() < 2
        return
    assert "nan" not in json.dumps(report["verdict"]).lower()
    for training in report["trainings"]:
        for attack in training.values():
            if isinstance(attack, dict) and "auc" in attack:
                for measure in ("auc", "advantage", "chance_advantage", "heldout_advantage"):
                    assert attack[measure] is not None
