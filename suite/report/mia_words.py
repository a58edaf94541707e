"""What study 1 says in words, on the console and above its figures. All of it is taken from the tables.

Verdicts are read from the table of pairs (suite.study.tables); none is reached here. Of models stopped early,
which are not judged, the words say what their intervals show.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from leakage.command_line import show
from leakage.contrasts import NO_DIFFERENCE, NO_VERDICT
from leakage.contrasts import verdict as verdict_on
from leakage.estimates import POWER, Z
from suite.report.mia_tables import (
    ends_of,
    extremes_table,
    gains_table,
    given_fprs,
    last_epoch,
    limits_table,
    models_table,
    pairs_table,
    precisions_table,
    reported,
    sensitivity_table,
    with_interval,
)
from suite.study.findings import AS_REPORTED, CALIBRATED, STOPPED, THRESHOLD
from suite.study.memorisation import RELIABLE
from suite.study.tables import Study
from suite.support.command_line import in_lines

FALSE_ALARM = 1e-4  # probability that one control raises the alarm although nothing is wrong
ENOUGH_TRAININGS = 12  # with which the intervals are half as wide as with four
FEW_TRAININGS = 6  # with fewer, "no difference can be shown" says little
NAMED_FIRST = 10  # images that are shown
LIMITS_TITLE = (
    "What is certainly leaked, what the attacks reach, and what none can exceed. At least: the median of the "
    "lower bounds on epsilon that each training's coins give, by the stronger attack (95%). Reached: the "
    "largest held-out advantage of a training. At most: proven, for an image in or out by a coin"
)
MEDIUM_LEAK = 0.7  # AUC up to which members' losses are "a little" smaller
# What the first part of a model's name means: "dense4_10c" has four dense layers.
LAYERS = {"cnn": "CNN of {} layers", "dense": "{} dense layers"}


# ------------------------------------------------------------------------------------------------- names


def model_words(rows: pd.DataFrame) -> str:
    """A model in words, from its rows of results: layers, how it was trained, classes, number of members."""
    first = rows.iloc[0]
    words = []
    name = re.match(r"(cnn|dense)(\d+)_", first["model"])
    if name:
        words.append(LAYERS[name[1]].format(name[2]))
    if not pd.isna(first.get("epsilon")):
        words.append(f"DP-SGD at epsilon {first['epsilon']:g}")
    elif first.get("falling_rate"):
        words.append("learning rate falling")
    words.append(f"{first['classes']} classes")
    # Half of the pool: the members of the two trainings of a pair, on average.
    words.append(f"{(first['members'] + first['nonmembers']) // 2:,} members")
    return ", ".join(words)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def span(ends: Sequence[str]) -> str:
    """ "a to b" for two ends that differ, "a" for two that are the same."""
    return " to ".join(dict.fromkeys(ends))


def sentence_case(words: str) -> str:
    """With a capital "No", if that is the first word; a model's name stays as it is."""
    return f"No {words[3:]}" if words.startswith("no ") else words


# ----------------------------------------------------------------------------------------------- verdicts


def is_decided(verdict: str) -> bool:
    """Whether a verdict says that one model leaks more."""
    return verdict not in (NO_DIFFERENCE, NO_VERDICT)


def answer_of(pairs: pd.DataFrame) -> str:
    """The verdicts on an experiment's pairs as one sentence, those that find a difference first."""
    rows = reported(pairs)
    findings = []
    undecided = []
    for (first, second), of_pair in rows.groupby(["first", "second"], sort=False):
        if of_pair["verdict"].map(is_decided).any():
            findings.append(_finding_on_pair(of_pair))
        else:
            undecided.append((first, second, of_pair["verdict"].iloc[0]))
    if not findings:
        answer = undecided[0][2]
        return sentence_case(f"{answer} by either attack" if len(set(rows["attack"])) > 1 else answer)
    for first, second, verdict in undecided:
        findings.append(f"between {first} and {second} {verdict}")
    return "; ".join(findings)


