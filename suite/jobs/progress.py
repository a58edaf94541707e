"""How far long jobs are: one line on standard error, what matters first."""

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
TRUSTED_SECONDS = 30.0  # of work, that the jobs' own costs count for, beside what is measured


class State(NamedTuple):
    """How far one job is: steps done, None if it has not begun; steps in all; seconds a step should take."""

    name: str
    done: int | None
    steps: int
    cost: float

    @property
    def running(self) -> bool:
        return self.done is not None and self.done < self.steps

    @property
    def work(self) -> float:
        """Seconds of one core that all of it should take."""
        return self.steps * self.cost + self.start

    @property
    def work_done(self) -> float:
        return self.done * self.cost + self.start if self.done else 0.0

    @property
    def start(self) -> float:
        """What comes before the first step; a job of one step is a question, and has nothing to load."""
        return START_SECONDS if self.steps > 1 else 0.0


def seconds_left(states: Sequence[State], seconds: float, cores: int) -> float:
    """How long the rest takes, by the speed so far; at first, by what the jobs are foreseen to cost.

    seconds: since the first job began. cores: how many jobs are worked on at a time.
    """
    done = sum(state.work_done for state in states)
    speed = (TRUSTED_SECONDS + done) / (TRUSTED_SECONDS / cores + seconds)
    return (sum(state.work for state in states) - done) / speed


def progress_line(states: Sequence[State], seconds: float, cores: int, width: int) -> str:
    """Time left, time gone, steps, and as many of the running jobs' names as have room in `width` letters."""
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
    """A context that shows how far the jobs are, again and again until it ends.

    states: called for how far they are.
    """
    # tqdm keeps the line below whatever else is printed, and knows how to wipe it out.
    bar = tqdm(bar_format="{desc}", leave=False, disable=not sys.stderr.isatty())
    every = LINE_SECONDS if bar.disable else WATCH_SECONDS
    stop = threading.Event()

    def watch() -> None:
        cores, began = 0, time.perf_counter()
        while not stop.wait(every):
            now = states()
            # Steps on another machine are not seen, but that a job is finished is.
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
