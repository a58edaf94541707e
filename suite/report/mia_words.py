"""What study 1 says in words, on the console and above its figures, from its tables alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from leakage.command_line import show
from leakage.contrasts import NO_DIFFERENCE, NO_VERDICT, SIGNIFICANCE
from leakage.estimates import Z
from suite.report.mia_tables import (
    FEW_TRAININGS,
    NONE,
    Study,
    classes_differ,
    extremes_table,
    gains_table,
    last_epoch,
    models_table,
    pairs_table,
    precisions_table,
    sensitivity_table,
    with_interval,
)
from suite.study.findings import AS_REPORTED, CALIBRATED
from suite.support.command_line import in_lines

FALSE_ALARM = 1e-4  # probability that one untrained model raises the alarm although nothing is wrong


# -------------------------------------------------------------------------------------------- above figures


def answer_of(pairs: pd.DataFrame) -> str:
    """The verdicts on an experiment's pairs in one sentence; where they differ, each with what its pairs have
    in common, or with the attack."""
    reported = pairs[pairs["variant"] == AS_REPORTED]
    several_pairs = len(reported[["first", "second"]].drop_duplicates()) > 1
    several_attacks = len(reported["attack"].unique()) > 1
    about: dict[str, list[str]] = {}
    # What was found comes before what was not.
    for _, row in reported.sort_values(
        "verdict", key=lambda said: said == NO_DIFFERENCE, kind="stable"
    ).iterrows():
        # A verdict that finds a difference names its models itself.
        names = f"{row['first']} - {row['second']}" if row["verdict"] == NO_DIFFERENCE else ""
        which = [(row["equal"] or names) * several_pairs, f"{row['attack']} attack" * several_attacks]
        about.setdefault(row["verdict"], []).extend([", ".join(filter(None, which))] * any(which))
    if list(about) == [NO_VERDICT]:
        answer = "no verdict from one training of each model"
    elif len(about) == 1:
        answer = f"{next(iter(about))}{' by either attack' * several_attacks}"
    else:
        answer = "; ".join(
            f"{said} ({' and '.join(which)})" if which else said for said, which in about.items()
        )
    # A model's name stays as it is.
    begins_with_no = next(iter(about)) in (NO_DIFFERENCE, NO_VERDICT)
    return answer[0].upper() + answer[1:] if begins_with_no else answer


def finding_of(pairs: pd.DataFrame) -> str:
    """The answer as a sentence by itself, above a figure: with the names of the models where it has none."""
    answer, named = answer_of(pairs), pairs[["first", "second"]].drop_duplicates()
    if answer.lower() == NO_DIFFERENCE and len(named) == 1:
        return f"{answer} between {' and '.join(named.iloc[0])}"
    return answer


def who_leaks(study: Study) -> str:
    """In how many of the models the attack finds more than chance."""
    leaking = study.kinds[study.kinds["variant"] == AS_REPORTED].set_index("model")["auc_low"] > 0.5
    if len(leaking) == 1:
        return f"{leaking.index[0]} {'leaks' if leaking.all() else 'is not shown to leak'}"
    return f"{'All' if leaking.all() else f'{leaking.sum()} of'} {len(leaking)} models leak"


def span(ends: Sequence[str]) -> str:
    """From one end to the other; one alone if both are the same."""
    return " to ".join(dict.fromkeys(ends))


def leaking_sentence(study: Study) -> str:
    """How many of the models leak, and how much."""
    aucs = study.kinds.loc[study.kinds["variant"] == AS_REPORTED, "auc"]
    ends = [f"{auc:.3f}" for auc in (aucs.min(), aucs.max())]
    return f"{who_leaks(study)}: AUC {span(ends)}, where chance is 0.5 and certainty 1"


def gains(study: Study) -> pd.DataFrame:
    """By model, the mean over its trainings of what the calibrated attack adds to the AUC; and whether that
    is sure: whether each training's interval over examples lies above 0."""
    by_model = last_epoch(study.of(CALIBRATED).results).groupby("model", sort=False)
    return pd.DataFrame({"mean": by_model["auc_gain"].mean(), "sure": by_model["auc_gain_low"].min() > 0})