def _finding_on_pair(rows: pd.DataFrame) -> str:
    """The difference that the verdicts on one pair find. rows: one for each attack, at least one decided."""
    decided = rows[rows["verdict"].map(is_decided)]
    if len(rows) == 1:
        return decided["verdict"].iloc[0]
    if len(decided) == 1:
        return f"{decided['verdict'].iloc[0]} by the {decided['attack'].iloc[0]} attack alone"
    if len(set(decided["verdict"])) == 1:
        return f"{decided['verdict'].iloc[0]} by either attack"
    return ", ".join(f"{row['verdict']} by the {row['attack']} attack" for _, row in decided.iterrows())


def finding_of(
    pairs: pd.DataFrame, question: str, names: Mapping[tuple[str, str, str], Sequence[str]]
) -> str:
    """The answer as a sentence above a figure, where it is read without the question; what finds a difference
    comes first.

    names: a pair's two models in words, by the names of the experiment and of the models. Models without such
    words are called by their names. Pairs with the same words are told apart by what their models have in
    common.
    """
    rows = reported(pairs)
    if (rows["verdict"] == NO_VERDICT).any():
        return f"{question} {sentence_case(NO_VERDICT)}"
    of_pairs = [of_pair for _, of_pair in rows.groupby(["first", "second"], sort=False)]
    of_pairs.sort(key=lambda of_pair: not of_pair["verdict"].map(is_decided).any())
    findings: dict[str, list[str]] = {}  # what each is true of
    decided = set()  # the words for the models of pairs with a difference
    for of_pair in of_pairs:
        models, words = _words_for(of_pair, names)
        if of_pair["verdict"].map(is_decided).any():
            decided.add(words)
            finding = _where_more_leaks(of_pair, words)
        else:
            finding = NO_DIFFERENCE
            if words not in decided:
                finding += f" between {listed(words)}"
            if not decided and len(of_pair) > 1:
                finding += ", by either attack"
        findings.setdefault(finding, [])
        if len(of_pairs) > 1 and words != models:
            findings[finding].append(of_pair["equal"].iloc[0] or listed(models))
    answer = "; ".join(f"{each} ({listed(where)})" if where else each for each, where in findings.items())
    return answer[0].upper() + answer[1:]


def _words_for(
    of_pair: pd.DataFrame, names: Mapping[tuple[str, str, str], Sequence[str]]
) -> tuple[tuple[str, str], tuple[str, str]]:
    """The names of a pair's two models, and the words for them: the names again if there are no others."""
    experiment, first, second = of_pair[["experiment", "first", "second"]].iloc[0]
    return (first, second), names.get((experiment, first, second)) or (first, second)


def _where_more_leaks(of_pair: pd.DataFrame, words: Sequence[str]) -> str:
    """From which model of a pair more leaks, and by which attacks; at least one finds a difference. words:
    for the first model and the second."""
    more, less = words
    by_first = [f"more leaks from {more} than from {less}", f"more leaks from {less} than from {more}"]
    decided = of_pair[of_pair["verdict"].map(is_decided)]
    # A verdict begins with the name of the model that leaks more.
    findings = [by_first[row["verdict"].startswith(f"{row['second']} ")] for _, row in decided.iterrows()]
    if len(set(findings)) == 1:
        return findings[0] + (f", {by}" if (by := _by_attacks(of_pair, decided)) else "")
    return "; ".join(
        f"{finding}, by the {attack} attack"
        for finding, attack in zip(findings, decided["attack"], strict=True)
    )


def _by_attacks(of_pair: pd.DataFrame, decided: pd.DataFrame) -> str:
    """Which of the attacks on a pair find the same difference; "" if there is one attack only. decided: the
    rows that find it."""
    if len(of_pair) == 1:
        return ""
    return "by either attack" if len(decided) == 2 else f"by the {decided['attack'].iloc[0]} attack alone"


