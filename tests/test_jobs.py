"""training/jobs.py and workers.py: what is kept, what is done again, and what Ctrl-C and a kill leave.

The jobs are fakes, named as such: they sleep where a real one trains.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from leakage.command_line import BadInput
from suite.jobs import workers
from suite.jobs.jobs import Job, question_job, run_jobs
from suite.jobs.workers import cluster, processes

ROOT = Path(__file__).resolve().parents[1]
LEAVE_SECONDS = 2.0  # that Ctrl-C may take


def fake_work(number, pids, seconds, step_done):
    """A fake of a training: notes its process, sleeps through three steps."""
    (pids / f"{os.getpid()}-{number}").touch()
    for _ in range(3):
        time.sleep(seconds / 3)
        step_done()
    return {"number": number, "third": number / 3, "gap": float("nan"), "losses": np.arange(number) / 3}


def fake_key(number):
    return f"key{number}" * 8


def fake_key_of_this_process():
    return f"{os.getpid():08}" * 4


def fake_death(step_done):
    os.kill(os.getpid(), signal.SIGKILL)


def fake_error(step_done):
    raise BadInput("a fake of a training that cannot be")


def fake_jobs(folder, seconds):
    pids = folder / "pids"
    pids.mkdir(exist_ok=True)
    (folder / "cells").mkdir(exist_ok=True)
    return [
        Job(f"job{i}", partial(fake_key, i), 3, i, 1000, partial(fake_work, i, pids, seconds))
        for i in range(1, 6)
    ]


def run(folder, jobs, count=2, **options):
    """All results, done in `count` processes here."""
    kept = run_jobs("fakes", jobs, folder / "cells", partial(processes, count), **options)
    return {name: one.read() for name, one in kept.items()}


def run_on(folder, jobs, address, **options):
    """All results, done by a Dask cluster."""
    kept = run_jobs("fakes", jobs, folder / "cells", partial(cluster, address), **options)
    return {name: one.read() for name, one in kept.items()}


def assert_equal(first, second):
    assert list(first) == list(second)
    for name, result in first.items():
        assert np.array_equal(result["losses"], second[name]["losses"])
        rest = [{key: repr(value) for key, value in one.items()} for one in (result, second[name])]
        assert rest[0] == rest[1]


def started(folder):
    """Numbers of the jobs that were begun, and the processes that did."""
    notes = [path.name.split("-") for path in (folder / "pids").iterdir()]
    return sorted(int(number) for _, number in notes), {int(pid) for pid, _ in notes}


def alive(pids):
    """Which of the processes still run; one that is only waiting to be counted as dead does not."""
    asked = ["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))]
    lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line for line in lines if not line.split()[1].startswith("Z")]


# ---------------------------------------------------------------------------------------------- what is kept


def test_results_are_kept_and_not_made_again(tmp_path, capsys):
    first = run(tmp_path, fake_jobs(tmp_path, 0))
    assert started(tmp_path)[0] == [1, 2, 3, 4, 5]
    assert capsys.readouterr().out.startswith("0 of 5 fakes kept from before, 5 to do\nfakes took 00:0")
    second = run(tmp_path, fake_jobs(tmp_path, 0))
    assert len(list((tmp_path / "pids").iterdir())) == 5
    assert capsys.readouterr().out == "5 of 5 fakes kept from before, 0 to do\n"
    assert_equal(first, second)
    assert first["job2"]["third"] == 2 / 3
    assert len(list((tmp_path / "cells").iterdir())) == 5


def test_what_is_kept_needs_no_worker(tmp_path):
    run(tmp_path, fake_jobs(tmp_path, 0))
    kept = run_jobs("fakes", fake_jobs(tmp_path, 0), tmp_path / "cells", lambda: 1 / 0)
    assert kept["job3"].read()["number"] == 3


def test_the_longest_jobs_start_first(tmp_path):
    order = []
    run(tmp_path, fake_jobs(tmp_path, 0), 1, done=lambda name, result: order.append(result["number"]))
    assert order == [5, 4, 3, 2, 1]


def test_the_number_of_processes_does_not_matter(tmp_path):
    results = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        results.append(run(folder, fake_jobs(folder, 0), count))
        assert len(started(folder)[1]) <= count
        assert os.getpid() not in started(folder)[1]
    assert_equal(*results)
    bytes_of = [
        {path.name: path.read_bytes() for path in (tmp_path / count / "cells").iterdir()} for count in "12"
    ]
    assert bytes_of[0] == bytes_of[1]


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda _: b"", None])
def test_a_damaged_result_is_named_and_made_again(tmp_path, capsys, damage):
    whole = run(tmp_path, fake_jobs(tmp_path, 0))
    path = next(path for path in (tmp_path / "cells").iterdir() if path.name.startswith("job3"))
    content = path.read_bytes()
    flipped = content[:400] + bytes([content[400] ^ 1]) + content[401:]
    path.write_bytes(damage(content) if damage else flipped)
    capsys.readouterr()
    again = run(tmp_path, fake_jobs(tmp_path, 0))
    assert f"{path} is damaged" in capsys.readouterr().err
    assert_equal(whole, again)
    assert path.read_bytes() == content


def test_a_full_disk_is_said_before_and_while_results_are_kept(tmp_path, monkeypatch):
    jobs = fake_jobs(tmp_path, 0)
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)._replace(free=4999)
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(BadInput, match=r"has room for 0 MB, fakes need 0; make room"):
            run(tmp_path, jobs)
        assert started(tmp_path)[0] == []
    write = Path.replace

    def full(self, target):
        if target.name.startswith("job2"):
            raise OSError(28, "No space left on device")
        return write(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BadInput, match=r"cannot write .*job2.*: No space left on device; what was written"):
        run(tmp_path, jobs, 1)
    names = sorted(path.name[:4] for path in (tmp_path / "cells").iterdir())
    assert names == ["job3", "job4", "job5"]


def fake_answer(numbers, read, step_done):
    step_done()
    return {"sum": sum(numbers) + read()["number"]}


def test_a_question_is_known_by_its_code_and_by_what_it_reads(tmp_path):
    kept = run_jobs("fakes", fake_jobs(tmp_path, 0), tmp_path / "cells", partial(processes, 1))
    three, four = kept["job3"].read, kept["job4"].read
    asked = [partial(fake_answer, (1, 2), three), partial(fake_answer, (1,), four)]
    jobs = [question_job(f"question{i}", question, ["numpy"]) for i, question in enumerate(asked)]
    found = run_jobs("questions", jobs, tmp_path, partial(processes, 1))
    assert {name: one.read()["sum"] for name, one in found.items()} == {"question0": 6, "question1": 5}
    other = question_job("other", partial(fake_answer, (1, 2), four), ["numpy"])
    assert len({job.key() for job in (*jobs, other)}) == 3
    assert question_job("again", asked[0], ["numpy"]).key() == jobs[0].key()


# ---------------------------------------------------------------------------- Ctrl-C, kills and other threads


def start_in_a_process(folder):
    """Runs the five jobs, 2.5 s each, in a session of its own; returns once two have been begun."""
    code = (
        "import signal, sys; from pathlib import Path\n"
        "from tests.test_jobs import fake_jobs, run as run_fakes\n"
        # A shell that starts the tests in the background lets them inherit that Ctrl-C is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from leakage.command_line import run\n"
        "folder = Path(sys.argv[1])\n"
        "run('fake', lambda: run_fakes(folder, fake_jobs(folder, 2.5)))"
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
    resumed = run(tmp_path, fake_jobs(tmp_path, 0))
    assert {name: (cells / name).stat().st_mtime_ns for name in kept} == kept
    (tmp_path / "other").mkdir()
    assert_equal(resumed, run(tmp_path / "other", fake_jobs(tmp_path / "other", 0)))


def test_a_killed_process_is_reported(tmp_path):
    jobs = [job._replace(work=fake_death) for job in fake_jobs(tmp_path, 0)]
    with pytest.raises(BadInput, match="was killed"):
        run(tmp_path, jobs)


def test_a_job_s_own_complaint_is_passed_on(tmp_path):
    jobs = [job._replace(work=fake_error) for job in fake_jobs(tmp_path, 0)]
    with pytest.raises(BadInput, match="a fake of a training that cannot be"):
        run(tmp_path, jobs)


def test_jobs_run_from_another_thread_too(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(run(tmp_path, fake_jobs(tmp_path, 0))))
    thread.start()
    thread.join(timeout=60)
    assert [len(results) for results in found] == [5]


def test_one_pool_serves_several_runs(tmp_path):
    with processes(1) as pool:
        for seconds in (0, 0.01):
            shutil.rmtree(tmp_path / "cells", ignore_errors=True)
            run_jobs("fakes", fake_jobs(tmp_path, seconds), tmp_path / "cells", partial(nullcontext, pool))
    assert len(started(tmp_path)[1]) == 1


# --------------------------------------------------------------------------------------------- a Dask cluster


def cluster_of(count):
    from distributed import LocalCluster

    return LocalCluster(n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None)


@pytest.mark.parametrize("count", [1, 2])
def test_a_cluster_s_workers_do_the_jobs(tmp_path, count):
    """With one worker too, none is done in this process."""
    with cluster_of(count) as dask:
        results = run_on(tmp_path, fake_jobs(tmp_path, 0.3), dask.scheduler_address)
    numbers, pids = started(tmp_path)
    assert numbers == [1, 2, 3, 4, 5]
    assert len(pids) == count
    assert os.getpid() not in pids
    (tmp_path / "here").mkdir()
    assert_equal(results, run(tmp_path / "here", fake_jobs(tmp_path / "here", 0)))


def test_a_worker_that_joins_later_gets_jobs(tmp_path):
    with cluster_of(1) as dask:
        jobs = fake_jobs(tmp_path, 1)
        run_on(tmp_path, jobs, dask.scheduler_address, done=lambda *_: dask.scale(2))
    numbers, pids = started(tmp_path)
    assert numbers == [1, 2, 3, 4, 5]
    assert len(pids) == 2


def test_a_cluster_that_goes_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "DASK_SECONDS", 1)
    with cluster_of(1) as dask, pytest.raises(BadInput, match="is gone; what is finished is kept"):
        jobs = fake_jobs(tmp_path, 0.3)
        run_on(tmp_path, jobs, dask.scheduler_address, done=lambda *_: dask.close())
    assert len(list((tmp_path / "cells").iterdir())) == 1


def test_a_cluster_without_workers_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "DASK_SECONDS", 1)
    with cluster_of(0) as dask, pytest.raises(BadInput, match="no worker that answers within 1 s"):
        run_on(tmp_path, fake_jobs(tmp_path, 0), dask.scheduler_address)
    assert not list((tmp_path / "cells").iterdir())


def test_a_worker_with_other_libraries_is_refused(tmp_path):
    """The key that it finds is another, here because this fake is that of the process."""
    jobs = [job._replace(key=fake_key_of_this_process) for job in fake_jobs(tmp_path, 0)]
    with cluster_of(1) as dask, pytest.raises(BadInput, match="other versions of the libraries"):
        run_on(tmp_path, jobs, dask.scheduler_address)
    assert not list((tmp_path / "cells").iterdir())
    assert started(tmp_path)[0] == []


def test_workers_that_are_killed_are_reported(tmp_path):
    """As the system does when memory runs out; Dask would try a job on several workers before it gives up."""
    import dask as library

    jobs = [job._replace(work=fake_death) for job in fake_jobs(tmp_path, 0)]
    at_once = library.config.set({"distributed.scheduler.allowed-failures": 0})
    with at_once, cluster_of(1) as dask, pytest.raises(BadInput, match="were killed"):
        run_on(tmp_path, jobs, dask.scheduler_address)


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
            run_on(tmp_path, fake_jobs(tmp_path, 0), address)
        assert time.monotonic() - begun < 8
        page.shutdown()


def test_a_worker_s_port_is_no_scheduler_s(tmp_path):
    with cluster_of(1) as dask:
        [worker] = dask.workers.values()
        with pytest.raises(BadInput, match=r"there is a Dask (nanny|worker), no scheduler"):
            run_on(tmp_path, fake_jobs(tmp_path, 0), worker.worker_address)
