"""suite/jobs/lab.py and workers.py: what is kept, what is done again, and what Ctrl-C and a kill leave.

The calls are fakes, named as such: they sleep where a real one trains.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from suite.jobs import lab as lab_module
from suite.jobs import workers
from suite.jobs.lab import Call, Lab
from suite.sources.cifar10 import DataNotFound
from suite.support import output
from suite.support.command_line import BadInput

ROOT = Path(__file__).resolve().parents[1]
LEAVE_SECONDS = 2.0  # that Ctrl-C may take
OFFSET = 0  # of fake_answer


def fake_work(number, pids, seconds, step_done):
    """A fake of a training: notes its process, sleeps through three steps."""
    (pids / f"{os.getpid()}-{number}-{time.time_ns()}").touch()
    for _ in range(3):
        time.sleep(seconds / 3)
        step_done()
    return {"number": number, "third": number / 3, "gap": float("nan"), "losses": np.arange(number) / 3}


def fake_answer(numbers, results, pids):
    """A fake of a finding: what was kept of others comes as what they returned."""
    Path(pids, f"{os.getpid()}-{len(results)}-{time.time_ns()}").touch()
    return {"sum": OFFSET + sum(numbers) + sum(result["number"] for result in results)}


def fake_death(step_done):
    os.kill(os.getpid(), signal.SIGKILL)


def fake_error(step_done):
    raise BadInput("a fake of a training that cannot be")


def fake_want_of_memory(step_done):
    raise MemoryError


def fake_want_of_images(step_done):
    """As a worker on a machine without CIFAR-10 says it."""
    raise DataNotFound("no source could give it:\n  - a host: silent")


def another_offset():
    """For a worker that began before this file was changed."""
    import tests.test_lab

    tests.test_lab.OFFSET = 1


def fake_calls(folder, seconds=0.0):
    pids = folder / "pids"
    pids.mkdir(exist_ok=True)
    return [
        Call(
            f"job{number}",
            fake_work,
            (number, pids, seconds),
            recipe=["fake", number],
            libraries=("numpy",),
            steps=3,
            cost=number,
            size=1000,
        )
        for number in range(1, 6)
    ]


def run(folder, calls, count=2, *, cells=(), dask=None, **options):
    """All results, made in `count` processes here or by a Dask cluster, and kept in folder/cells."""
    with Lab(cells or [folder / "cells"], count, dask) as lab:
        kept = lab.do("fakes", calls, on_cluster=dask is not None, **options)
    return {name: result.read() for name, result in kept.items()}


@pytest.fixture
def in_threads(monkeypatch):
    """Makes the calls in threads of this process, which start at once, where it does not matter who does."""
    monkeypatch.setattr(lab_module, "processes", ThreadPoolExecutor)


def assert_equal(first, second):
    assert list(first) == list(second)
    for name, result in first.items():
        assert np.array_equal(result["losses"], second[name]["losses"])
        rest = [{key: repr(value) for key, value in of_run.items()} for of_run in (result, second[name])]
        assert rest[0] == rest[1]


def started(folder):
    """Numbers of the calls that were begun, and the processes that did."""
    notes = [path.name.split("-") for path in (folder / "pids").iterdir()]
    return sorted(int(number) for _, number, _ in notes), {int(pid) for pid, *_ in notes}


def alive(pids):
    """Which of the processes still run; one that is only waiting to be counted as dead does not."""
    command = ["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line for line in lines if not line.split()[1].startswith("Z")]


# ---------------------------------------------------------------------------------------------- what is kept


def test_results_are_kept_and_not_made_again(tmp_path, capsys):
    first = run(tmp_path, fake_calls(tmp_path))
    assert started(tmp_path)[0] == [1, 2, 3, 4, 5]
    printed = capsys.readouterr().out
    assert printed.startswith("fakes: 0 of 5 kept from before, 5 to do\nfakes took 00:0")
    second = run(tmp_path, fake_calls(tmp_path))
    assert len(list((tmp_path / "pids").iterdir())) == 5
    assert capsys.readouterr().out == ""
    assert_equal(first, second)
    assert first["job2"]["third"] == 2 / 3
    assert len(list((tmp_path / "cells").iterdir())) == 5


@pytest.mark.usefixtures("in_threads")
def test_the_longest_calls_start_first(tmp_path):
    order = []
    run(tmp_path, fake_calls(tmp_path), 1, done=lambda name, result: order.append(result["number"]))
    assert order == [5, 4, 3, 2, 1]


def test_the_number_of_processes_does_not_matter(tmp_path):
    results = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        results.append(run(folder, fake_calls(folder), count))
        assert len(started(folder)[1]) <= count
        assert os.getpid() not in started(folder)[1]
    assert_equal(*results)
    bytes_of = [
        {path.name: path.read_bytes() for path in (tmp_path / count / "cells").iterdir()} for count in "12"
    ]
    assert bytes_of[0] == bytes_of[1]


def test_one_lab_makes_all_calls_in_the_same_processes(tmp_path):
    with Lab([tmp_path / "cells"], 1) as lab:
        for recipe in ("first", "second"):
            calls = [replace(call, recipe=[recipe, call.recipe]) for call in fake_calls(tmp_path)]
            lab.do("fakes", calls)
    assert len(list((tmp_path / "cells").iterdir())) == 10
    assert len(started(tmp_path)[1]) == 1


def answers(folder, lab, *numbers):
    """Two calls that take the results of others, alone and in a list, and one that takes none."""
    kept = lab.do("fakes", fake_calls(folder))
    pids = str(folder / "pids")
    asked = {
        "three": ([*numbers], (kept["job3"],)),
        "both": ([*numbers], [kept["job3"], kept["job4"]]),
        "none": ([*numbers], []),
    }
    calls = [
        Call(name, fake_answer, (*arguments, pids), recipe=[list(arguments[0]), name])
        for name, arguments in asked.items()
    ]
    return kept, calls


@pytest.mark.usefixtures("in_threads")
def test_a_kept_result_stands_for_what_it_holds(tmp_path):
    with Lab([tmp_path / "cells"], 1) as lab:
        _, calls = answers(tmp_path, lab, 1, 2)
        kept = lab.do("answers", calls)
    assert {name: answer.read() for name, answer in kept.items()} == {
        "three": {"sum": 6},
        "both": {"sum": 10},
        "none": {"sum": 3},
    }


@pytest.mark.usefixtures("in_threads")
def test_a_key_holds_the_keys_of_what_is_read_and_no_path(tmp_path):
    kept = {}
    for place in ("here", "there"):
        folder = tmp_path / place
        folder.mkdir()
        with Lab([folder / "cells"], 1) as lab:
            kept[place] = lab.do("fakes", fake_calls(folder))

    def key(*arguments):
        return lab_module._task(Call("fake", fake_answer, arguments)).key

    three, four = kept["here"]["job3"], kept["here"]["job4"]
    assert key([1], [three], "") == key((1,), (kept["there"]["job3"],), "")
    others = [key([1], [three, four], ""), key([1], [four, three], ""), key([1], [four], "")]
    others += [key([2], [three], ""), key([1], [three], "other"), key([1, [three]], ""), key([1], [], "")]
    assert len({key([1], [three], ""), *others}) == len(others) + 1
    with pytest.raises(TypeError, match="an argument of type ndarray has no identity"):
        key(np.zeros(2))


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("carry", [shutil.move, shutil.copytree])
def test_a_folder_that_was_moved_or_copied_has_nothing_to_do(tmp_path, capsys, carry):
    """Neither trainings nor what was found out about them: a finding's key holds no path."""

    def do_all(cells):
        with Lab([cells], 2) as lab:
            kept = lab.do("fakes", fake_calls(tmp_path))
            arguments = ([1], list(kept.values()), str(tmp_path / "pids"))
            return lab.do("answers", [Call("answer", fake_answer, arguments)])["answer"]

    first = do_all(tmp_path / "cells")
    carry(tmp_path / "cells", tmp_path / "elsewhere")
    notes = sorted((tmp_path / "pids").iterdir())
    capsys.readouterr()
    second = do_all(tmp_path / "elsewhere")
    assert sorted((tmp_path / "pids").iterdir()) == notes
    assert capsys.readouterr().out == ""
    assert second.path.parent == tmp_path / "elsewhere"
    assert second.key == first.key
    assert second.read() == {"sum": 16}


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda _: b"", None])
def test_a_damaged_result_is_named_and_made_again(tmp_path, capsys, damage):
    whole = run(tmp_path, fake_calls(tmp_path))
    path = next(path for path in (tmp_path / "cells").iterdir() if path.name.startswith("job3"))
    content = path.read_bytes()
    flipped = content[:400] + bytes([content[400] ^ 1]) + content[401:]
    path.write_bytes(damage(content) if damage else flipped)
    capsys.readouterr()
    again = run(tmp_path, fake_calls(tmp_path))
    assert f"{path} is damaged" in capsys.readouterr().err
    assert_equal(whole, again)
    assert path.read_bytes() == content