def defence_sentence(
    study: Study, pairs: pd.DataFrame, question: str, names: Mapping[tuple[str, str, str], Sequence[str]]
) -> str:
    """Whether private training leaks less, and for which models a limit is proven.

    study: with the rows of all attacks on the models of these pairs. pairs, question, names: see finding_of;
    without a pair the sentence says who leaks.
    """
    models = study.results.drop_duplicates("model")
    private = list(models.dropna(subset="epsilon")["model"])
    if len(private) == len(models):
        finding = who_leaks_by_either_attack(study) if pairs.empty else finding_of(pairs, question, names)
        return f"{finding}, and a limit is proven{' for each' if len(private) > 1 else ''}"
    rows = reported(pairs)
    (_, second), (plain, defended) = _words_for(rows, names)
    decided = rows[rows["verdict"].map(is_decided)]
    if len(models) > 2 or decided.empty or decided["verdict"].str.startswith(f"{second} ").any():
        where = listed(private) if len(models) > 2 else defended
        return f"{finding_of(pairs, question, names)}; a limit is proven for {where} alone"
    by = _by_attacks(rows, decided)
    sentence = f"{defended} leaks less than {plain}{f' {by}' if by else ''}, and only it has a proven limit"
    return sentence if defended == second else sentence[0].upper() + sentence[1:]


def experiment_answer(pairs: pd.DataFrame, question: str) -> str:
    """The question, the verdicts on an experiment's pairs, and the differences that they come from."""
    rows = reported(pairs)
    several_attacks = len(set(rows["attack"])) > 1
    differences = []
    for _, row in rows.iterrows():
        name = f"{row['first']} - {row['second']}"
        if several_attacks:
            name += f", {row['attack']}"
        differences.append(f"{name} {with_interval(row, 'auc_difference', '+')}")
    return f"{question} {answer_of(pairs)}. In AUC: {'; '.join(differences)}.{found_otherwise(rows)}"


def found_otherwise(rows: pd.DataFrame) -> str:
    """How large a difference would have been found, if a verdict shows none; "" if all show one."""
    undecided = rows[rows["verdict"] == NO_DIFFERENCE]
    if undecided.empty:
        return ""
    return (
        f" Where none can be shown, one of {undecided['auc_detectable'].max():.4f} would have been found in "
        f"{POWER:.0%} of runs."
    )


# -------------------------------------------------------------------------------------------- above figures


def loss_sentence(study: Study, models: Sequence[str]) -> str:
    """Whether members' losses are smaller than others' in these models; the threshold attack relies on it."""
    kinds = reported(study.of(THRESHOLD).kinds).set_index("model").loc[list(models)]
    leaking = kinds[kinds["auc_low"] > 0.5]
    if leaking.empty:
        return "It cannot be shown that members' losses are smaller"
    amount = "a little smaller" if leaking["auc"].max() <= MEDIUM_LEAK else "smaller"
    if len(leaking) == len(kinds):
        return f"Members' losses are {amount}: that is the leak"
    return f"Members' losses are {amount} in {listed(list(leaking.index))}: that is the leak"


def who_leaks(study: Study) -> str:
    """In how many of the models the attack finds more than chance would."""
    kinds = reported(study.kinds)
    leaking = kinds["auc_low"] > 0.5
    if len(kinds) == 1:
        model = kinds["model"].iloc[0]
        return f"{model} leaks" if leaking.all() else f"{model} is not shown to leak"
    if len(kinds) == 2 and leaking.all():
        return "Both models leak"
    if leaking.all():
        return f"All {len(kinds)} models leak"
    return f"{leaking.sum()} of {len(kinds)} models are shown to leak"


def leaking_sentence(study: Study) -> str:
    """How many of the models leak, and how much. study: with the rows of the threshold attack."""
    kinds = reported(study.kinds)
    aucs = kinds.loc[kinds["auc_low"] > 0.5, "auc"]
    who = who_leaks(study)
    if aucs.empty:
        return f"{who} by the loss"
    amount = " a little" if aucs.max() <= MEDIUM_LEAK else ""
    ends = [f"{aucs.min():.3f}", f"{aucs.max():.3f}"]
    return f"{who}{amount} by the loss: AUC {span(ends)}, where chance is 0.5"


