"""The report of an audit as one HTML file, which needs no script, no network and no other file.

For those who were not there: what was audited, how, with what result, and within which limits. Everything
that comes from the data is escaped. It prints on at most three pages A4.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape

import pandas as pd

from leakage.command_line import short
from leakage.wording import (
    IS_NOT,
    SHOWN_GROUPS,
    assumed,
    checked,
    glossary_of,
    groups_table,
    measures_table,
    not_checked,
    words_on_groups,
    words_on_measures,
)

SHOWN_ROWS = 18  # of the table of measures: of a mean and one training, by two attacks
SHOWN_INPUTS = 10
SHOWN_WARNINGS = 5
LETTERS = 280  # of a command or a warning
# All rules are for the report alone, so that a notebook keeps its look.
STYLE = """
.leakage-audit { font: 10.5pt/1.35 Helvetica, Arial, "Liberation Sans", sans-serif;
  color: #111; background: #fff;
  max-width: 52em; padding: 0.5em 1em; overflow-wrap: anywhere; }
.leakage-audit h1 { font-size: 1.5em; margin: 0 0 0.1em; }
.leakage-audit h2 { font-size: 1.1em; margin: 1em 0 0.3em; border-bottom: 1px solid #999;
  break-after: avoid; }
.leakage-audit p, .leakage-audit ul, .leakage-audit dl { margin: 0.3em 0; }
.leakage-audit ul { padding-left: 1.3em; }
.leakage-audit .answer { border-left: 5px solid #0072B2; padding: 0.2em 0.8em; background: #f2f6fa; }
.leakage-audit .answer p:first-child { font-weight: bold; }
.leakage-audit .warning { border-left: 5px solid #D55E00; padding: 0.2em 0.8em; }
.leakage-audit table { border-collapse: collapse; font-size: 0.85em; margin: 0.4em 0; }
.leakage-audit th, .leakage-audit td { padding: 0.1em 0.7em 0.1em 0; text-align: left;
  border-bottom: 1px solid #ddd; background: #fff; color: #111; }
.leakage-audit tr { break-inside: avoid; }
.leakage-audit img { width: 100%; max-width: 48em; break-inside: avoid; }
.leakage-audit dt { font-weight: bold; float: left; clear: left; margin-right: 0.5em; }
.leakage-audit dd { margin: 0 0 0.15em; }
.leakage-audit .small { font-size: 0.85em; }
@media print { .leakage-audit { font-size: 8pt; max-width: none; padding: 0; }
  .leakage-audit img { max-width: 13.5cm; } }
@page { size: A4; margin: 13mm; }
"""


def page_of(report: Mapping, figure: bytes) -> str:
    """The whole file. figure: a PNG file's content."""
    title = escape(report["title"])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n</head>\n"
        f"<body>\n{body_of(report, figure)}</body>\n</html>\n"
    )


def body_of(report: Mapping, figure: bytes) -> str:
    """The report without the frame of a file, as a notebook's cell shows it."""
    picture = base64.b64encode(figure).decode()
    parts = [
        f"<style>{STYLE}</style>",
        '<div class="leakage-audit">',
        f"<h1>{escape(report['title'])}</h1>",
        f'<p class="small">{escape(report["date"])}. {_what_was_audited(report)}</p>',
        f'<div class="answer">{_paragraphs(report["verdict"])}</div>',
        f"<p><b>What it means.</b> {escape(report['meaning'])}</p>",
        *_warnings(report),
        f'<img alt="ROC curves, and where the losses lie" src="data:image/png;base64,{picture}">',
        "<h2>What was measured</h2>",
        _table(measures_table(report), SHOWN_ROWS),
        _paragraphs(words_on_measures(report)),
        *_groups(report),
        "<h2>What was checked</h2>",
        _list(checked(report)),
        "<h2>What is assumed</h2>",
        _list(assumed(report)),
        "<h2>What no file can show, and was not checked</h2>",
        _list(not_checked(report)),
        "<h2>What this audit is not</h2>",
        _list(IS_NOT),
        "<h2>From what, and how</h2>",
        *_inputs(report),
        "<h2>Words</h2>",
        '<dl class="small">',
        *(f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in glossary_of(report)),
        "</dl>",
        f'<p class="small"><br>Audited by: {"_" * 24} &nbsp; Date, signature: {"_" * 24}</p>',
        "</div>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _what_was_audited(report: Mapping) -> str:
    first, judged = (report["trainings"][0][attack] for attack in ("loss", report["attack"]))
    trainings = len(report["trainings"])
    models = "one trained model" if trainings == 1 else f"{trainings} trainings of one kind of model"
    by = "its losses" if trainings == 1 else "their losses"
    if report["attack"] == "calibrated":
        by += ", and those of reference models"
    words = (
        f"Audited: {models}, by {by} on {first['members']:,} records that it was trained on and "
        f"{first['nonmembers']:,} others"
    )
    if report["trainings"][0]["left_out"]:
        words += f", of which the references can judge {judged['members']:,} and {judged['nonmembers']:,}"
    words += "."
    if "against" in report:
        others = len(report["against"])
        other = "another model" if others == 1 else f"{others} trainings of another kind"
        words += f" By the loss it is compared with {other}."
    return words


def _warnings(report: Mapping) -> list[str]:
    warnings = report["warnings"]
    shown = [short(words, LETTERS) for words in warnings[:SHOWN_WARNINGS]]
    if len(warnings) > SHOWN_WARNINGS:
        shown.append(f"{len(warnings) - SHOWN_WARNINGS} more are in audit.json.")
    return [f'<p class="warning"><b>Warning.</b> {escape(words)}</p>' for words in shown]


def _groups(report: Mapping) -> list[str]:
    parts = []
    for name, heading in {"groups": "Groups", "classes": "Classes"}.items():
        if name in report and report[name]["compared"]:
            parts += [
                f"<h2>{heading}</h2>",
                _table(groups_table(report[name]), SHOWN_GROUPS),
                _paragraphs([words_on_groups(report[name])]),
            ]
    return parts


def _inputs(report: Mapping) -> list[str]:
    inputs = report["inputs"]
    table = pd.DataFrame(
        [(short(each["name"], 60), f"{each['bytes']:,}", each["sha256"]) for each in inputs],
        columns=["input", "bytes", "SHA-256"],
    )
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return [
        _table(table, SHOWN_INPUTS) if len(table) else "",
        f'<p class="small">Command: <code>{escape(short(report["command"], LETTERS))}</code></p>',
        f'<p class="small">{escape(report["version"])}; {escape(versions)}. The attack calls a record a '
        "member if its loss is below a threshold. Every number, with its interval, is in audit.json.</p>",
    ]


def _paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _table(table: pd.DataFrame, most: int) -> str:
    """The first rows of a table, and how many more there are."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in table)
    rows = [
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table.head(most).itertuples(index=False)
    ]
    more = (
        f'<p class="small">{len(table) - most:,} more rows are in audit.json.</p>'
        if len(table) > most
        else ""
    )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>{more}"
