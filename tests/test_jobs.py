"""support/cells.py: what is kept, what is done again, and what Ctrl-C and a kill leave behind.

The jobs are fakes, named as such: they sleep where a real one trains.
"""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from support.command_line import BadInput
from training import jobs as cells
from training.jobs import Job, run_jobs

ROOT = Path(__file__).resolve().parents[1]
LEAVE_SECONDS = 2.0  # that Ctrl-C may take


def fake_work(number, pids, seconds, epoch_done):
    """A fake of a training: notes its process, sleeps through three epochs."""
    (pids / f"{os.getpid()}-{number}").touch()
    for _ in range(3):
        time.sleep(seconds / 3)
        epoch_done()
    return {
        "rows": [{"number": number, "third": number / 3, "gap": float("nan")}],
        "losses": np.arange(number) / 3,
    }


def fake_key(number):
    return f"key{number}" * 8


def fake_key_of_this_process():
    return f"{os.getpid():08}"


def fake_death(epoch_done):
    os.kill(os.getpid(), signal.SIGKILL)


def fake_jobs(folder, seconds):
    pids = folder / "pids"
    pids.mkdir(exist_ok=True)
    return [
        Job(f"job{i}", partial(fake_key, i), 3, i, partial(fake_work, i, pids, seconds)) for i in range(1, 6)
    ]


def started(folder):
    """Numbers of the jobs that were begun, and the processes that did."""
    notes = [path.name.split("-") for path in (folder / "pids").iterdir()]
    return sorted(int(number) for _, number in notes), {int(pid) for pid, _ in notes}


def alive(pids):
    """Which of the processes still run; one that is only waiting to be counted as dead does not."""
    asked = ["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))]
    lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line for line in lines if not line.split()[1].startswith("Z")]


def test_results_are_kept_and_not_made_again(tmp_path):
    first = run_jobs(fake_jobs(tmp_path, 0), tmp_path / "cells", 2)
    assert started(tmp_path)[0] == [1, 2, 3, 4, 5]
    second = run_jobs(fake_jobs(tmp_path, 0), tmp_path / "cells", 2)
    assert started(tmp_path)[0] == [1, 2, 3, 4, 5]
    for name in first:
        assert repr(first[name]["rows"]) == repr(second[name]["rows"])
        assert np.array_equal(first[name]["losses"], second[name]["losses"])
    assert first["job2"]["rows"][0]["third"] == 2 / 3
    assert len(list((tmp_path / "cells").iterdir())) == 5


def test_the_longest_jobs_start_first(tmp_path):
    order = []
    run_jobs(
        fake_jobs(tmp_path, 0), tmp_path / "cells", 1, done=lambda r: order.append(r["rows"][0]["number"])
    )
    assert order == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda _: b"", None])
def test_a_damaged_result_is_named_and_made_again(tmp_path, capsys, damage):
    whole = run_jobs(fake_jobs(tmp_path, 0), tmp_path / "cells", 2)
    path = next(path for path in (tmp_path / "cells").iterdir() if path.name.startswith("job3"))
    content = path.read_bytes()
    flipped = content[:400] + bytes([content[400] ^ 1]) + content[401:]
    path.write_bytes(damage(content) if damage else flipped)
    capsys.readouterr()
    again = run_jobs(fake_jobs(tmp_path, 0), tmp_path / "cells", 2)
    assert f"{path} is damaged" in capsys.readouterr().err
    assert np.array_equal(again["job3"]["losses"], whole["job3"]["losses"])
    assert path.read_bytes() == content