def who_leaks_by_either_attack(study: Study) -> str:
    """The same for the attack that finds the most models; it is named if several attacks differ in this."""
    attacks = list(study.results["attack"].unique())
    leaking = [(reported(study.of(attack).kinds)["auc_low"] > 0.5).sum() for attack in attacks]
    most = attacks[int(np.argmax(leaking))]
    if len(attacks) == 1 or len(set(leaking)) == 1:
        return who_leaks(study.of(most))
    return f"{who_leaks(study.of(most))} by the {most} attack"


def gain_sentence(study: Study) -> str:
    """How much more the calibrated attack finds than the threshold attack."""
    kinds = reported(study.of(CALIBRATED).kinds)
    sure = kinds[kinds["auc_gain_low"] > 0]
    if sure.empty:
        return "It cannot be shown that reference models make the attack find more"
    if len(sure) < len(kinds):
        where = f"{len(sure)} of {len(kinds)} models"
        most = f"{sure['auc_gain'].max():+.3f}"
        return f"With reference models the attack finds more in {where}: AUC up to {most}"
    where = f" in all {len(kinds)} models" if len(kinds) > 1 else ""
    by = span([f"{kinds['auc_gain'].min():+.3f}", f"{kinds['auc_gain'].max():+.3f}"])
    return f"With reference models the attack finds more{where}: AUC {by}"


def class_groups(kind: pd.Series) -> tuple[list[str], list[str]]:
    """The classes of a model that leak more than the mean of all its classes, and those that leak less."""
    groups = []
    for column in ("classes_above", "classes_below"):
        names = kind.get(column)  # without names a file gives NaN
        groups.append(names.split() if isinstance(names, str) else [])
    above, below = groups
    return above, below


def classes_sentence(study: Study) -> str:
    """The classes that leak more, or less, than the mean of a model's classes in the most models.

    study: with the rows of the threshold attack.
    """
    kinds = reported(study.kinds)
    groups = [class_groups(kind) for _, kind in kinds.iterrows()]
    single = len(groups) == 1
    parts = []
    for how, of_models in zip(("more", "less"), zip(*groups, strict=True), strict=True):
        counts = Counter(name for of_model in of_models for name in of_model)
        most = max(counts.values(), default=0)
        names = [name for name, count in counts.items() if count == most]
        if not names:
            continue
        where = "" if single else f" in {most}"
        if parts:
            parts.append(f"{listed(names)} {how}{where}")
        else:
            whose = f" of {kinds['model'].iloc[0]}" if single else ""
            where = "" if single else f"{where} of {len(groups)} models"
            parts.append(f"{_leaking(names, how)} than the mean of the classes{whose}{where}")
    if not parts:
        return "By the loss, no class can be named that leaks more, or less, than the mean of all"
    return f"By the loss, {', '.join(parts)}"


def samples_sentence(study: Study, models: Sequence[str]) -> str:
    """Whether the images with the lowest loss are easy for models that never saw them too, and whether it is
    known which images are memorised."""
    table = study.memorisation
    kinds = reported(study.of(THRESHOLD).kinds).set_index("model")
    easy, others = [], []
    for model in models:
        member_loss, memorisation = table[f"{model}_member_loss"], table[f"{model}_memorisation"]
        nonmember_loss = member_loss + memorisation
        lowest = member_loss.nsmallest(NAMED_FIRST).index
        easy.append(nonmember_loss[lowest].median() < nonmember_loss.median())
        others.append(lowest.intersection(memorisation.nlargest(NAMED_FIRST).index).empty)
    if all(easy):
        finding = "The images with the lowest losses are easy"
    else:
        finding = "The images with the lowest losses, and those whose loss training lowers most"
    if (kinds.loc[list(models), "memorisation_reliability"] < RELIABLE).any():
        return f"{finding}; which are memorised is not known yet"
    return f"{finding}; the memorised ones are others" if all(easy) and all(others) else finding


