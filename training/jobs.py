"""Runs long jobs side by side, keeps each result at once and whole, and shows how far they are.

A job's file is named by its key, a digest of all that the result depends on. So what has been done before is
read, not done again, and a run that was killed loses no more than the jobs it was at.
"""

import io
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from tqdm import tqdm

from support.command_line import BadInput
from support.files import write_whole

WATCH_SECONDS = 0.5
DASK_SECONDS = 20  # that a cluster's scheduler, or a first worker, may take to answer


class Job(NamedTuple):
    """`work` is called with a function that it calls after each epoch; it returns a dict of arrays, and of
    lists and dicts of numbers and texts. `key` gives the digest of all that the result depends on, library
    versions included, as it is where it is called. `cost` is that of one epoch, in any unit."""

    name: str
    key: Callable[[], str]
    epochs: int
    cost: float
    work: Callable[[Callable[[], None]], dict]


def run_jobs(
    jobs: list[Job],
    folder: Path,
    workers: int,
    dask: str | None = None,
    done: Callable[[dict], None] = lambda _: None,
) -> dict[str, dict]:
    """The results of all jobs by name; those that `folder` does not hold yet are worked on and kept there.

    workers: how many at a time, each in a process of its own; with `dask`, the address of a scheduler, its
    workers are used instead. done: called with each new result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = {job.name: job.key() for job in jobs}
    paths = {name: folder / f"{name}-{key[:16]}.npz" for name, key in keys.items()}
    results = {name: _read(paths[name], key) for name, key in keys.items()}
    # The longest first, so that no long one is left over at the end while other workers are idle.
    missing = sorted(
        (job for job in jobs if results[job.name] is None), key=lambda job: -job.epochs * job.cost
    )
    if missing:
        with tempfile.TemporaryDirectory() as scratch, _progress(missing, Path(scratch)):
            for name, result in _outcomes(missing, keys, Path(scratch), workers, dask):
                write_whole(paths[name], _to_bytes(result, keys[name]))
                results[name] = _read(paths[name], keys[name])
                done(results[name])
    return results


def _outcomes(
    jobs: list[Job], keys: dict[str, str], scratch: Path, workers: int, dask: str | None
) -> Iterator[tuple[str, dict]]:
    """The results as they come, from joblib's processes or from a Dask cluster."""
    if dask:
        yield from _outcomes_of_cluster(jobs, keys, scratch, dask)
        return
    # Joblib's own pool, because joblib.Parallel runs a single worker's jobs in this process, where Ctrl-C
    # would wait for the end of an epoch. The workers are started with Ctrl-C ignored, which they inherit:
    # it is this process that ends them.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pool = get_reusable_executor(max_workers=min(workers, len(jobs)))
        futures = [pool.submit(_work, job, keys[job.name], scratch, os.getpid()) for job in jobs]
    finally:
        signal.signal(signal.SIGINT, handler)
    try:
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise BadInput(
            "a training process was killed, perhaps for want of memory; try fewer --jobs"
        ) from None
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _outcomes_of_cluster(
    jobs: list[Job], keys: dict[str, str], scratch: Path, address: str
) -> Iterator[tuple[str, dict]]:
    try:
        import distributed
        from joblib._dask import DaskDistributedBackend
    except ImportError:
        raise BadInput("--dask needs distributed; install requirements-dask.txt") from None

    class Cluster(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs: int) -> int:
            # Where it is 1, joblib.Parallel would do the work in this process, not on the one worker.
            return max(2, super().effective_n_jobs(n_jobs))

        def submit(self, func: Callable, callback: Callable[[object], None]) -> Future:
            # joblib calls back for results alone, and would wait for ever for a job whose workers died.
            future = super().submit(func, callback)
            future.add_done_callback(lambda done: done.exception() and callback(done.exception()))
            return future

    where = f"the Dask scheduler at {address}"
    try:
        client = distributed.Client(address, timeout=DASK_SECONDS)
    except (OSError, ValueError) as problem:
        raise BadInput(f"{where} does not answer ({problem}); start one, or mend the address") from None
    with client:
        try:
            # Without a worker, or with one that cannot import this project, Dask would wait for ever.
            client.wait_for_workers(1, timeout=DASK_SECONDS)
            client.submit(_process).result(timeout=DASK_SECONDS)
        except (TimeoutError, ImportError, RuntimeError) as problem:
            raise BadInput(
                f"{where} has no worker that answers within {DASK_SECONDS} s ({type(problem).__name__}); "
                "start both in this project's folder with PYTHONPATH=."
            ) from None
        # All are dispatched at the start, so that a worker that joins later gets some too.
        parallel = joblib.Parallel(
            backend=Cluster(client=client),
            pre_dispatch="all",
            batch_size=1,
            return_as="generator_unordered",
        )
        try:
            yield from parallel(joblib.delayed(_work)(job, keys[job.name], scratch, None) for job in jobs)
        except distributed.KilledWorker:
            raise BadInput(f"workers of {where} were killed, perhaps for want of memory") from None
        except CancelledError:
            raise BadInput(f"{where} is gone; what is finished is kept") from None


def _process() -> int:
    """A task that takes no time: a worker's answer that it is there."""
    return os.getpid()


def _work(job: Job, key: str, scratch: Path, parent: int | None) -> tuple[str, dict]:
    """In the worker: does the job, and lengthens a file by a byte for each epoch done."""
    if job.key() != key:
        raise BadInput(
            f"a worker on {platform.node()} has other versions of the libraries; install the same everywhere"
        )
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        # TensorFlow's start-up messages come from C++ and know no other switch. Errors come as exceptions.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.__stderr__.fileno())

    def lengthen(by: bytes) -> None:
        with suppress(OSError), (scratch / job.name).open("ab") as file:  # no such folder on another machine
            file.write(by)

    lengthen(b"")
    return job.name, job.work(lambda: lengthen(b"."))


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, even if that was killed and could not say so."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


@contextmanager
def _progress(jobs: list[Job], scratch: Path) -> Iterator[None]:
    """A line on standard error: epochs done of all, which jobs run, time left."""
    bar = tqdm(
        total=sum(job.epochs * job.cost for job in jobs),
        bar_format="{desc} {percentage:3.0f}%, {elapsed} gone, {remaining} left",
        mininterval=WATCH_SECONDS if sys.stderr.isatty() else 20,
        dynamic_ncols=True,
    )
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(WATCH_SECONDS):
            lengths = [_size(scratch / job.name) for job in jobs]
            running = [
                f"{job.name} {length}/{job.epochs}"
                for job, length in zip(jobs, lengths, strict=True)
                if length is not None and length < job.epochs
            ]
            epochs = [length or 0 for length in lengths]
            bar.set_description_str(
                f"epochs {sum(epochs)}/{sum(job.epochs for job in jobs)} ({', '.join(running)})",
                refresh=False,
            )
            bar.update(sum(done * job.cost for job, done in zip(jobs, epochs, strict=True)) - bar.n)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        bar.close()


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


def _read(path: Path, key: str) -> dict | None:
    """What a file holds; None if there is no such file, or if it is damaged, which is said."""
    if not path.exists():
        return None
    try:
        with np.load(path) as file:  # a zip archive, whose checksums are compared
            held = {name: file[name] for name in file.files}
        if str(held.pop("key")) != key:
            raise ValueError("its key is another")
        return json.loads(str(held.pop("rest"))) | held
    except Exception as problem:  # zipfile, zlib, numpy and json raise many kinds
        tqdm.write(f"{path} is damaged ({problem}) and will be made again", file=sys.stderr)
        return None
