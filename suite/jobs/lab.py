"""Calls made side by side, and kept: each result at once and whole when it is finished.

A result's file is named by its key, a digest of all that the result depends on. So what has been done before
is not done again, wherever its folder has been moved to, and a run that was killed loses no more than the
calls it was at.
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

# What zipfile, zlib, numpy and json raise at a file that is not what was written.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError, struct.error)


class Kept(NamedTuple):
    """A finished call's file, and its key. As an argument of another call it stands for what it holds."""

    path: Path
    key: str

    def read(self) -> dict:
        """What the call returned."""
        with np.load(self.path) as file:  # a zip archive, whose checksums are compared
            content = {name: file[name] for name in file.files}
        if str(content.pop("key")) != self.key:
            raise ValueError("its key is another")
        return json.loads(str(content.pop("rest"))) | content


@dataclass(frozen=True)
class Call:
    """A function of this project, to be called with `arguments`.

    It returns a dict of arrays, and of lists and dicts of numbers and texts.

    Kept results among the arguments, or in lists and tuples among them, are read before the call. recipe:
    what the result depends on beside the function's code and the libraries' versions, for JSON; None: the
    arguments. libraries: those whose versions count. steps: how many the function takes, if it says so by
    calling its last argument, `step_done`, after each; 0 if it does not. cost: about that of one step, or of
    the whole call, in seconds of one core. size: about that of the result, in bytes.
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
        """Seconds of one core that it should take."""
        return max(self.steps, 1) * self.cost


class _Task(NamedTuple):
    """A call as a worker gets it: everything that its key is made of, to be compared with what is there."""

    call: Call
    code: str
    recipe: object
    key: str

    @property
    def file_name(self) -> str:
        return f"{self.call.name}-{self.key[:16]}.npz"


def _identity(argument: object) -> object:
    """What an argument is to a key, for JSON: kept results are known by their keys, wherever they lie."""
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
    """The argument, with what kept results hold in their place."""
    if isinstance(argument, Kept):
        return argument.read()
    if type(argument) in (list, tuple):
        return [_contents(part) for part in argument]
    return argument


class Lab:
    """Where calls are made: in processes here, trainings perhaps on a cluster, all kept in a folder.

    To be used as a context. folders: where kept results are looked for; new ones go into the first that can
    be written. jobs: processes at a time. dask: address of the scheduler of a Dask cluster, or None.
    """

    def __init__(self, folders: Sequence[Path], jobs: int, dask: str | None = None) -> None:
        self.folders = list(folders)
        self.jobs = jobs
        self.dask = dask
        self._open = ExitStack()

    @cached_property
    def kept_in(self) -> Path:
        """The folder of new results, looked for when there is one; says so if it is not the first."""
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
        """Makes those of the calls whose results are not kept yet, and returns all results by name.

        what: the plural of what the calls are, for the console. on_cluster: whether the cluster makes them,
        if there is one. done: called with the name and the result of each new one.
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
        # The longest first, so that no long one is left over at the end while other workers are idle.
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
        """The first folder's file that holds the result, all of it, or None."""
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
        """Has the executor work on the tasks, keeps each result when it comes, and shows how far they are."""
        finished: set[str] = set()
        with tempfile.TemporaryDirectory() as folder_of_steps:
            scratch = Path(folder_of_steps)

            def states() -> list[State]:
                """A call on another machine is seen when it is finished."""
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
    """Whether there is such a file, and all of it; a damaged one is named.

    What cannot be read at the moment, for want of rights or memory, is not called damaged.
    """
    try:
        kept.read()
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # what must not be read is not there
        return False
    except OSError as problem:
        reason = problem.strerror or problem
        raise BadInput(f"cannot read {kept.path}: {reason}; see that it can be read, or delete it") from None
    except DAMAGE as problem:
        tqdm.write(f"{kept.path} is damaged ({problem}) and will be made again", file=sys.stderr)
        with suppress(OSError):  # in a folder that cannot be written it stays, and is looked past
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
    """How far a call is, by the length of the file that its worker writes."""
    steps = max(call.steps, 1)
    done = steps if finished else _size(scratch / call.name)
    return State(call.name, done, steps, call.cost)


def _work(task: _Task, scratch: Path) -> dict:
    """In the worker: makes the call, and lengthens a file by a byte for each step done."""
    try:
        # A worker may have begun before its files were changed.
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
