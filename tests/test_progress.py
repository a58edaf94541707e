"""suite/jobs/progress.py: is the time left near the truth, and does the line fit?"""

import io
import itertools
import sys
import time

import pytest

from suite.jobs.progress import START_SECONDS, TRUSTED_SECONDS, State, progress, progress_line, seconds_left

JOBS = (("cnn", 40, 11.0), *((f"dense{number}", 40, 1.1) for number in range(9)))  # name, steps, cost


def simulated(slowness):
    """(seconds, what seconds_left says) every five seconds, and when the last job is done: one after another,
    each step `slowness` times as long as was foreseen."""
    begun, plan = 0.0, []
    for name, steps, cost in JOBS:
        plan.append((begun, begun + START_SECONDS * slowness, name, steps, cost))
        begun += (START_SECONDS + steps * cost) * slowness

    def done(second, taken, first_step, steps, cost):
        return None if second < taken else min(max(0, int((second - first_step) // (cost * slowness))), steps)

    told = []
    for second in range(5, int(begun), 5):
        states = [
            State(name, done(second, *times, steps, cost), steps, cost) for *times, name, steps, cost in plan
        ]
        told.append((second, seconds_left(states, second, cores=1)))
    return told, begun


@pytest.mark.parametrize("slowness", [0.5, 1, 3])
def test_the_time_left_is_within_a_quarter_of_the_truth_over_the_second_half(slowness):
    """On a machine that is faster or slower than foreseen."""
    told, end = simulated(slowness)
    for second, left in told:
        if second >= end / 2 and end - second > 10:
            assert left == pytest.approx(end - second, rel=0.25)


def test_a_first_guess_is_what_the_jobs_are_foreseen_to_cost():
    states = [State("a", 0, 10, 2.0), State("b", None, 10, 2.0)]
    assert seconds_left(states, 0, cores=1) == pytest.approx(2 * (START_SECONDS + 20))
    assert seconds_left(states, 0, cores=2) == pytest.approx(START_SECONDS + 20)


@pytest.mark.parametrize("slowness", [0.5, 1, 3])
def test_the_time_left_never_jumps_by_a_factor_of_two(slowness):
    told, end = simulated(slowness)
    for (_, before), (second, after) in itertools.pairwise(told):
        if end - second > 20:
            assert 0.5 < after / before < 2


def test_a_call_of_one_step_has_nothing_to_load():
    assert State("a question", 0, 1, 5.0).work == 5
    assert State("a training", 0, 2, 5.0).work == 10 + START_SECONDS


def test_after_long_the_speed_is_what_was_measured():
    states = [State("a", 500, 1000, 1.0)]
    seconds = 2 * (500 + START_SECONDS)  # twice as slow as foreseen
    assert 0.05 * seconds > TRUSTED_SECONDS
    assert seconds_left(states, seconds, cores=1) == pytest.approx(2 * 500, rel=0.05)


def test_the_line_says_time_first_and_keeps_whole_names():
    running = [State("cnn4_10c-10", 3, 40, 11.0), State("dense4_10c_12k-11", 12, 40, 1.0)]
    waiting = [State("dense4_4c_5k-11", None, 40, 1.0)]
    for width in (60, 79, 100):
        line = progress_line([*running, *waiting], 65, 2, width)
        assert len(line) <= width
        assert line.startswith("0")
        assert " left, 01:05 gone, step 15 of 120" in line
    assert line.endswith(": cnn4_10c-10 3/40, dense4_10c_12k-11 12/40")
    assert progress_line([*running, *waiting], 65, 2, 79).endswith(": cnn4_10c-10 3/40, ...")


def test_until_a_job_has_begun_the_line_says_what_it_waits_for():
    assert (
        progress_line([State("a", None, 4, 1.0)], 3, 0, 79) == "00:03 gone, the first processes are starting"
    )


def test_where_there_is_no_terminal_lines_are_printed(monkeypatch):
    monkeypatch.setattr("suite.jobs.progress.LINE_SECONDS", 0.05)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress(lambda: [State("a", 2, 4, 1.0)]):
        time.sleep(0.3)
    lines = sys.stderr.getvalue().splitlines()
    assert len(lines) >= 2
    assert all(line.endswith("step 2 of 4: a 2/4") for line in lines)
    time.sleep(0.1)
    assert sys.stderr.getvalue().splitlines() == lines  # it has ended
