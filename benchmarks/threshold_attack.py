"""tensorflow_privacy's threshold attack on two files of losses, as a program of its own; run by leakage.py.

    python benchmarks/threshold_attack.py MEMBERS NONMEMBERS

The files are of np.save. It prints the AUC.
"""

import sys

import numpy as np


def attack(members: np.ndarray, nonmembers: np.ndarray) -> float:
    """AUC by the attack on the entire data set; its advantage is found as well."""
    sys.skip_tf_privacy_import = True  # the library's own switch for stand-alone use
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (
        data_structures,
        membership_inference_attack,
    )

    report = membership_inference_attack.run_attacks(
        data_structures.AttackInputData(loss_train=members, loss_test=nonmembers),
        data_structures.SlicingSpec(entire_dataset=True),
        attack_types=[data_structures.AttackType.THRESHOLD_ATTACK],
    )
    result = report.single_attack_results[0]
    result.get_attacker_advantage()
    return float(result.get_auc())


if __name__ == "__main__":
    print(attack(*map(np.load, sys.argv[1:])))
