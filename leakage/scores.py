"""Losses from what a classifier says of each class: probabilities or logits, told apart by their values."""

import re
from collections.abc import Sequence

import numpy as np
from scipy import special

from leakage.command_line import BadInput

ROUNDING = 0.01  # of a probability, of the sum of a row of them, and below 0: float16, two digits in a CSV
FEWEST_ROWS = 10  # from which on the values tell what they are not
PERCENT = 30.0  # a single score above it, with none below 0, is hardly a logit: p would be 1 - 1e-13
# Names of columns that stand beside the scores.
NO_SCORES = {
    *("id", "ids", "idx", "index", "image_id", "label", "labels", "target", "targets", "truth", "y_true"),
    *("y_pred", "prediction", "predictions", "predicted", "loss", "losses", "epoch"),
}


def losses_of(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Losses (n,), -log p(true class) in float64, from scores (n, classes) and labels (n,) from 0 on.

    Rows within 0 and 1 that sum to 1, but for rounding, are probabilities, other rows logits. One column is
    that of a binary classifier: p(class 1) or its logit. The loss of logits is log(1 + sum over other classes
    of exp(logit - true logit)), which neither overflows nor cancels. Raises BadInput.
    """
    return losses_of_known(*known_scores(scores), np.asarray(labels))


def losses_of_known(scores: np.ndarray, are_probabilities: bool, labels: np.ndarray) -> np.ndarray:
    """Losses (n,) as losses_of gives them, from what known_scores returns and labels (n,) from 0 on."""
    n, classes = scores.shape
    if labels.shape != (n,):
        raise BadInput(f"{n:,} rows of scores, but {labels.size:,} labels; give one label for each row")
    if not np.isin(labels, np.arange(classes)).all():
        least, most = labels.min(), labels.max()
        raise BadInput(f"{classes} classes, but labels from {least:g} to {most:g}; count them from 0 on")
    true = np.arange(n), labels.astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):
        if are_probabilities:
            return 0 - np.log(np.clip(scores[true], 0, 1))  # 0 and not -0 for p = 1
        differences = scores - scores[true][:, None]
        differences[true] = -np.inf
        losses = np.logaddexp(0, special.logsumexp(differences, axis=1))
    if np.isnan(losses).any():
        raise BadInput("no loss follows from infinite logits; give finite ones")
    return losses


def known_scores(scores: np.ndarray, names: Sequence[str] = ()) -> tuple[np.ndarray, bool]:
    """Scores (n, classes of which there are two or more) in float64, and whether they are probabilities.

    names: of the columns, for messages, if they have any. Raises BadInput for what is neither probabilities
    nor logits, and where a column is no score.
    """
    scores = np.asarray(scores, dtype=float)
    scores = scores.reshape(len(scores), -1)
    within = ((scores >= -ROUNDING) & (scores <= 1 + ROUNDING)).all(axis=1)
    if scores.shape[1] == 1:
        _refuse_odd_column(scores[:, 0], within)
        other = 1 - scores if within.all() else np.zeros_like(scores)
        return np.hstack([other, scores]), bool(within.all())
    with np.errstate(invalid="ignore"):  # of infinite logits
        sums = scores.sum(axis=1)
        distributions = within & (np.abs(sums - 1) <= ROUNDING)
    if distributions.all():
        return scores, True
    if len(scores) >= FEWEST_ROWS:
        _refuse_columns_without_scores(scores, sums, names)
        _refuse_other_scales(scores, sums)
    if within.all() or distributions.mean() > 0.5:
        row = np.argmin(distributions)
        what = f"scores within 0 and 1 do not sum to 1 in each row: {sums[row]:.4g} in row {row + 1:,}"
        raise BadInput(f"{what}; give softmax outputs or logits")
    return scores, False


def _refuse_odd_column(scores: np.ndarray, within: np.ndarray) -> None:
    """Refuses single scores that are neither p(class 1), all within 0 and 1, nor its logit."""
    if len(scores) < FEWEST_ROWS or within.all():
        return
    if within.mean() >= 0.95:
        row = np.argmin(within)
        what = f"nearly all scores lie within 0 and 1, but row {row + 1:,} is {scores[row]:.4g}"
        raise BadInput(f"{what}; give probabilities or logits of class 1")
    if scores.min() >= 0 and scores.max() > PERCENT:
        what = f"scores from {scores.min():.4g} to {scores.max():.4g} are no probabilities, and hardly logits"
        raise BadInput(f"{what}; divide those in per cent by 100")


def _refuse_columns_without_scores(scores: np.ndarray, sums: np.ndarray, names: Sequence[str]) -> None:
    """Refuses an id or a label among the scores: by its name, by whole numbers beside others, or because the
    other columns are probabilities without it."""
    called = names or [str(place + 1) for place in range(scores.shape[1])]
    suspected = [place for place, name in enumerate(names) if name.strip().lower() in NO_SCORES]
    first = slice(FEWEST_ROWS)  # rows that rule out nearly all columns, so that few are looked at as a whole
    whole = _is_whole(scores[first])
    if not whole.all():
        # A class whose score is the same for all is one of reference, whose logit is 0.
        suspected += [
            place
            for place in np.flatnonzero(whole.all(axis=0))
            if _is_whole(scores[:, place]).all() and len(np.unique(scores[:, place])) > 1
        ]
    if scores.shape[1] > 2:
        with np.errstate(invalid="ignore"):
            others_sum_to_1 = (np.abs(sums[first, None] - scores[first] - 1) <= ROUNDING).all(axis=0)
        for place in np.flatnonzero(others_sum_to_1):
            rest = np.delete(scores, place, axis=1)
            if rest.min() >= -ROUNDING and np.abs(rest.sum(axis=1) - 1).max() <= ROUNDING:
                suspected.append(place)
    if suspected:
        what = f"column {called[suspected[0]]} seems to be no score of a class, but an id or a label"
        raise BadInput(f"{what}; name it by --id-column (or --person-column), or leave it out")


def _is_whole(scores: np.ndarray) -> np.ndarray:
    return scores == np.floor(scores)


def _refuse_other_scales(scores: np.ndarray, sums: np.ndarray) -> None:
    """Refuses what is scaled like probabilities, but is none: 0 to 255, per cent, counts, votes."""
    if _is_whole(scores[:FEWEST_ROWS]).all() and _is_whole(scores).all():
        what = f"all scores are whole numbers, {scores.min():g} to {scores.max():g}, no logits"
        raise BadInput(f"{what}; give the network's outputs before they are rounded")
    middle = np.median(sums)
    if np.isfinite(middle) and np.abs(sums - middle).max() <= ROUNDING * abs(middle):
        if abs(middle - 1) <= ROUNDING:
            what = f"the rows sum to 1, but scores run from {scores.min():.4g} to {scores.max():.4g}"
            raise BadInput(f"{what}; give softmax outputs or logits")
        if scores.min() >= -ROUNDING * middle:
            what = f"each row sums to about {middle:.4g}, neither probabilities nor logits"
            raise BadInput(f"{what}; divide by it for probabilities")


# --------------------------------------------------------------------------------------------------- classes


def numbered_classes(labels: np.ndarray, names: Sequence[str], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) as places of columns, and the order of the columns by which a class is found at its number.

    labels: texts. names: of the columns, none if they have no names. If all labels are names of columns, they
    are matched by name. Else labels are numbers from 0 on, and columns whose names end in numbers, as p0,
    p10, p2, are in the order of these. Raises BadInput.
    """
    order = np.arange(classes)
    places = {name: place for place, name in enumerate(names)}
    if len(names) == classes > 1 and set(labels) <= places.keys():
        return np.array([places[label] for label in labels]), order
    try:
        numbers = labels.astype(float)
    except ValueError:
        unknown = next(label for label in labels if label not in places)
        columns = ", ".join(names) or "no names"
        raise BadInput(f"label {unknown} is no column's name ({columns}); number classes from 0 on") from None
    endings = [re.fullmatch(r"(.*?)(\d+)", name, re.DOTALL) for name in names]
    if len(names) == classes > 1 and all(endings) and len({found[1] for found in endings}) == 1:
        order = np.argsort([int(found[2]) for found in endings], kind="stable")
    return numbers, order
