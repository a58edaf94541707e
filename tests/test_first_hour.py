"""The scripts on a stranger's machine: what is set or missing there, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("mia", "laplace")
# What a notebook hands on to `!python laplace.py`, into an environment that need not have it.
NOTEBOOK_BACKEND = "module://matplotlib_inline.backend_inline"
HOSTILE_STYLE = "text.usetex: True\naxes.facecolor: black\nfont.size: 30\n"
OWN_PACKAGES = ("data", "report", "support", "study", "training", "jobs", "sources")


def start(*words, **options):
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def laplace(folder, *options, environment=()):
    words = [
        *options,
        ROOT / "laplace.py",
        "--data",
        ROOT / "data" / "credit_sample.csv",
        "--figures",
        folder,
    ]
    return start(*words, env=os.environ | dict(environment))


def pictures(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_neither_settings_nor_options_change_a_picture(tmp_path):
    """A notebook's backend, a matplotlibrc, a console that knows no ±, and -P, all at once."""
    plain = laplace(tmp_path / "plain")
    assert (plain.returncode, plain.stderr) == (0, "")
    style = tmp_path / "matplotlibrc"
    style.write_text(HOSTILE_STYLE)
    environment = {
        "MPLBACKEND": NOTEBOOK_BACKEND,
        "MATPLOTLIBRC": str(style),
        "PYTHONIOENCODING": "ascii",
        "PYTHONPATH": str(ROOT),  # without which -P leaves out the script's own folder
    }
    done = laplace(tmp_path / "figures", "-P", environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "±" in plain.stdout
    said = plain.stdout.encode("ascii", "replace").decode().splitlines()
    assert done.stdout.splitlines()[:-2] == said[:-2]  # the last two name the folder
    assert pictures(tmp_path / "figures") == pictures(tmp_path / "plain")


@pytest.mark.parametrize(
    "program", [["laplace.py"], ["mia.py"], ["-m", "leakage"]], ids=lambda words: words[-1]
)
@pytest.mark.parametrize("backend", [NOTEBOOK_BACKEND, "of a typing error"])
def test_a_backend_that_is_not_there_stops_no_program(program, backend):
    done = start(*program, "--help", cwd=ROOT, env=os.environ | {"MPLBACKEND": backend})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("backend", "left"), [("svg", "svg svg"), (NOTEBOOK_BACKEND, "None")])
def test_a_backend_that_is_there_stays_the_users(backend, left):
    """And one that is not there is not handed on to the workers, which import matplotlib too."""
    code = (
        "import os, sys, leakage; left = [os.environ.get('MPLBACKEND')]; import matplotlib\n"
        "print(*left, *[matplotlib.get_backend() for _ in left if left != [None]])"
    )
    path = f"import sys; sys.modules['matplotlib_inline'] = None; {code}"  # it may be installed
    done = start("-c", path, cwd=ROOT, env=os.environ | {"MPLBACKEND": backend})
    assert done.stdout == f"{left}\n"


def test_without_the_packages_of_mia_it_says_which_to_install():
    """As after `pip install -r requirements/laplace.txt`. A module that is None cannot be imported."""
    code = (
        "import sys, importlib.util as util, runpy; found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'loky' else found(name, *rest)\n"
        "sys.modules['loky'] = None\n"
        f"runpy.run_path({str(ROOT / 'mia.py')!r}, run_name='__main__')"
    )
    done = start("-c", code, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mia.py: needs more packages: pip install -r requirements.txt\n"


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_old_python_is_one_line(script):
    path = str(ROOT / f"{script}.py")
    code = f"import sys, runpy; sys.version_info = (3, 10, 4); runpy.run_path({path!r}, run_name='__main__')"
    done = start("-c", code)
    assert done.returncode == 2
    assert done.stderr == f"{script}.py: needs Python 3.11 or later, this is 3.10\n"


@pytest.mark.parametrize("script", SCRIPTS)
def test_importing_a_script_leaves_the_users_own_packages_alone(script, tmp_path):
    """Whether they are loaded before or after; and what Python looks through stays as it was."""
    for name in OWN_PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWN = True\n")
    (tmp_path / "use.py").write_text(
        "import sys\n"
        "before = list(sys.path)\n"
        f"import {', '.join(OWN_PACKAGES[::2])}\n"
        f"import {script}\n"
        f"import {', '.join(OWN_PACKAGES[1::2])}\n"
        "assert sys.path == before\n"
        f"assert all(package.OWN for package in ({', '.join(OWN_PACKAGES)}))\n"
    )
    done = start(tmp_path / "use.py", env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_images_the_message_keeps_its_lines(tmp_path):
    """No network, no npm, nothing prepared or kept; and nothing half-written."""
    closed = "http://127.0.0.1:9"
    environment = {
        "PRIVACY_CACHE": str(tmp_path / "cache"),
        "TFDS_DATA_DIR": str(tmp_path / "nothing"),
        "PATH": str(tmp_path),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), closed),
    }
    code = (
        "import sys, pathlib; from suite.sources import cifar10; import mia\n"
        f"cifar10.OWN_CACHE = pathlib.Path({str(tmp_path / 'own')!r})\n"
        f"sys.argv = ['mia.py', '--quick', '--figures', {str(tmp_path / 'figures')!r}]\n"
        "mia.command_line()"
    )
    done = start("-c", code, cwd=ROOT, env=os.environ | environment)
    assert done.returncode == 2
    lines = done.stderr[done.stderr.index("mia.py:") :].splitlines()
    assert lines[0].startswith("mia.py: CIFAR-10 has not been kept yet")
    assert [line[:4] for line in lines[1:4]] == ["  - "] * 3
    kept = [path for folder in ("cache", "own", "figures") for path in (tmp_path / folder).rglob("*.*")]
    assert kept == []
