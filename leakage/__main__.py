"""python -m leakage MEMBERS NONMEMBERS: the audit."""

from leakage.audit import command_line

command_line()
