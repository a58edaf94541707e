"""Calls of functions, made side by side; each result is kept in a file, whole, as soon as it is finished.

The file's name holds the result's key, a digest of all that the result depends on. So no call is made twice,
even if the folder was moved, and a run that was killed loses only the calls that it was working on.
"""

import io
import json
import platform
import shutil
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from tqdm import tqdm

from suite.jobs.code import forget_digests, key_of, name_of, refuse_code_that_differs
from suite.jobs.progress import State, progress
from suite.jobs.workers import cluster, processes
from suite.support.command_line import BadInput
from suite.support.output import writable_folder, write_whole

# What zipfile, zlib, numpy and json raise if a file is not as it was written.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError, struct.error)


class Kept(NamedTuple):
    """The file of a finished call, and its key. As an argument of another call it stands for its content."""

    path: Path
    key: str

    def read(self) -> dict:
        """What the call returned. Raises OSError if the file cannot be read, one of DAMAGE if damaged."""
        with np.load(self.path) as file:  # a zip archive, whose checksums are compared
            content = {name: file[name] for name in file.files}
        if str(content.pop("key")) != self.key:
            raise ValueError("its key is another")
        return json.loads(str(content.pop("rest"))) | content


@dataclass(frozen=True)
class Call:
    """A function of this project, to be called with `arguments`.

    The function returns a dict of arrays, and of lists and dicts of numbers and texts.

    name: another one for each call of a list; the result's file begins with it. arguments: kept results among
    them, or in lists and tuples among them, are read before the call. recipe: what the result depends on
    beside the function's code and the libraries' versions, as JSON can hold it; None: the arguments.
    libraries: the packages whose versions count. steps: the number of steps, if the function reports each by
    calling its last argument, `step_done`; else 0. cost: seconds of one step on one core, or of the whole
    call if it has no steps, roughly. size: bytes of the result, roughly.
    """

    name: str
    function: Callable[..., dict]
    arguments: tuple = ()
    recipe: object = None
    libraries: tuple[str, ...] = ()
    steps: int = 0
    cost: float = 1.0
    size: int = 10**6

    @property
    def work(self) -> float:
        """The seconds that the call should take on one core."""
        return max(self.steps, 1) * self.cost


class _Task(NamedTuple):
    """A call as a worker gets it, with all that its key is made of: the worker makes the key again and
    compares."""

    call: Call
    code: str
    recipe: object
    key: str

    @property
    def file_name(self) -> str:
        return f"{self.call.name}-{self.key[:16]}.npz"


def _identity(argument: object) -> object:
    """What stands for an argument in a key, as JSON can hold it: for a kept result its key, not its path."""
    if isinstance(argument, Kept):
        return argument.key
    if is_dataclass(argument):
        return [type(argument).__name__, asdict(argument)]
    if isinstance(argument, list | tuple):
        return [_identity(part) for part in argument]
    if argument is None or isinstance(argument, str | int | float):
        return argument
    raise TypeError(f"an argument of type {type(argument).__name__} has no identity; give the call a recipe")


def _contents(argument: object) -> object:
    """The argument, with each kept result replaced by its content."""
    if isinstance(argument, Kept):
        return argument.read()
    if type(argument) in (list, tuple):
        return [_contents(part) for part in argument]
    return argument