# ---------------------------------------------------------------------------------------- answers of an act


def attack_answers(study: Study, questions: dict[str, str]) -> list[str]:
    """Act one: whether the models leak; then each experiment."""
    kinds = reported(study.kinds).set_index("model")
    leaking = kinds[kinds["auc_low"] > 0.5]
    where = "" if leaking.empty else ", where chance is 0.5"
    answer = f"{who_leaks(study)}{_from_least_to_most(leaking, 'auc')}{where}."
    return [answer, *_experiments_answers(study, questions)]


def _from_least_to_most(kinds: pd.DataFrame, measure: str, sign: str = "") -> str:
    """The smallest and the largest value of the models, with intervals, after a colon; "" without a model."""
    if kinds.empty:
        return ""
    ends = [
        f"{with_interval(kinds.loc[model], measure, sign)} ({model})"
        for model in (kinds[measure].idxmin(), kinds[measure].idxmax())
    ]
    return f": AUC {span(ends)}"


def stronger_answers(study: Study, questions: dict[str, str]) -> list[str]:
    """Act two: what reference models add; then each experiment, by the calibrated attack."""
    study = study.of(CALIBRATED)
    kinds = reported(study.kinds).set_index("model")
    sure = kinds[kinds["auc_gain_low"] > 0]
    answer = f"With reference models the attack surely finds more in {len(sure)} of {len(kinds)} models"
    return [
        f"{answer}{_from_least_to_most(sure, 'auc_gain', '+')}.",
        *_experiments_answers(study, questions),
    ]


def defence_answers(study: Study, questions: dict[str, str]) -> list[str]:
    """Act three: what private training changes, the bound on every attack, and what early stopping does."""
    answers = _experiments_answers(study, questions)
    private = last_epoch(study.results).dropna(subset="advantage_bound")
    for model, rows in private.groupby("model", sort=False):
        answers.append(
            f"No attack on {model} tells whether an image was in by the coin with an advantage above "
            f"{rows['advantage_bound'].max():.3f}; that is for one training, ideal noise, and a coin that "
            "the attacker does not know. The largest held-out advantage measured is "
            f"{rows['heldout_advantage'].max():z.3f}."
        )
    stopped = study.pairs[study.pairs["variant"].isin(STOPPED)]
    for _, rows in stopped.groupby(["first", "second"], sort=False):
        answers.append(stopped_answer(rows))
    return answers


def stopped_answer(rows: pd.DataFrame) -> str:
    """How much a model leaks that is stopped early, beside the private one of about the same accuracy.

    rows: of a pair, the first stopped early minus the private second, by each attack: at one epoch or at two.
    """
    pair = rows.iloc[0]
    answer = (
        f"{pair['first']} stopped early minus {pair['second']}, which is right for "
        f"{pair['second_accuracy']:.1%} of non-members (described, not judged)."
    )
    for _, stop in rows.groupby("first_epoch"):
        differences = [
            f"{with_interval(row, 'auc_difference', '+')} ({row['attack']} attack)"
            for _, row in stop.iterrows()
        ]
        answer += (
            f" At epoch {stop['first_epoch'].iloc[0]}, right for {stop['first_accuracy'].iloc[0]:.1%}: "
            f"{listed(differences)} in AUC. {stopped_finding(stop)}"
        )
    return f"{answer} But early stopping promises nothing."


def stopped_finding(rows: pd.DataFrame) -> str:
    """What the intervals of a model stopped at one epoch show, and what they would have shown.

    rows: as for stopped_answer, of one epoch.
    """
    names = rows["first"].iloc[0], rows["second"].iloc[0]
    shown = rows.assign(verdict=[verdict_on(row, names) for _, row in rows.iterrows()], variant=AS_REPORTED)
    return f"{answer_of(shown)}.{found_otherwise(shown)}"


def _experiments_answers(study: Study, questions: dict[str, str]) -> list[str]:
    return [
        experiment_answer(pairs, questions[experiment])
        for experiment, pairs in study.pairs.groupby("experiment", sort=False)
    ]


