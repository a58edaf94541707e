"""The report of measure_leakage for anybody's losses, from two files. Imports no TensorFlow."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from leakage.estimates import LOW_FPRS, measure_leakage
from report.mia_figures import audit_figure
from support.command_line import BadInput, show
from support.files import output_folder
from support.look import save_figures


def audit(
    member_file: str | os.PathLike, nonmember_file: str | os.PathLike, figures: str | os.PathLike
) -> dict[str, float]:
    """Prints the report, and writes mia_audit.png into the folder `figures`.

    The files hold one loss per example, of members and of non-members: .npy, or a CSV of one column.
    """
    members, nonmembers = read_losses(member_file), read_losses(nonmember_file)
    report = measure_leakage(members, nonmembers)
    remark = f"{Path(member_file).name} against {Path(nonmember_file).name}"
    figure = audit_figure(members, nonmembers, report, remark)
    folder = output_folder(figures)
    counts = f"{len(members):,} members, {len(nonmembers):,} non-members"
    print(f"{remark}: {counts}; 95% intervals over the examples\n")
    show(audit_table(report))
    save_figures(folder, {"mia_audit.png": figure})
    print(f"\nmia_audit.png written into {folder}")
    return report


def read_losses(path: str | os.PathLike) -> np.ndarray:
    """Losses (n,) from a .npy file, or from a CSV of one column, with or without a header; else BadInput."""
    try:
        if Path(path).suffix == ".npy":
            losses = np.load(path, allow_pickle=False)
        else:
            lines = [line.strip() for line in Path(path).read_text().splitlines() if line.strip()]
            losses = np.array(lines[len(lines) > 1 and not _is_number(lines[0]) :], dtype=float)
        if losses.dtype.kind not in "iuf":
            raise ValueError(f"it holds {losses.dtype}, not numbers")
        if losses.ndim != 1 or not len(losses):
            raise ValueError(f"its shape is {losses.shape}, not one row of at least one number")
        if np.isnan(losses).any():
            raise ValueError(f"it holds {np.isnan(losses).sum():,} NaN")
    except (OSError, ValueError, EOFError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise BadInput(
            f"{path}: {reason}; give one loss per example, as .npy or as a CSV of one column"
        ) from None
    return losses.astype(float)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def audit_table(report: dict[str, float]) -> pd.DataFrame:
    """One row per measure: its value, its 95% interval, and what it would be if nothing leaked."""
    null = {"auc": 0.5, "heldout_advantage": 0.0, "advantage": report["null_advantage"]}
    names = {"auc": "AUC", "heldout_advantage": "held-out advantage", "advantage": "advantage, same examples"}
    for name, fpr in LOW_FPRS.items():
        names[f"tpr_at_{name}_fpr"] = (
            f"TPR at {fpr:.1%} FPR (realised {report[f'realised_fpr_at_{name}']:.2%})"
        )
        null[f"tpr_at_{name}_fpr"] = report[f"realised_fpr_at_{name}"]
    return pd.DataFrame(
        {
            "measure": names[measure],
            "value": f"{report[measure]:.4f}",
            "95% interval": f"[{report[f'{measure}_low']:.4f}, {report[f'{measure}_high']:.4f}]"
            if f"{measure}_low" in report
            else "",
            "if nothing leaks": f"{null[measure]:.4f}",
        }
        for measure in names
    )