def gain_sentence(study: Study) -> str:
    """How much more the calibrated attack finds than the threshold attack on the same targets."""
    found = gains(study)
    by = span([f"{found['mean'].min():+.3f}", f"{found['mean'].max():+.3f}"])
    if found["sure"].all():
        where = f" in all {len(found)} models" if len(found) > 1 else ""
        return f"Reference models make the attack find more{where}: AUC {by}"
    return (
        f"Calibration by reference models changes the AUC by {by}; the gain is sure in {found['sure'].sum()} "
        f"of {len(found)} models"
    )


# ---------------------------------------------------------------------------------------- answers of an act


def attack_answers(study: Study, questions: dict[str, str]) -> list[str]:
    """Act one: whether the models leak; then, where there are verdicts, each experiment."""
    kinds = study.kinds[study.kinds["variant"] == AS_REPORTED].set_index("model")
    ends = [
        f"{with_interval(kinds.loc[model], 'auc')} ({model})"
        for model in (kinds["auc"].idxmin(), kinds["auc"].idxmax())
    ]
    judged = study.pairs.groupby("experiment", sort=False)["verdict"].first()
    return [
        f"{who_leaks(study)}: AUC {span(ends)}, where chance is 0.5.",
        *(
            _experiment_answer(study, experiment, questions[experiment])
            for experiment, verdict in judged.items()
            if not verdict.startswith(NONE)
        ),
    ]


def stronger_answers(study: Study, questions: dict[str, str]) -> list[str]:
    """Act two: what reference models add."""
    found, told = gains(study), gains_table(study).set_index("model")["gain in AUC"]
    ends = [f"{told[model]} ({model})" for model in (found["mean"].idxmin(), found["mean"].idxmax())]
    return [
        f"With reference models the attack surely finds more in {found['sure'].sum()} of {len(found)} "
        f"models: {span(ends)} in AUC."
    ]


def defence_answers(study: Study, questions: dict[str, str]) -> list[str]:
    """Act three: what private training changes, and the bound that no attack exceeds."""
    private = last_epoch(study.results).dropna(subset="advantage_bound")
    return [
        *(_experiment_answer(study, name, questions[name]) for name in study.pairs["experiment"].unique()),
        *(
            f"No attack on {model} can exceed an advantage of {rows['advantage_bound'].max():.3f}; the "
            f"largest held-out one measured is {rows['heldout_advantage'].max():z.3f}."
            for model, rows in private.groupby("model", sort=False)
        ),
    ]


def _experiment_answer(study: Study, experiment: str, question: str) -> str:
    """The question, the verdicts on its pairs, and their differences with intervals."""
    pairs = study.pairs[(study.pairs["experiment"] == experiment) & (study.pairs["variant"] == AS_REPORTED)]
    by_attack = len(pairs["attack"].unique()) > 1
    differences = [
        f"{row['attack'] if by_attack else row['first'] + ' - ' + row['second']} "
        f"{with_interval(row, 'auc_difference', '+')}"
        for _, row in pairs.iterrows()
    ]
    return f"{question} {answer_of(pairs)}. In AUC: {'; '.join(differences)}."


# ------------------------------------------------------------------------------------------- on the console


def finished_line(name: str, training: dict) -> str:
    """One line for a finished training."""
    return (
        f"{name:>25}  epoch {training['epochs'][-1]:3}  "
        f"train {training['train_accuracy'][-1]:.4f}  test {training['test_accuracy'][-1]:.4f}"
    )


def control_sentence(results: pd.DataFrame) -> str:
    """On epoch 0: an untrained model has seen no image, so nothing it says can give one away."""
    untrained = results[results["epoch"] == 0]
    low, high = special.logit(untrained["auc_low"]), special.logit(untrained["auc_high"])
    misses = ((low > 0) | (high < 0)).sum()
    standard_errors = np.abs(special.logit(untrained["auc"])) / ((high - low) / (2 * Z))
    loud = untrained[standard_errors > -special.ndtri(FALSE_ALARM / 2)]
    sentence = (
        f"Control: {len(untrained)} untrained models have AUCs from {untrained['auc'].min():.4f} to "
        f"{untrained['auc'].max():.4f}; {misses} of the 95% intervals miss 0.5 "
        f"({len(untrained) / 20:.1f} expected)."
    )
    if len(loud):
        names = ", ".join(f"{row.model} (seed {row.seed})" for row in loud.itertuples())
        sentence += (
            f"\nWARNING: UNTRAINED MODELS SEEM TO LEAK: {names}. Members and non-members differ before any "
            "training, so this run does not measure leakage alone. Check where the images come from."
        )
    return sentence