# ------------------------------------------------------------------------------------------- on the console


def finished_line(name: str, training: dict) -> str:
    """One line for a finished training."""
    return (
        f"{name:>25}  epoch {training['epochs'][-1]:3}  "
        f"right: members {training['train_accuracy'][-1]:.4f}, others {training['test_accuracy'][-1]:.4f}"
    )


def control_sentence(results: pd.DataFrame) -> str:
    """The controls, which must leak nothing: untrained models (epoch 0), and coins of no training."""
    untrained = results[results["epoch"] == 0]
    placebo = last_epoch(results)
    lines = [
        f"Controls, in which nothing is to be found. {_control('untrained models', untrained, 'auc')} "
        f"{_control('trained models, judged by coins that none was given', placebo, 'placebo_auc')}"
    ]
    if _loud(untrained, "auc"):
        lines.append(
            f"WARNING: UNTRAINED MODELS SEEM TO LEAK: {_loud(untrained, 'auc')}. Members and non-members "
            "differ before any training, so this run does not measure leakage alone. Check images and coins."
        )
    if _loud(placebo, "placebo_auc"):
        lines.append(
            "WARNING: COINS THAT NO TRAINING WAS GIVEN SEEM TO BE KNOWN: "
            f"{_loud(placebo, 'placebo_auc')}. The attack finds what is not there. Check the coins."
        )
    return "\n".join(lines)


def _control(what: str, rows: pd.DataFrame, measure: str) -> str:
    """How many of the intervals over examples leave 0.5 out, and how many are expected to."""
    low_name, high_name = ends_of(measure)
    misses = ((rows[low_name] > 0.5) | (rows[high_name] < 0.5)).sum()
    ends = [f"{rows[measure].min():.4f}", f"{rows[measure].max():.4f}"]
    return (
        f"{len(rows)} {what}: AUC {span(ends)}; {misses} of the 95% intervals miss 0.5 "
        f"({len(rows) / 20:.1f} expected)."
    )


def _loud(rows: pd.DataFrame, measure: str) -> str:
    """The trainings whose AUC is so far from 0.5 as chance alone makes it in one of 1 / FALSE_ALARM."""
    low_name, high_name = ends_of(measure)
    # Of all orders of the scores, one gives the AUC 1 and one 0, whose logits are infinite.
    perfect = rows[measure].isin([0.0, 1.0])
    orders = special.binom(rows["members"] + rows["nonmembers"], rows["members"])
    imperfect = rows[measure].where(~perfect)
    standard_error = (special.logit(rows[high_name]) - special.logit(rows[low_name])) / (2 * Z)
    deviation = np.abs(special.logit(imperfect)) / standard_error
    loud = (deviation > -special.ndtri(FALSE_ALARM / 2)) | (perfect & (2 / orders < FALSE_ALARM))
    return ", ".join(f"{row.model} (training {row.training})" for row in rows[loud].itertuples())


def class_lines(study: Study, class_names: Sequence[str]) -> str:
    """One line for each model with classes that leak more or less than the mean; one for the models without
    such classes, and one for those with too few images."""
    lines = []
    alike = []
    unknown = []
    for _, kind in reported(study.kinds).iterrows():
        above, below = class_groups(kind)
        groups = [_leaking(names, how) for names, how in ((above, "more"), (below, "less")) if names]
        if groups:
            lines.append(f"{kind['model']}: {', '.join(groups)} than the mean of its classes.")
        elif any(not pd.isna(kind.get(f"class_{name}_low")) for name in class_names):
            alike.append(kind["model"])
        else:
            unknown.append(kind["model"])
    if alike:
        lines.append(f"No class of {listed(alike)} can be named that leaks more, or less, than the mean.")
    if unknown:
        lines.append(f"A class has too few images to compare the classes of {listed(unknown)}.")
    return "\n".join(lines)