@pytest.mark.usefixtures("in_threads")
def test_a_result_under_another_s_name_is_no_result(tmp_path, capsys):
    run(tmp_path, fake_calls(tmp_path))
    second, third = sorted((tmp_path / "cells").iterdir())[1:3]
    shutil.copy(third, second)
    again = run(tmp_path, fake_calls(tmp_path))
    assert "its key is another" in capsys.readouterr().err
    assert again["job2"]["number"] == 2


@pytest.mark.usefixtures("in_threads")
def test_a_full_disk_is_said_before_and_while_results_are_kept(tmp_path, monkeypatch):
    calls = fake_calls(tmp_path)
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)._replace(free=4999)
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(BadInput, match=r"has room for 0 MB, fakes need 0; make room"):
            run(tmp_path, calls)
        assert started(tmp_path)[0] == []
    write = Path.replace

    def full(self, target):
        if target.name.startswith("job2"):
            raise OSError(28, "No space left on device")
        return write(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BadInput, match=r"cannot write .*job2.*: No space left on device; what was written"):
        run(tmp_path, calls, 1)
    # One thread makes the longest first, so that these three were finished and kept before.
    names = {path.name[:4] for path in (tmp_path / "cells").iterdir()}
    assert names == {"job3", "job4", "job5"}


@pytest.mark.usefixtures("in_threads")
def test_two_calls_of_one_name_are_refused(tmp_path):
    """Of two that differ, one's result would be kept as the other's."""
    first, second, *_ = fake_calls(tmp_path)
    with pytest.raises(ValueError, match="two fakes of one name"):
        run(tmp_path, [first, replace(second, name=first.name)])
    assert started(tmp_path)[0] == []


