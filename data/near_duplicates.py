"""Which test images of CIFAR-10 nearly equal a training image: the ciFAIR list, 286 test images.

Barz and Denzler 2020, "Do We Train on Test Data? Purging CIFAR of Near-Duplicates". near_duplicates.csv holds
their pairs: the number of the test image, and of the training image, in the original order.
"""

import csv
from pathlib import Path

PAIRS = Path(__file__).with_suffix(".csv")


def near_duplicate_tests() -> list[int]:
    """The numbers of these test images among the test images, in order, each once."""
    with PAIRS.open(newline="") as file:
        return sorted({int(pair["test_image"]) for pair in csv.DictReader(file)})
