"""Losses in, findings out, for anybody's model."""

import os
import sys

# A notebook tells the programs that its cells start which backend is to show figures, and matplotlib refuses
# to be imported where there is no such backend. Here figures are only written, so it need not be there.
if os.environ.get("MPLBACKEND") and "matplotlib" not in sys.modules:
    _backend = os.environ.pop("MPLBACKEND")
    import matplotlib

    try:
        matplotlib.rcParams["backend"] = _backend  # what matplotlib does itself
        os.environ["MPLBACKEND"] = _backend
    except ValueError:
        pass

from leakage.calibration import calibrated, calibrated_trainings, precision, precision_table
from leakage.contrasts import (
    contrast_of_kinds,
    gain_of_attack,
    gain_of_calibration,
    groups_differ,
    interval_of_kind,
    paired_contrast,
    verdict,
)
from leakage.estimates import (
    FAMILY,
    Estimate,
    Losses,
    allowed,
    auc_estimate,
    auc_with_interval,
    clopper_pearson,
    detectable_auc,
    evidence_of_leak,
    heldout_estimate,
    mean_by_person,
    measure_leakage,
    nonmembers_needed,
    roc_curve,
    rows_a_person,
)
from leakage.lower_bound import (
    common_bound,
    confidence_of_each,
    epsilon_lower_bound,
    epsilon_lower_bounds,
    fair_sides,
)

__all__ = [
    "FAMILY",
    "Estimate",
    "Losses",
    "allowed",
    "auc_estimate",
    "auc_with_interval",
    "calibrated",
    "calibrated_trainings",
    "clopper_pearson",
    "common_bound",
    "confidence_of_each",
    "contrast_of_kinds",
    "detectable_auc",
    "epsilon_lower_bound",
    "epsilon_lower_bounds",
    "evidence_of_leak",
    "fair_sides",
    "gain_of_attack",
    "gain_of_calibration",
    "groups_differ",
    "heldout_estimate",
    "interval_of_kind",
    "mean_by_person",
    "measure_leakage",
    "nonmembers_needed",
    "paired_contrast",
    "precision",
    "precision_table",
    "roc_curve",
    "rows_a_person",
    "verdict",
]
