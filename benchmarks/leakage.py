"""How long does it take to measure leakage, beside tensorflow_privacy's threshold attack?

On 50,000 member and 10,000 non-member losses in float64, drawn at random. The threshold attack on the entire
data set gives AUC and advantage; measure_leakage gives both with an interval, the held-out advantage, and the
true positive rates at low false positive rates. paired_contrast compares two models on the same images, with
intervals; beside it stand the attack on both models, which has none, and the usual way to an interval: draw
the images again and again, and take scikit-learn's AUC of both models.

    python benchmarks/leakage.py [--rounds N]
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import Row, conditions, in_turn, parser_with_rounds, seconds, table
from leakage.contrasts import paired_contrast
from leakage.estimates import Losses, measure_leakage

ROUNDS = 20
MEMBERS, NONMEMBERS = 50_000, 10_000
BOOTSTRAP, BOOTSTRAP_MEASURED = 1000, 10  # samples for an interval, and samples drawn in a round


def draw(generator: np.random.Generator) -> Losses:
    """Losses like those of an overfit model: most of the members' small, the others' spread wider."""
    return Losses(generator.lognormal(-2, 2, MEMBERS), generator.lognormal(-1, 2.5, NONMEMBERS))


def attack(losses: Losses) -> float:
    """AUC by tensorflow_privacy's threshold attack on the entire data set; its advantage is found as well."""
    sys.skip_tf_privacy_import = True  # the library's own switch for stand-alone use
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (
        data_structures,
        membership_inference_attack,
    )

    report = membership_inference_attack.run_attacks(
        data_structures.AttackInputData(loss_train=losses.members, loss_test=losses.nonmembers),
        data_structures.SlicingSpec(entire_dataset=True),
        attack_types=[data_structures.AttackType.THRESHOLD_ATTACK],
    )
    result = report.single_attack_results[0]
    result.get_attacker_advantage()
    return float(result.get_auc())


def bootstrap(first: Losses, second: Losses, generator: np.random.Generator) -> None:
    """Some of the samples of a paired bootstrap of the difference in AUC."""
    truth = np.repeat([1, 0], [MEMBERS, NONMEMBERS])
    for _ in range(BOOTSTRAP_MEASURED):
        members, nonmembers = (
            generator.integers(MEMBERS, size=MEMBERS),
            generator.integers(NONMEMBERS, size=NONMEMBERS),
        )
        for losses in (first, second):
            roc_auc_score(truth, -np.concatenate([losses.members[members], losses.nonmembers[nonmembers]]))


def main(rounds: int) -> None:
    """Measures and prints the Markdown."""
    generator = np.random.default_rng(0)
    first, second = draw(generator), draw(generator)
    ours = measure_leakage(first.members, first.nonmembers)["auc"]
    if abs(attack(first) - ours) > 1e-9:  # also the first call, which imports the library
        raise SystemExit("the AUCs differ: there is nothing to compare")
    of_one, of_two, resampled, measure, contrast = in_turn(
        rounds,
        *(
            partial(seconds, work)
            for work in (
                lambda: attack(first),
                lambda: [attack(losses) for losses in (first, second)],
                lambda: bootstrap(first, second, generator),
                lambda: measure_leakage(first.members, first.nonmembers),
                lambda: paired_contrast(first, second, ("first", "second")),
            )
        ),
    )
    rows = [
        ("`run_attacks`, against `measure_leakage`", of_one, measure),
        ("`run_attacks` on two models, against `paired_contrast`", of_two, contrast),
        (
            f"bootstrap of {BOOTSTRAP:,} samples, against `paired_contrast`",
            [duration * BOOTSTRAP / BOOTSTRAP_MEASURED for duration in resampled],
            contrast,
        ),
    ]
    milliseconds = [
        Row(what, "ms", *([1000 * duration for duration in side] for side in sides)) for what, *sides in rows
    ]
    print(table("other", "leakage/", milliseconds))
    print(
        f"\nOf the bootstrap {BOOTSTRAP_MEASURED} samples were measured in each round, the rest is computed."
    )
    print(conditions(rounds, "tensorflow-privacy", "scikit-learn", "numpy", "scipy"))


if __name__ == "__main__":
    main(**vars(parser_with_rounds(__doc__, ROUNDS).parse_args()))
