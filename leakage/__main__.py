"""python -m leakage MEMBERS NONMEMBERS: the audit."""

from leakage.command_line import starting

with starting("python -m leakage", __name__, "requirements/audit.txt"):
    from leakage.audit import command_line

command_line()
