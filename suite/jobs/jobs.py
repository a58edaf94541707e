"""Long jobs: each result is kept at once and whole when it is finished, and how far they are is shown.

A result's file is named by its key, a digest of all that the result depends on. So what has been done before
is not done again, and a run that was killed loses no more than the jobs it was at.
"""

import io
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from leakage.output import write_whole
from suite.jobs.code import key_of
from suite.jobs.progress import State, progress
from suite.support.command_line import BadInput

Workers = Callable[[], AbstractContextManager[Executor]]


class Job(NamedTuple):
    """`work` is called with a function that it calls after each step; it returns a dict of arrays, and of
    lists and dicts of numbers and texts. `key` gives the digest of all that the result depends on, versions
    of libraries included; it is asked again by the worker, where another version gives another key. `cost` is
    about that of one step, in seconds of one core; `size` about that of the result, in bytes."""

    name: str
    key: Callable[[], str]
    steps: int
    cost: float
    size: int
    work: Callable[[Callable[[], None]], dict]


def question_job(name: str, question: partial, libraries: Sequence[str]) -> Job:
    """A job that finds something out from kept results: `question`, a function of this project with its
    arguments, some of which read the results. These are known by their keys, which stand in their text; a
    function among the arguments is known by its code."""
    functions = [
        question.func,
        *(argument for argument in question.args if isinstance(argument, FunctionType)),
    ]
    recipe = repr([argument for argument in question.args if argument not in functions])
    code = [f"{function.__module__}.{function.__qualname__}" for function in functions]
    return Job(name, partial(key_of, recipe, code, libraries), steps=1, cost=1, size=10**6, work=question)


class Kept(NamedTuple):
    """A finished job's file, and its key."""

    path: Path
    key: str

    def read(self) -> dict:
        """What the job returned."""
        with np.load(self.path) as file:  # a zip archive, whose checksums are compared
            held = {name: file[name] for name in file.files}
        if str(held.pop("key")) != self.key:
            raise ValueError("its key is another")
        return json.loads(str(held.pop("rest"))) | held


def run_jobs(
    what: str,
    jobs: list[Job],
    folder: Path,
    workers: Workers,
    done: Callable[[str, dict], None] = lambda name, result: None,
) -> dict[str, Kept]:
    """Does those of the jobs that `folder` does not hold yet, and keeps their results there, by name.

    what: the plural of what the jobs are, for the console. workers: called if any is missing, for the
    executor that does them. done: called with the name and the result of each new one.
    """
    kept = {}
    for job in jobs:
        key = job.key()
        kept[job.name] = Kept(folder / f"{job.name}-{key[:16]}.npz", key)
    # The longest first, so that no long one is left over at the end while other workers are idle.
    missing = sorted(
        (job for job in jobs if not _is_whole(kept[job.name])), key=lambda job: -job.steps * job.cost
    )
    print(f"{len(jobs) - len(missing)} of {len(jobs)} {what} kept from before, {len(missing)} to do")
    if not missing:
        return kept
    needed, free = sum(job.size for job in missing), shutil.disk_usage(folder).free
    if free < needed:
        raise BadInput(
            f"{folder} has room for {free / 1e6:,.0f} MB, {what} need {needed / 1e6:,.0f}; make room"
        )
    began, finished = time.perf_counter(), set()
    with tempfile.TemporaryDirectory() as folder_of_steps, workers() as executor:
        scratch = Path(folder_of_steps)

        def states() -> list[State]:
            """A job on another machine is seen when it is finished."""
            steps = [job.steps if job.name in finished else _size(scratch / job.name) for job in missing]
            return [
                State(job.name, done, job.steps, job.cost) for job, done in zip(missing, steps, strict=True)
            ]

        with progress(states):
            futures = {executor.submit(_work, job, kept[job.name].key, scratch): job for job in missing}
            for future in as_completed(futures):
                result, job = future.result(), futures.pop(future)
                place = kept[job.name]
                write_whole(place.path, _to_bytes(result, place.key))
                finished.add(job.name)
                done(job.name, result)
    print(f"{what} took {tqdm.format_interval(time.perf_counter() - began)}")
    return kept


def _work(job: Job, key: str, scratch: Path) -> dict:
    """In the worker: does the job, and lengthens a file by a byte for each step done."""
    if job.key() != key:
        raise BadInput(
            f"a worker on {platform.node()} has other versions of the libraries or of this project; install "
            "the same everywhere, and start the workers anew"
        )

    def lengthen(by: bytes) -> None:
        with suppress(OSError), (scratch / job.name).open("ab") as file:  # no such folder on another machine
            file.write(by)

    lengthen(b"")
    return job.work(lambda: lengthen(b"."))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _to_bytes(result: dict, key: str) -> bytes:
    arrays = {name: value for name, value in result.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in result.items() if name not in arrays}
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(key), rest=np.array(json.dumps(rest)), **arrays)
    return buffer.getvalue()


def _is_whole(kept: Kept) -> bool:
    """Whether there is such a file, and all of it; a damaged one is named."""
    if not kept.path.exists():
        return False
    try:
        kept.read()
    except Exception as problem:  # zipfile, zlib, numpy and json raise many kinds
        tqdm.write(f"{kept.path} is damaged ({problem}) and will be made again", file=sys.stderr)
        return False
    return True
