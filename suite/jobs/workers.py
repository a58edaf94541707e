"""Two executors of calls: processes on this machine, and the workers of a Dask cluster."""

import asyncio
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from loky import get_reusable_executor

from suite.support.command_line import BadInput

WATCH_SECONDS = 0.5
DASK_SECONDS = 15  # that a cluster's scheduler, or a first worker, may take to answer


class _Shielded(Executor):
    """Passes calls on to an executor whose processes start within `submit`.

    Meanwhile Ctrl-C is ignored. The new processes inherit that, so that only the parent handles Ctrl-C and
    ends them. Signals can be set in the main thread only.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def submit(self, function: Callable, /, *arguments, **options) -> Future:
        if threading.current_thread() is not threading.main_thread():
            return self.executor.submit(function, *arguments, **options)
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return self.executor.submit(function, *arguments, **options)
        finally:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """A context with an executor of `workers` processes on this machine.

    They start with the first call. They end with the context, or when this process is killed. Raises BadInput
    if they cannot be started, if one of them was killed, or if there is too little memory for a call or for
    what this process does in the context.
    """
    # TensorFlow writes a file for each function that it compiles; a killed process leaves them behind.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        try:
            pool = get_reusable_executor(
                max_workers=workers,
                timeout=None,
                initializer=_quiet_child,
                initargs=(os.getpid(),),
                # Else loky replaces a process after one job, since TensorFlow and the images take 300 MB.
                env={"LOKY_MAX_MEMORY_LEAK_SIZE": "1e12", "TMPDIR": scratch},
            )
        except OSError as problem:  # no semaphores, because /dev/shm is full or cannot be written
            raise BadInput(
                f"no processes can be started: {problem}; see that /dev/shm can be written"
            ) from None
        try:
            yield _Shielded(pool)
        except BrokenExecutor:
            raise BadInput(
                "a process was killed, perhaps for want of memory; what is finished is kept; try fewer --jobs"
            ) from None
        except MemoryError:
            raise BadInput("too little memory; what is finished is kept; try fewer --jobs") from None
        finally:
            pool.shutdown(wait=True, kill_workers=True)


def _quiet_child(parent: int) -> None:
    """In a new process: discards what C++ code prints, and watches whether the parent still runs."""
    # Nothing else silences TensorFlow's start-up messages. Errors still come as exceptions.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.__stderr__.fileno() if sys.__stderr__ else 2)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process when its parent has ended, even if the parent was killed."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """A context with an executor of all workers of a Dask cluster, including those that join later.

    address: of the cluster's scheduler. Raises BadInput if distributed is missing, if the scheduler or a
    first worker does not answer within DASK_SECONDS, or if workers were killed.
    """
    try:
        import distributed
    except ImportError:
        raise BadInput("--dask needs distributed: pip install -r requirements/dask.txt") from None

    async def kind() -> str:
        async with distributed.rpc(address) as server:
            return (await server.identity())["type"]

    async def kind_in_time() -> str:
        # The client's own time-out leaves out the handshake: at a silent port it would wait for ever.
        return await asyncio.wait_for(kind(), DASK_SECONDS)

    where = f"the Dask scheduler at {address}"
    mend = "start one, or name the address that `dask scheduler` prints first"
    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook runs an event loop in this thread
            found = thread.submit(asyncio.run, kind_in_time()).result()
        if found != "Scheduler":
            raise BadInput(f"at {address} there is a Dask {found.lower()}, no scheduler; {mend}")
        client = distributed.Client(address, timeout=DASK_SECONDS, set_as_default=False)
    except TimeoutError:
        raise BadInput(f"{where} does not answer within {DASK_SECONDS} s; {mend}") from None
    except (OSError, ValueError) as problem:
        if isinstance(problem, BadInput):
            raise
        raise BadInput(f"{where} does not answer ({problem}); {mend}") from None
    with client:
        try:
            # Without a worker, or with one that cannot import this project, Dask would wait for ever.
            client.wait_for_workers(1, timeout=DASK_SECONDS)
            client.submit(_answer).result(timeout=DASK_SECONDS)
        except (TimeoutError, ImportError, RuntimeError) as problem:
            raise BadInput(
                f"{where} has no worker that answers within {DASK_SECONDS} s ({type(problem).__name__}); "
                "start both in this project's folder with PYTHONPATH=."
            ) from None
        executor = client.get_executor(pure=False)
        try:
            yield executor
        except distributed.KilledWorker:
            raise BadInput(
                f"workers of {where} were killed, perhaps for want of memory; what is finished is kept"
            ) from None
        except CancelledError:
            raise BadInput(f"{where} is gone; what is finished is kept") from None
        finally:
            executor.shutdown(wait=False)


def _answer() -> str:
    """A task that takes no time. Its result shows that a worker is there."""
    return platform.node()