def class_sentence(study: Study, class_names: Sequence[str]) -> str:
    """Which models' classes differ, and if so which are among the most exposed: a line for each such model,
    and one for all others."""
    lines, alike, unknown = [], [], []
    last = last_epoch(study.results)
    for model, p in classes_differ(study).items():
        rows = last[last["model"] == model]
        means = pd.Series({name: rows[f"auc_{name}"].mean() for name in class_names}).dropna()
        if pd.isna(p):
            unknown.append(model)
        elif p < SIGNIFICANCE:
            lines.append(
                f"{model}: its classes differ (p = {p:.2g}); {means.idxmax()} is among the most exposed "
                f"({means.max():.3f}), {means.idxmin()} among the least ({means.min():.3f})."
            )
        else:
            alike.append(f"{model} (p = {p:.2g})")
    if alike:
        lines.append(f"No difference between its classes can be shown in {', '.join(alike)}.")
    if unknown:
        lines.append(f"A class has too few images to compare the classes of {', '.join(unknown)}.")
    return "\n".join(lines)


def caution(trainings: int) -> str:
    """What may not be concluded from so many trainings of each model."""
    if trainings == 1:
        return (
            "One training of each model: intervals are over examples, for these very models; nothing can be "
            "concluded about kinds of model. Try --seeds 5."
        )
    if trainings < FEW_TRAININGS:
        return (
            f"{trainings} trainings of each model: intervals are so wide that “no difference can be shown” "
            "says little. Try --seeds 5."
        )
    return ""


def print_conclusion(
    study: Study, answers: Sequence[str], class_names: Sequence[str], rehearsal: bool = False
) -> None:
    """All that is to be said at the end of an act: its answers, then for each attack tables and, unless this
    is a rehearsal, what they say."""
    print("", *map(in_lines, answers), sep="\n")
    words = caution(int(study.kinds["trainings"].min()))
    if words and not rehearsal:
        print(in_lines(words))
    for attack in study.results["attack"].unique():
        part = study.of(attack)
        _print_tables(part, attack)
        if not rehearsal:
            _print_words(part, attack, class_names)


def _print_tables(study: Study, attack: str) -> None:
    over = study.kinds["over"].iloc[0]
    epochs = last_epoch(study.results)["epoch"]
    last = " or ".join(f"{epoch}" for epoch in sorted(epochs.unique()))
    print(f"\nThe {attack} attack after the last epoch ({last}); in brackets")
    print(f"95% intervals over {over}. Chance: AUC 0.5, held-out advantage 0.")
    show(models_table(study))
    print("\nMembers named, and non-members recognised, almost without mistakes: value [interval over")
    print("examples], what chance gives")
    show(extremes_table(study))
    if len(study.pairs):
        print("\nFirst minus second")
        show(pairs_table(study))
    print("\nAUC, looked at in other ways (described, not judged)")
    show(sensitivity_table(study))
    if attack == CALIBRATED:
        print("\nThe calibrated attack less the threshold attack on the same targets, over examples")
        show(gains_table(study))
        named = precisions_table(study)
        if len(named):
            print("\nOf those named at 0.1% FPR, how many are members")
            show(named)


def _print_words(study: Study, attack: str, class_names: Sequence[str]) -> None:
    control = [] if attack == CALIBRATED else [control_sentence(study.results)]
    print("", *map(in_lines, [*control, class_sentence(study, class_names)]), sep="\n")
    stable: dict[str, list[str]] = {}
    for (model, _), exposure in study.exposures.items():
        stable.setdefault(exposure.stability, []).append(model)
    for words, models in stable.items():
        print(in_lines(f"{', '.join(models)}: {words}"))
