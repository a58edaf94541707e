"""Write credit_sample.csv, a fictional stand-in for the Kaggle credit file.

laplace.py must run where Kaggle's file (parisrohan/credit-score-classification, test.csv) is out of reach.
This script makes up 12,500 customers with two monthly rows each, whose columns have the real ones'
distributions and the same kinds of dirt. It knows the real file by rounded summary numbers only: the anchors
and counts below. No row describes a person. The customer ids have the real format, but are drawn at random
from 0xc800 to 0xffff, above every real id, so that no row can be taken for a real customer's.

Each number is drawn through a piecewise-linear inverse distribution function. The ranks put into it are
stratified, one in each of n equal slices of 0 to 1, so that the quantiles of the sample lie on the anchors.
Columns are drawn independently: correlations between them are not reproduced.

    python data/make_credit_sample.py

takes a few seconds and writes the file beside the script, the same bytes every time.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

OUTPUT = Path(__file__).with_name("credit_sample.csv")
SEED = 2026
CUSTOMERS = 12_500
FIRST_ID, ID_COUNT = 0xC800, 0x3800

# The dirt, as the number of rows in each month, rounded from the real file.
MONTHS = ("November", "December")
INCOMES_WITH_UNDERSCORE = (800, 900)
WRONG_INCOMES = (145, 145)  # the real November has 118; December, the month that is studied, sets the rate
INVESTED_DIRT = ({"": 550, "__10000__": 590}, {"": 580, "__10000__": 510})
BALANCE_DIRT = ({"": 130}, {"": 144, "__-333333333333333333333333333__": 3})

# Points (share of the customers at or below, value) of the distribution functions.
# fmt: off
INCOME = (  # currency units a year; the humps on a log axis lie where the share grows fastest
    (0, 7_000), (0.026, 8_500), (0.07, 10_700), (0.091, 13_900), (0.123, 15_000), (0.213, 18_000),
    (0.284, 20_500), (0.312, 22_000), (0.347, 27_000), (0.4, 31_000), (0.451, 34_000), (0.532, 40_000),
    (0.583, 45_000), (0.62, 53_000), (0.664, 59_500), (0.708, 65_000), (0.771, 75_000), (0.843, 90_000),
    (0.903, 110_000), (0.949, 130_000), (0.961, 135_000), (0.98, 150_000), (1, 180_000),
)
WRONG_INCOME = (
    (0, 358_000), (0.01, 750_000), (0.05, 2_100_000), (0.13, 3_600_000), (0.25, 6_000_000),
    (0.5, 11_100_000), (0.75, 17_200_000), (0.9, 21_200_000), (0.99, 24_000_000), (1, 24_120_000),
)
UTILIZATION = (  # per cent
    (0, 20.6), (0.01, 22.8), (0.05, 24.3), (0.1, 25.4), (0.25, 28.1), (0.5, 32.3), (0.75, 36.4), (0.9, 39),
    (0.95, 40.2), (0.99, 42.4), (1, 48.5),
)
INVESTED = (  # US dollars a month; a few customers invest nothing
    (0, 0), (0.002, 0), (0.01, 16), (0.05, 30.5), (0.1, 42.7), (0.25, 72.5), (0.5, 129.5), (0.65, 182),
    (0.75, 236), (0.85, 342), (0.9, 436), (0.95, 608), (0.99, 980), (1, 1_900),
)
BALANCE = (  # US dollars
    (0, 1), (0.01, 69), (0.05, 177), (0.1, 218), (0.25, 271), (0.5, 337), (0.65, 404), (0.75, 472),
    (0.85, 607), (0.9, 712), (0.95, 861), (0.99, 1_130), (1, 1_560),
)
# fmt: on


def make_sample(seed: int) -> pd.DataFrame:
    """Return the sample, every cell a string as it stands in the file.

    Two rows a customer, one for each of MONTHS, next to each other; columns named and ordered as in the
    Kaggle file. Raises ValueError for a negative seed.
    """
    # Of Generator's methods only random() is used: the others may change their stream between releases.
    rng = np.random.Generator(np.random.PCG64(seed))
    ids = [f"CUS_0x{FIRST_ID + i:x}" for i in _shuffled(rng, ID_COUNT)[:CUSTOMERS]]
    usual_income = _draw(rng, CUSTOMERS, INCOME)
    # Slices of one permutation: a customer whose income is wrong in one month has it right in the other.
    wrong_rows = np.split(_shuffled(rng, CUSTOMERS)[: sum(WRONG_INCOMES)], np.cumsum(WRONG_INCOMES)[:-1])
    frames = []
    for i, month in enumerate(MONTHS):
        income = usual_income.copy()
        income[wrong_rows[i]] = np.floor(_draw(rng, WRONG_INCOMES[i], WRONG_INCOME))
        income_text = _text(income)
        for row in _shuffled(rng, CUSTOMERS)[: INCOMES_WITH_UNDERSCORE[i]]:
            income_text[row] += "_"
        invested = _text(_draw(rng, CUSTOMERS, INVESTED))
        _soil(rng, invested, INVESTED_DIRT[i])
        balance = _text(_draw(rng, CUSTOMERS, BALANCE))
        _soil(rng, balance, BALANCE_DIRT[i])
        columns = {
            "Customer_ID": ids,
            "Month": month,
            "Annual_Income": income_text,
            "Credit_Utilization_Ratio": _text(_draw(rng, CUSTOMERS, UTILIZATION)),
            "Amount_invested_monthly": invested,
            "Monthly_Balance": balance,
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames).sort_index(kind="stable").reset_index(drop=True)


def _shuffled(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.argsort(rng.random(n), kind="stable")


def _draw(rng: np.random.Generator, n: int, anchors: tuple) -> np.ndarray:
    ranks = (_shuffled(rng, n) + rng.random(n)) / n
    shares, values = zip(*anchors, strict=True)
    return np.interp(ranks, shares, values)


def _text(numbers: np.ndarray) -> list[str]:
    # Python's shortest form, which the Kaggle file uses too: 131313.4, not 131313.40, and 24000000.0.
    return [str(number) for number in numbers.round(2).tolist()]


def _soil(rng: np.random.Generator, cells: list[str], dirt: dict[str, int]) -> None:
    texts = [text for text, count in dirt.items() for _ in range(count)]
    for row, text in zip(_shuffled(rng, len(cells)), texts, strict=False):
        cells[row] = text


def main(output: Path = OUTPUT) -> None:
    """Write the sample to `output`, whole or not at all; leave with one line if it cannot be written."""
    content = make_sample(SEED).to_csv(index=False, lineterminator="\n").encode("ascii")
    part = output.with_name(f"{output.name}.part")
    try:
        part.write_bytes(content)
        part.replace(output)
    except OSError as error:
        part.unlink(missing_ok=True)
        sys.exit(f"Cannot write {output}: {error.strerror}. Its folder must be writable, with 3 MB free.")
    print(f"{output}: {CUSTOMERS:,} fictional customers, {len(content) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