# --------------------------------------------------------------------------- folders that cannot be written


def refuse_to_write(monkeypatch, *refused):
    """A fake of a system that refuses to write into these folders; for root there is no such folder."""
    allow = output.output_folder

    def output_folder(folder, mend):
        if folder in refused:
            raise BadInput(f"cannot write into the folder {folder}: Permission denied; {mend}")
        return allow(folder, mend)

    monkeypatch.setattr(output, "output_folder", output_folder)


@pytest.mark.usefixtures("in_threads")
def test_a_folder_that_cannot_be_written_is_read_and_the_next_takes_what_is_new(tmp_path, monkeypatch):
    shared, own = tmp_path / "shared", tmp_path / "own"
    first = run(tmp_path, fake_calls(tmp_path)[:3], cells=[shared])
    before = {path: path.stat().st_mtime_ns for path in shared.iterdir()}
    refuse_to_write(monkeypatch, shared)
    results = run(tmp_path, fake_calls(tmp_path), cells=[shared, own])
    assert started(tmp_path)[0] == [1, 2, 3, 4, 5]
    assert {path: path.stat().st_mtime_ns for path in shared.iterdir()} == before
    assert sorted(path.name[:4] for path in own.iterdir()) == ["job4", "job5"]
    assert_equal(first, {name: results[name] for name in first})
    assert_equal(results, run(tmp_path, fake_calls(tmp_path), cells=[shared, own]))
    assert len(list((tmp_path / "pids").iterdir())) == 5


@pytest.mark.usefixtures("in_threads")
def test_a_damaged_result_that_must_stay_is_looked_past(tmp_path, monkeypatch, capsys):
    shared, own = tmp_path / "shared", tmp_path / "own"
    whole = run(tmp_path, fake_calls(tmp_path), cells=[shared])
    damaged = next(path for path in shared.iterdir() if path.name.startswith("job3"))
    damaged.write_bytes(b"damaged")
    refuse_to_write(monkeypatch, shared)
    unlink = Path.unlink

    def refuse_to_delete(path, missing_ok=False):
        if path.parent == shared:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse_to_delete)
    for _ in range(2):
        assert_equal(whole, run(tmp_path, fake_calls(tmp_path), cells=[shared, own]))
        assert f"{damaged} is damaged" in capsys.readouterr().err
    assert damaged.read_bytes() == b"damaged"
    assert [path.name for path in own.iterdir()] == [damaged.name]
    assert started(tmp_path)[0].count(3) == 2