def _leaking(names: Sequence[str], how: str) -> str:
    return f"{listed(names)} {'leaks' if len(names) == 1 else 'leak'} {how}"


def memorisation_sentence(study: Study) -> str:
    """Whether single images may be called memorised."""
    kinds = reported(study.kinds).dropna(subset="memorisation_reliability").set_index("model")
    reliabilities = kinds["memorisation_reliability"].astype(float)
    unsure = reliabilities[reliabilities < RELIABLE]
    sure = reliabilities[reliabilities >= RELIABLE]
    sentences = []
    if len(unsure):
        sentences.append(
            f"Memorisation: reliability {by_model_in_words(unsure)}; below {RELIABLE:g} no single image is "
            "to be called memorised."
        )
    if len(sure):
        sentences.append(f"Which images are memorised can be said: reliability {by_model_in_words(sure)}.")
    return "\n".join(sentences)


def by_model_in_words(reliabilities: pd.Series) -> str:
    """Each model's reliability, with three digits, so that 0.498 does not look like 0.5."""
    return listed([f"{value:.3f} ({model})" for model, value in reliabilities.items()])


def caution(trainings: int) -> str:
    """What must not be concluded from so few trainings of each model; "" if they are enough."""
    if trainings < FEW_TRAININGS:
        return (
            f"With {trainings} trainings of each model, “no difference can be shown” says little; try "
            f"--trainings {ENOUGH_TRAININGS}."
        )
    return ""


def has_private(study: Study) -> bool:
    """Whether a model of the study was trained privately."""
    return "advantage_bound" in study.results and study.results["advantage_bound"].notna().any()


def print_conclusion(study: Study, answers: Sequence[str], class_names: Sequence[str]) -> None:
    """Prints the end of an act: its answers, then for each attack the tables and a few sentences."""
    print("", *map(in_lines, answers), sep="\n")
    if has_private(study):
        print(f"\n{in_lines(LIMITS_TITLE)}")
        show(limits_table(study))
    undecided = (reported(study.pairs)["verdict"] == NO_DIFFERENCE).any() if len(study.pairs) else False
    words = caution(int(study.kinds["trainings"].min()))
    if words and undecided:
        print(in_lines(words))
    for attack in study.results["attack"].unique():
        part = study.of(attack)
        _print_tables(part, attack)
        _print_words(part, attack, class_names)


def _print_tables(study: Study, attack: str) -> None:
    epochs = " or ".join(f"{epoch}" for epoch in sorted(last_epoch(study.results)["epoch"].unique()))
    title = (
        f"The {attack} attack after the last epoch ({epochs}): accuracy on members and on others, and the "
        "leak. The intervals of a column hold for all models together in 95% of runs. Chance: AUC 0.5, "
        "advantage 0"
    )
    print(f"\n{in_lines(title)}")
    show(models_table(study))
    if given_fprs(study):
        title = (
            "Members found where hardly a non-member is called one; the intervals of a column hold for all "
            "models together in 95% of runs"
        )
        print(f"\n{in_lines(title)}")
        show(extremes_table(study))
    if len(study.pairs):
        print("\nFirst minus second; intervals hold for all pairs of the act together in 95% of runs")
        show(pairs_table(study))
    print("\nAUC, looked at in other ways (described, not judged; intervals: mia_kinds.csv, mia_pairs.csv)")
    show(sensitivity_table(study))
    if attack == CALIBRATED:
        title = (
            "The calibrated attack minus the threshold attack on the same trainings; intervals hold for all "
            "models together in 95% of runs"
        )
        print(f"\n{in_lines(title)}")
        show(gains_table(study))
        precisions = precisions_table(study)
        if len(precisions):
            print("\nOf those called members at 0.1% FPR, how many are (first training, over images)")
            show(precisions)


def _print_words(study: Study, attack: str, class_names: Sequence[str]) -> None:
    print()
    print(in_lines(control_sentence(study.results)))
    print(in_lines(class_lines(study, class_names)))
    if attack == THRESHOLD:
        print(in_lines(memorisation_sentence(study)))
