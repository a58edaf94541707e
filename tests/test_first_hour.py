"""The scripts on a stranger's machine: what is set, closed or missing there, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOSTILE_STYLE = "text.usetex: True\naxes.facecolor: black\nfont.size: 30\n"


def start(script, *arguments, options=(), environment=(), **streams):
    whole = {name: value for name, value in os.environ.items() if name != "HOME"} | dict(environment)
    command = [sys.executable, *options, ROOT / script, *arguments]
    return subprocess.run(command, env=whole, capture_output=not streams, text=True, check=False, **streams)


def laplace(folder, **options):
    return start("laplace.py", "--data", ROOT / "data" / "credit_sample.csv", "--figures", folder, **options)


def pictures(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What laplace.py prints and draws of the sample where nothing is set."""
    folder = tmp_path_factory.mktemp("plain")
    done = laplace(folder)
    assert done.returncode == 0
    return done.stdout, pictures(folder)


def test_the_console_is_no_wider_than_a_hundred_letters(plain):
    lines = plain[0].splitlines()
    assert max(map(len, lines[:-2])) <= 100  # the last two name the folder


def test_neither_settings_nor_options_change_a_picture(plain, tmp_path):
    """A notebook's backend, a matplotlibrc, an ASCII console, no home, -OO and -P, all at once."""
    style = tmp_path / "matplotlibrc"
    style.write_text(HOSTILE_STYLE)
    environment = {
        "MPLBACKEND": "module://nowhere",
        "MATPLOTLIBRC": str(style),
        "PYTHONIOENCODING": "ascii",
        "HOME": str(tmp_path / "missing"),
        "MPLCONFIGDIR": "/proc/nowhere",
    }
    done = laplace(tmp_path / "figures", options=["-OO", "-P"], environment=environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    said = plain[0].replace(str(tmp_path), "").encode("ascii", "replace").decode().splitlines()
    assert done.stdout.splitlines()[:-2] == said[:-2]  # the last two name the folder
    assert pictures(tmp_path / "figures") == plain[1]


def test_closed_streams_are_no_reason_to_stop(plain, tmp_path):
    """As under `>&- 2>&-`; what is opened first would get the number of the console."""
    words = [sys.executable, ROOT / "laplace.py", "--data", ROOT / "data" / "credit_sample.csv"]
    line = " ".join(f"'{word}'" for word in [*words, "--figures", tmp_path / "figures"])
    done = subprocess.run(["sh", "-c", f"exec {line} <&- >&- 2>&-"], check=False)
    assert done.returncode == 0
    assert pictures(tmp_path / "figures") == plain[1]


@pytest.mark.parametrize("script", ["mia.py", "laplace.py"])
def test_a_missing_package_is_one_line(script):
    """-I and -S: no package of anybody is found."""
    done = start(script, options=["-I", "-S"])
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert done.stderr.startswith(f"{script}: No module named ")
    assert done.stderr.endswith("pip install -r requirements.txt\n")


def test_a_missing_package_of_the_audit_is_one_line():
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-m", "leakage", "members.npy", "nonmembers.npy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("python -m leakage: No module named ")
    assert done.stderr.endswith("pip install -r requirements/audit.txt\n")


@pytest.mark.parametrize("script", ["mia.py", "laplace.py"])
def test_an_old_python_is_one_line(script):
    code = (
        f"import sys, runpy; sys.version_info = (3, 10, 4); runpy.run_path({script!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"{script}: needs Python 3.11 or later, this is 3.10\n"


@pytest.mark.parametrize("script", ["mia.py", "laplace.py"])
def test_ctrl_c_while_importing_is_one_line(script, tmp_path):
    """A fake of numpy, during whose import the key is pressed."""
    (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt")
    (tmp_path / "loky.py").write_text("raise KeyboardInterrupt")
    done = start(script, environment={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (130, f"{script}: stopped\n")


def test_importing_a_script_leaves_python_s_own_errors():
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); import mia"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError" in done.stderr


def test_one_cache_can_be_named_for_several_clones(tmp_path):
    code = "import mia; from suite.sources import cifar10; print(mia.CELLS, cifar10.CACHE)"
    environment = os.environ | {"PRIVACY_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(tmp_path / "cells"), str(tmp_path / "cifar10.bin")]


def test_without_the_images_the_message_keeps_its_lines(tmp_path):
    """No network, no npm, nothing prepared; and nothing half-written."""
    closed = "http://127.0.0.1:9"
    environment = {
        "PRIVACY_CACHE": str(tmp_path / "cache"),
        "TFDS_DATA_DIR": str(tmp_path / "nothing"),
        "PATH": str(tmp_path),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), closed),
    }
    done = start("mia.py", "--quick", "--figures", tmp_path / "figures", environment=environment)
    assert done.returncode == 2
    lines = done.stderr[done.stderr.index("mia.py:") :].splitlines()
    assert lines[0].startswith("mia.py: CIFAR-10 has not been kept yet")
    assert [line[:4] for line in lines[1:4]] == ["  - "] * 3
    assert not (tmp_path / "cache" / "cifar10.bin").exists()
    assert list((tmp_path / "figures").iterdir()) == []