@pytest.mark.usefixtures("in_threads")
def test_a_folder_that_must_not_be_read_is_looked_past(tmp_path, monkeypatch, capsys):
    shared, own = tmp_path / "shared", tmp_path / "own"
    run(tmp_path, fake_calls(tmp_path), cells=[shared])
    refuse_to_write(monkeypatch, shared)
    load = np.load

    def refuse_to_read(path, *arguments, **options):
        if Path(path).parent == shared:
            raise PermissionError(13, "Permission denied")
        return load(path, *arguments, **options)

    monkeypatch.setattr(np, "load", refuse_to_read)
    run(tmp_path, fake_calls(tmp_path), cells=[shared, own])
    assert len(list(own.iterdir())) == 5
    assert "damaged" not in capsys.readouterr().err


@pytest.mark.usefixtures("in_threads")
def test_a_file_in_the_place_of_a_folder_is_looked_past(tmp_path, capsys):
    in_the_way = tmp_path / "shared"
    in_the_way.write_bytes(b"in the way")
    run(tmp_path, fake_calls(tmp_path), cells=[in_the_way, tmp_path / "own"])
    assert len(list((tmp_path / "own").iterdir())) == 5
    assert in_the_way.read_bytes() == b"in the way"
    assert "damaged" not in capsys.readouterr().err


