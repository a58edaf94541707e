"""What the tests of both scripts share."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def run_command_line(monkeypatch, capsys):
    """Runs a script's command line without a new process: exit status, standard output, standard error."""

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [Path(module.__file__).name, *map(str, arguments)])
        try:
            module.command_line()
            status = 0
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return run