def start_in_a_process(folder):
    """Runs the five jobs, four seconds each, in a session of its own; returns once two have been begun."""
    code = (
        "import sys; from pathlib import Path; from tests.test_jobs import fake_jobs\n"
        "from training.jobs import run_jobs; from support.command_line import run\n"
        "folder = Path(sys.argv[1])\n"
        "run('fake', lambda: run_jobs(fake_jobs(folder, 4), folder / 'cells', 2))"
    )
    command = [sys.executable, "-c", code, folder]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (folder / "pids").exists() or len(started(folder)[1]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("whole_group", [True, False], ids=["from the keyboard", "to the process alone"])
def test_ctrl_c_ends_everything_at_once(tmp_path, whole_group):
    process = start_in_a_process(tmp_path)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    begun = time.monotonic()
    assert process.wait(timeout=30) == 130
    while alive(started(tmp_path)[1]) and time.monotonic() < begun + 10:
        time.sleep(0.05)
    assert time.monotonic() - begun < LEAVE_SECONDS
    assert b"Traceback" not in process.stderr.read()


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
    resumed = run_jobs(fake_jobs(tmp_path, 0), cells, 2)
    assert {name: (cells / name).stat().st_mtime_ns for name in kept} == kept
    (tmp_path / "other").mkdir()
    uninterrupted = run_jobs(fake_jobs(tmp_path / "other", 0), tmp_path / "other" / "cells", 2)
    for name in uninterrupted:
        assert repr(resumed[name]["rows"]) == repr(uninterrupted[name]["rows"])
        assert np.array_equal(resumed[name]["losses"], uninterrupted[name]["losses"])


def cluster_of(workers):
    from distributed import LocalCluster

    return LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cluster_s_workers_do_the_jobs(tmp_path, workers):
    """With one worker too, none is done in this process."""
    with cluster_of(workers) as cluster:
        results = run_jobs(fake_jobs(tmp_path, 0.3), tmp_path / "cells", 1, cluster.scheduler_address)
    numbers, processes = started(tmp_path)
    assert numbers == [1, 2, 3, 4, 5]
    assert len(processes) == workers
    assert os.getpid() not in processes
    assert {name: result["rows"][0]["number"] for name, result in results.items()} == {
        f"job{i}": i for i in numbers
    }


def test_a_worker_that_joins_later_gets_jobs(tmp_path):
    with cluster_of(1) as cluster:
        run_jobs(
            fake_jobs(tmp_path, 1),
            tmp_path / "cells",
            1,
            cluster.scheduler_address,
            done=lambda _: cluster.scale(2),
        )
    numbers, processes = started(tmp_path)
    assert numbers == [1, 2, 3, 4, 5]
    assert len(processes) == 2


def test_a_cluster_that_goes_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "DASK_SECONDS", 2)
    with cluster_of(1) as cluster, pytest.raises(BadInput, match="is gone; what is finished is kept"):
        run_jobs(
            fake_jobs(tmp_path, 0.3),
            tmp_path / "cells",
            1,
            cluster.scheduler_address,
            done=lambda _: cluster.close(),
        )
    assert len(list((tmp_path / "cells").iterdir())) == 1


def test_a_cluster_without_workers_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "DASK_SECONDS", 2)
    with cluster_of(0) as cluster, pytest.raises(BadInput, match="no worker that answers within 2 s"):
        run_jobs(fake_jobs(tmp_path, 0), tmp_path / "cells", 2, cluster.scheduler_address)
    assert not list((tmp_path / "cells").iterdir())


def test_a_worker_with_other_libraries_is_refused(tmp_path):
    """The key that it finds is another, here because this fake is that of the process."""
    jobs = [job._replace(key=fake_key_of_this_process) for job in fake_jobs(tmp_path, 0)]
    with cluster_of(1) as cluster, pytest.raises(BadInput, match="other versions of the libraries"):
        run_jobs(jobs, tmp_path / "cells", 2, cluster.scheduler_address)
    assert not list((tmp_path / "cells").iterdir())
    assert started(tmp_path)[0] == []


def test_workers_that_are_killed_are_reported(tmp_path):
    """As the system does when memory runs out; Dask tries a job on several workers before it gives up."""
    jobs = [job._replace(work=fake_death) for job in fake_jobs(tmp_path, 0)]
    with cluster_of(1) as cluster, pytest.raises(BadInput, match="were killed"):
        run_jobs(jobs, tmp_path / "cells", 2, cluster.scheduler_address)


def test_a_killed_training_process_is_reported(tmp_path):
    jobs = [job._replace(work=fake_death) for job in fake_jobs(tmp_path, 0)]
    with pytest.raises(BadInput, match="was killed"):
        run_jobs(jobs, tmp_path / "cells", 2)