class Lab:
    """Makes calls in processes on this machine, or on a Dask cluster, and keeps every result in a folder.

    To be used as a context. folders: where kept results are looked for; new results go into the first of them
    that can be written. jobs: the number of processes. dask: the address of a Dask cluster's scheduler, or
    None.
    """

    def __init__(self, folders: Sequence[Path], jobs: int, dask: str | None = None) -> None:
        self.folders = list(folders)
        self.jobs = jobs
        self.dask = dask
        self._open = ExitStack()

    @cached_property
    def kept_in(self) -> Path:
        """The folder for new results, chosen when the first call is missing. If it is not the first folder,
        the console says so. Raises BadInput if none can be written."""
        folder = writable_folder(self.folders, "set PRIVACY_CACHE to another")
        if folder != self.folders[0]:
            print(f"new results are kept in {folder}, as {self.folders[0]} cannot be written")
        return folder

    def __enter__(self) -> Self:
        forget_digests()
        self._here = self._open.enter_context(processes(self.jobs))
        return self

    def __exit__(self, *problem: object) -> bool | None:
        return self._open.__exit__(*problem)

    def do(
        self,
        what: str,
        calls: Sequence[Call],
        *,
        on_cluster: bool = False,
        done: Callable[[str, dict], None] = lambda name, result: None,
    ) -> dict[str, Kept]:
        """Makes the calls whose results are not kept yet, and returns all results by the calls' names.

        what: what the calls are, in the plural, for the console. on_cluster: whether the cluster makes them,
        if there is one. done: called with the name and the content of each new result. Raises BadInput if the
        disk has too little room or a worker has other code, and ValueError if two calls have one name.
        """
        tasks = [_task(call) for call in calls]
        kept, missing = {}, []
        for task in tasks:
            whole = self._whole_file(task)
            if whole is None:
                missing.append(task)
            kept[task.call.name] = whole or Kept(self.kept_in / task.file_name, task.key)
        if len(kept) < len(calls):
            raise ValueError(f"two {what} of one name, of which one would be taken for the other")
        if not missing:
            return kept
        # The longest first: else a long one could run alone at the end, while the other workers are idle.
        missing.sort(key=lambda task: -task.call.work)
        kept_before = len(calls) - len(missing)
        print(f"{what}: {kept_before} of {len(calls)} kept from before, {len(missing)} to do")
        self._refuse_a_full_disk(what, sum(task.call.size for task in missing))
        began = time.perf_counter()
        with self._executor(on_cluster) as executor:
            self._make(missing, kept, executor, done)
        print(f"{what} took {tqdm.format_interval(time.perf_counter() - began)}")
        return kept

    def _whole_file(self, task: _Task) -> Kept | None:
        """The task's result in the first folder that has it complete, or None."""
        places = [Kept(folder / task.file_name, task.key) for folder in self.folders]
        return next((place for place in places if is_whole(place)), None)

    def _refuse_a_full_disk(self, what: str, needed: int) -> None:
        free = shutil.disk_usage(self.kept_in).free
        if free < needed:
            room = f"{self.kept_in} has room for {free / 1e6:,.0f} MB"
            raise BadInput(f"{room}, {what} need {needed / 1e6:,.0f}; make room")

    @contextmanager
    def _executor(self, on_cluster: bool):
        if on_cluster and self.dask:
            with cluster(self.dask) as executor:
                yield executor
        else:
            yield self._here

    def _make(
        self,
        tasks: Sequence[_Task],
        kept: Mapping[str, Kept],
        executor: Executor,
        done: Callable[[str, dict], None],
    ) -> None:
        """Has the executor make the calls, keeps each result as it comes, and shows the progress."""
        finished: set[str] = set()
        with tempfile.TemporaryDirectory() as folder_of_steps:
            scratch = Path(folder_of_steps)

            def states() -> list[State]:
                """A call on another machine is seen only when it is finished."""
                return [_state(task.call, task.call.name in finished, scratch) for task in tasks]

            with progress(states):
                futures = {executor.submit(_work, task, scratch): task for task in tasks}
                for future in as_completed(futures):
                    result, task = future.result(), futures.pop(future)
                    place = kept[task.call.name]
                    write_whole(place.path, _to_bytes(result, place.key))
                    finished.add(task.call.name)
                    done(task.call.name, result)


def is_whole(kept: Kept) -> bool:
    """Whether the file is there and complete. A damaged file is reported on the console and deleted.

    A file that this user may not read counts as absent. Raises BadInput if it cannot be read for another
    reason, such as too little memory, because it may be whole.
    """
    try:
        kept.read()
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # what this user may not read is absent
        return False
    except (OSError, MemoryError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem) or "too little memory"
        raise BadInput(f"cannot read {kept.path}: {reason}; see that it can be read, or delete it") from None
    except DAMAGE as problem:
        tqdm.write(f"{kept.path} is damaged ({problem}) and will be made again", file=sys.stderr)
        with suppress(OSError):  # in a folder that cannot be written it stays, unused
            kept.path.unlink()
        return False
    return True


def _task(call: Call) -> _Task:
    """The call with its key; BadInput if this process runs other code than the files say."""
    code = name_of(call.function)
    refuse_code_that_differs(code, call.function.__globals__)
    recipe = _identity(list(call.arguments)) if call.recipe is None else call.recipe
    return _Task(call, code, recipe, key_of(recipe, code, call.libraries))


def _state(call: Call, finished: bool, scratch: Path) -> State:
    """How far a call is. Its worker writes a byte into a file for each step."""
    steps = max(call.steps, 1)
    done = steps if finished else _size(scratch / call.name)
    return State(call.name, done, steps, call.cost)


def _work(task: _Task, scratch: Path) -> dict:
    """In the worker: makes the call, and adds a byte to a file after each step."""
    try:
        # The worker may have started before its files were changed.
        refuse_code_that_differs(task.code, task.call.function.__globals__)
        same = key_of(task.recipe, task.code, task.call.libraries) == task.key
    except BadInput:
        same = False
    if not same:
        raise BadInput(
            f"a worker on {platform.node()} has other versions of the libraries or of this project; install "
            "the same everywhere, and start the workers anew"
        )

    def lengthen(by: bytes) -> None:
        with suppress(OSError), (scratch / task.call.name).open("ab") as file:  # not on another machine
            file.write(by)

    lengthen(b"")
    arguments = [_contents(argument) for argument in task.call.arguments]
    if task.call.steps:
        arguments.append(lambda: lengthen(b"."))
    return task.call.function(*arguments)


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