def test_where_no_folder_can_be_written_the_first_one_s_reason_is_said(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(b"in the way")
    folders = [tmp_path / "first", tmp_path / "second"]
    with pytest.raises(BadInput, match=r"folder .*first: File exists; set PRIVACY_CACHE to another"):
        _ = Lab(folders, 1).kept_in


def test_what_cannot_be_read_at_the_moment_is_not_deleted(tmp_path, monkeypatch):
    """A fake of a process without any file left to open."""
    run(tmp_path, fake_calls(tmp_path))
    before = sorted(path.name for path in (tmp_path / "cells").iterdir())

    def too_many(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", too_many)
        with pytest.raises(BadInput, match=r"cannot read .*: Too many open files"):
            run(tmp_path, fake_calls(tmp_path))
    assert sorted(path.name for path in (tmp_path / "cells").iterdir()) == before


@pytest.mark.parametrize("words", [(), ("Unable to allocate 1 TiB",)])
def test_a_result_for_which_there_is_too_little_memory_is_named_and_not_deleted(tmp_path, monkeypatch, words):
    run(tmp_path, fake_calls(tmp_path))
    before = sorted(path.name for path in (tmp_path / "cells").iterdir())

    def too_large(*_):
        raise MemoryError(*words)

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", too_large)
        reason = words[0] if words else "too little memory"
        with pytest.raises(BadInput, match=rf"cannot read .*job1.*: {reason}; see that it can be read"):
            run(tmp_path, fake_calls(tmp_path))
    assert sorted(path.name for path in (tmp_path / "cells").iterdir()) == before


def test_where_new_results_go_is_said_if_it_is_not_the_first_folder(tmp_path, capsys):
    (tmp_path / "first").write_bytes(b"in the way")
    assert Lab([tmp_path / "first", tmp_path / "second"], 1).kept_in == tmp_path / "second"
    said = capsys.readouterr().out
    assert (
        said == f"new results are kept in {tmp_path / 'second'}, as {tmp_path / 'first'} cannot be written\n"
    )


# -------------------------------------------------------------------------------------------- other workers


def other_key(recipe, code, libraries):
    """A fake of the key in a process that has other libraries or another clone than the workers."""
    return "0" * 64


def test_a_worker_that_comes_to_another_key_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lab_module, "key_of", other_key)
    with pytest.raises(BadInput, match="other versions of the libraries or of this project"):
        run(tmp_path, fake_calls(tmp_path))
    assert list((tmp_path / "cells").iterdir()) == []
    assert started(tmp_path)[0] == []


def test_what_this_process_runs_must_be_what_the_files_say(tmp_path, monkeypatch):
    """Before any process is started; see test_code.py for what differs."""
    monkeypatch.setattr(sys.modules[__name__], "OFFSET", 1)
    call = Call("answer", fake_answer, ([1], [], str(tmp_path)))
    with pytest.raises(BadInput, match=r"OFFSET is not what tests/test_lab\.py says"):
        run(tmp_path, [call])
    assert not (tmp_path / "cells").exists()


# ---------------------------------------------------------------------------- Ctrl-C, kills and other threads


def start_in_a_process(folder):
    """Makes the five calls, 2.5 s each, in a session of its own; returns once two have been begun."""
    code = (
        "import signal, sys; from pathlib import Path\n"
        "from tests.test_lab import fake_calls, run as run_fakes\n"
        # A shell that starts the tests in the background lets them inherit that Ctrl-C is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from leakage.command_line import run\n"
        "folder = Path(sys.argv[1])\n"
        "run('fake', lambda: run_fakes(folder, fake_calls(folder, 2.5)))"
    )
    command = [sys.executable, "-c", code, folder]
    (folder / "temporary").mkdir()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder / "temporary")},
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not (folder / "pids").exists() or len(started(folder)[1]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.alone
@pytest.mark.parametrize(
    ("send", "number", "status"),
    [(os.killpg, signal.SIGINT, 130), (os.kill, signal.SIGTERM, 143)],
    ids=["Ctrl-C, to all its processes", "SIGTERM, to the first alone"],
)
def test_a_signal_ends_everything_at_once_and_leaves_nothing(tmp_path, send, number, status):
    process = start_in_a_process(tmp_path)
    send(process.pid, number)
    begun = time.monotonic()
    assert process.wait(timeout=30) == status
    while alive(started(tmp_path)[1]) and time.monotonic() < begun + 10:
        time.sleep(0.05)
    assert time.monotonic() - begun < LEAVE_SECONDS
    assert b"Traceback" not in process.stderr.read()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_killed_run_loses_only_what_it_was_at(tmp_path):
    process = start_in_a_process(tmp_path)
    cells = tmp_path / "cells"
    while not list(cells.glob("*.npz")):
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(LEAVE_SECONDS)
    assert not alive(started(tmp_path)[1])
    kept = {path.name: path.stat().st_mtime_ns for path in cells.glob("*.npz")}
    resumed = run(tmp_path, fake_calls(tmp_path))
    assert {name: (cells / name).stat().st_mtime_ns for name in kept} == kept
    (tmp_path / "other").mkdir()
    assert_equal(resumed, run(tmp_path / "other", fake_calls(tmp_path / "other")))


def test_a_killed_process_is_reported(tmp_path):
    calls = [replace(call, function=fake_death, arguments=()) for call in fake_calls(tmp_path)]
    with pytest.raises(BadInput, match="was killed"):
        run(tmp_path, calls)


def test_too_little_memory_for_a_call_is_reported(tmp_path):
    calls = [replace(call, function=fake_want_of_memory, arguments=()) for call in fake_calls(tmp_path)]
    with pytest.raises(BadInput, match="too little memory; what is finished is kept; try fewer --jobs"):
        run(tmp_path, calls)


def test_a_worker_without_the_images_is_bad_input_with_its_lines(tmp_path):
    calls = [replace(call, function=fake_want_of_images, arguments=()) for call in fake_calls(tmp_path)]
    with pytest.raises(BadInput) as refused:
        run(tmp_path, calls)
    assert refused.value.shown() == "no source could give it:\n  - a host: silent"


def test_a_call_s_own_complaint_is_passed_on(tmp_path):
    calls = [replace(call, function=fake_error, arguments=()) for call in fake_calls(tmp_path)]
    with pytest.raises(BadInput, match="a fake of a training that cannot be"):
        run(tmp_path, calls)


def test_calls_are_made_from_another_thread_too(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(run(tmp_path, fake_calls(tmp_path))))
    thread.start()
    thread.join(timeout=60)
    assert [len(results) for results in found] == [5]


# --------------------------------------------------------------------------------------------- a Dask cluster


def cluster_of(count):
    from distributed import LocalCluster

    return LocalCluster(n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None)


@pytest.mark.parametrize("count", [1, 2])
def test_a_cluster_s_workers_make_the_calls(tmp_path, count):
    """With one worker too, none is done in this process."""
    with cluster_of(count) as dask:
        results = run(tmp_path, fake_calls(tmp_path, 0.3), dask=dask.scheduler_address)
    numbers, pids = started(tmp_path)
    assert numbers == [1, 2, 3, 4, 5]
    assert len(pids) == count
    assert os.getpid() not in pids
    (tmp_path / "here").mkdir()
    assert_equal(results, run(tmp_path / "here", fake_calls(tmp_path / "here")))


def test_a_worker_that_joins_later_gets_calls(tmp_path):
    with cluster_of(1) as dask:
        calls = fake_calls(tmp_path, 1)
        run(tmp_path, calls, dask=dask.scheduler_address, done=lambda *_: dask.scale(2))
    numbers, pids = started(tmp_path)
    assert numbers == [1, 2, 3, 4, 5]
    assert len(pids) == 2


def test_a_cluster_that_goes_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "DASK_SECONDS", 5)  # that a slow machine's worker may take
    with cluster_of(1) as dask, pytest.raises(BadInput, match="is gone; what is finished is kept"):
        calls = fake_calls(tmp_path, 0.3)
        run(tmp_path, calls, dask=dask.scheduler_address, done=lambda *_: dask.close())
    # On a slow machine a second call may have ended before the cluster did.
    assert 1 <= len(list((tmp_path / "cells").iterdir())) < 5


