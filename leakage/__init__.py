"""Losses in, findings out, for anybody's model."""

from leakage.calibration import calibrated, precision, precision_table
from leakage.contrasts import (
    contrast_of_kinds,
    groups_differ,
    holm,
    interval_of_kind,
    paired_contrast,
    verdict,
)
from leakage.estimates import (
    Estimate,
    Losses,
    allowed,
    auc_estimate,
    auc_with_interval,
    chance_advantage,
    clopper_pearson,
    epsilon_lower_bound,
    heldout_estimate,
    measure_leakage,
    nonmembers_needed,
    roc_curve,
    tpr_at_fpr,
)

__all__ = [
    "Estimate",
    "Losses",
    "allowed",
    "auc_estimate",
    "auc_with_interval",
    "calibrated",
    "chance_advantage",
    "clopper_pearson",
    "contrast_of_kinds",
    "epsilon_lower_bound",
    "groups_differ",
    "heldout_estimate",
    "holm",
    "interval_of_kind",
    "measure_leakage",
    "nonmembers_needed",
    "paired_contrast",
    "precision",
    "precision_table",
    "roc_curve",
    "tpr_at_fpr",
    "verdict",
]
