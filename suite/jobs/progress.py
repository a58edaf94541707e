"""The progress of long jobs: one line on standard error, with the time left first."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tqdm import tqdm

WATCH_SECONDS = 0.5
LINE_SECONDS = 5  # between two lines where standard error is no terminal but a file, a pipe or a notebook
START_SECONDS = 4.0  # of a job before its first step: loading, building, compiling
TRUSTED_SECONDS = 30.0  # of measured work: the jobs' foreseen costs weigh as much as this


class State(NamedTuple):
    """How far one job is. done: its finished steps, None if it has not begun. steps: all of its steps. cost:
    the seconds that a step should take on one core."""

    name: str
    done: int | None
    steps: int
    cost: float

    @property
    def running(self) -> bool:
        """Whether the job has begun and is not finished."""
        return self.done is not None and self.done < self.steps

    @property
    def work(self) -> float:
        """The seconds that the whole job should take on one core."""
        return self.steps * self.cost + self.start

    @property
    def work_done(self) -> float:
        """The seconds that the finished steps should have taken on one core."""
        return self.done * self.cost + self.start if self.done else 0.0

    @property
    def start(self) -> float:
        """The seconds before the first step. A job of one step computes statistics and loads nothing."""
        return START_SECONDS if self.steps > 1 else 0.0


def seconds_left(states: Sequence[State], seconds: float, cores: int) -> float:
    """The seconds that the rest takes at the speed measured so far; at first, by the jobs' foreseen costs.

    seconds: since the first job began. cores: the number of jobs at a time, at least 1.
    """
    done = sum(state.work_done for state in states)
    speed = (TRUSTED_SECONDS + done) / (TRUSTED_SECONDS / cores + seconds)
    return (sum(state.work for state in states) - done) / speed


def progress_line(states: Sequence[State], seconds: float, cores: int, width: int) -> str:
    """The time left and gone, the steps, and as many names of running jobs as fit into `width` letters.

    seconds, cores: see seconds_left; with 0 cores nothing has begun.
    """
    steps = sum(state.done or 0 for state in states)
    gone = tqdm.format_interval(seconds)
    if not cores:
        return f"{gone} gone, the first processes are starting"
    left = tqdm.format_interval(seconds_left(states, seconds, cores))
    line = f"{left} left, {gone} gone, step {steps} of {sum(state.steps for state in states)}"
    running = [f"{state.name} {state.done}/{state.steps}" for state in states if state.running]
    for place, words in enumerate(running):
        more = ", ..." if place < len(running) - 1 else ""
        longer = f"{line}{', ' if place else ': '}{words}"
        if len(longer) + len(more) > width:
            return f"{line}{', ...' if place else ''}"
        line = longer
    return line


@contextmanager
def progress(states: Callable[[], Sequence[State]]) -> Iterator[None]:
    """A context that shows the progress of jobs until it ends.

    states: called again and again; returns how far each job is.
    """
    # tqdm keeps the line below all other output, and removes it at the end.
    bar = tqdm(bar_format="{desc}", leave=False, disable=not sys.stderr.isatty())
    every = LINE_SECONDS if bar.disable else WATCH_SECONDS
    stop = threading.Event()

    def watch() -> None:
        cores, began = 0, time.perf_counter()
        while not stop.wait(every):
            now = states()
            # Of a job on another machine the steps are not seen, only the end.
            cores = max(cores, sum(state.running for state in now), any(state.done for state in now))
            columns = shutil.get_terminal_size().columns
            line = progress_line(now, time.perf_counter() - began, cores, columns - 1)
            if bar.disable:
                print(line, file=sys.stderr, flush=True)
            else:
                bar.set_description_str(line)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        bar.close()