def test_a_cluster_without_workers_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "DASK_SECONDS", 1)
    with cluster_of(0) as dask, pytest.raises(BadInput, match="no worker that answers within 1 s"):
        run(tmp_path, fake_calls(tmp_path), dask=dask.scheduler_address)
    assert not list((tmp_path / "cells").iterdir())


def test_a_worker_of_a_cluster_that_comes_to_another_key_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lab_module, "key_of", other_key)
    with cluster_of(1) as dask, pytest.raises(BadInput, match="other versions of the libraries"):
        run(tmp_path, fake_calls(tmp_path), dask=dask.scheduler_address)
    assert list((tmp_path / "cells").iterdir()) == []
    assert started(tmp_path)[0] == []


def test_a_worker_that_began_before_a_file_was_changed_is_refused(tmp_path):
    """It finds the same files as this process, but runs what it has loaded."""
    from distributed import Client

    call = Call("answer", fake_answer, ([1], [], str(tmp_path)))
    with cluster_of(1) as dask:
        with Client(dask.scheduler_address, set_as_default=False) as client:
            client.run(another_offset)
        with pytest.raises(BadInput, match="start the workers anew"):
            run(tmp_path, [call], dask=dask.scheduler_address)
    assert list((tmp_path / "cells").iterdir()) == []


def test_workers_that_are_killed_are_reported(tmp_path):
    """As the system does when memory runs out; Dask would try several workers before it gives up."""
    import dask as library

    calls = [replace(call, function=fake_death, arguments=()) for call in fake_calls(tmp_path)]
    at_once = library.config.set({"distributed.scheduler.allowed-failures": 0})
    with at_once, cluster_of(1) as dask, pytest.raises(BadInput, match="were killed"):
        run(tmp_path, calls, dask=dask.scheduler_address)


class _Page(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.parametrize("kind", ["a silent listener", "a web page", "nobody", "rubbish"])
def test_a_port_that_is_no_scheduler_is_reported_in_time(tmp_path, monkeypatch, kind):
    """The dashboard's port, say, which `dask scheduler` prints under its own."""
    assert workers.DASK_SECONDS < 20
    monkeypatch.setattr(workers, "DASK_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent, HTTPServer(("127.0.0.1", 0), _Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        port = {"a silent listener": silent.getsockname()[1], "a web page": page.server_port, "nobody": 1}
        address = f"tcp://127.0.0.1:{port[kind]}" if kind in port else "rubbish"
        begun = time.monotonic()
        with pytest.raises(BadInput, match="does not answer"):
            run(tmp_path, fake_calls(tmp_path), dask=address)
        assert time.monotonic() - begun < 8
        page.shutdown()


def test_a_worker_s_port_is_no_scheduler_s(tmp_path):
    with cluster_of(1) as dask:
        [worker] = dask.workers.values()
        with pytest.raises(BadInput, match=r"there is a Dask (nanny|worker), no scheduler"):
            run(tmp_path, fake_calls(tmp_path), dask=worker.worker_address)
