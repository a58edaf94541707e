"""One act of study 1: trainings as jobs, then findings as jobs, then the study's tables."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from leakage.estimates import Losses
from leakage.look import save_figures
from leakage.output import write_whole
from suite.jobs.jobs import Job, Kept, Workers, question_job, run_jobs
from suite.report.mia_figures import Drawing, attack_figures, defence_figures, stronger_figures
from suite.report.mia_tables import Study, joined, study_of
from suite.report.mia_words import (
    attack_answers,
    defence_answers,
    finished_line,
    print_conclusion,
    stronger_answers,
)
from suite.study.findings import CALIBRATED, THRESHOLD, Pair, Trained, questions
from suite.support.command_line import in_lines

LOOK_FIRST = ("mia_attacks.png", "mia_summary.png")  # of the figures, the first that there is
LIBRARIES = ("numpy", "scipy", "scikit-learn", "tensorflow-privacy")  # that take part in findings


class Act(NamedTuple):
    """One act: the models that it is about, its experiments' pairs by name, the attacks, the number of
    reference models for each model; the function that answers its questions, from its own tables; and the one
    that draws the figures, from all tables about its models."""

    title: str
    models: Sequence[str]
    experiments: dict[str, Sequence[Pair]]
    attacks: Sequence[str]
    references: int
    answers: Callable[[Study, dict[str, str]], list[str]]
    draw: Callable[[Study, Drawing], dict[str, Figure]]


def acts_of(models: dict[str, bool], experiments: dict[str, Sequence[Pair]], references: int) -> list[Act]:
    """The acts of a study; without references there is no second one, without private models no third.

    models: of each, whether it is trained privately. experiments: their pairs, by name. references: how many
    reference models each model has.
    """
    private = {name for name, is_private in models.items() if is_private}
    defence = {name: pairs for name, pairs in experiments.items() if private & _models_of(pairs)}
    plain = {name: pairs for name, pairs in experiments.items() if name not in defence}
    defended = private.union(*map(_models_of, defence.values()))
    plain_models = [name for name in models if name not in private]
    threshold, stronger = [THRESHOLD], [CALIBRATED] if references else []
    last_models = [name for name in models if name in defended]
    acts = [
        Act("Act one, the attack", plain_models, plain, threshold, 0, attack_answers, attack_figures),
        Act(
            "Act two, the stronger attack",
            plain_models,
            plain,
            stronger,
            references,
            stronger_answers,
            stronger_figures,
        ),
        Act(
            "Act three, the defence",
            last_models,
            defence,
            threshold + stronger,
            references,
            defence_answers,
            defence_figures,
        ),
    ]
    return [act for act in acts if act.models and act.attacks]


def _models_of(pairs: Sequence[Pair]) -> set[str]:
    return {name for pair in pairs for name in (pair.first, pair.second)}


class Run(NamedTuple):
    """What all acts of one run share.

    trainings: called with a model's name, a number, and whether reference models are meant, for that many
    trainings of it. seeds: how many trainings of each model are attacked. folder: of what is kept. trainers,
    here: who trains, and who finds things out, with a look into the folder. near_duplicates: ids of
    non-members that nearly equal a member. measure: finds out about one attack, from losses and the labels of
    members and of non-members. pictured: models of which the exposure of single images is kept.
    """

    trainings: Callable[[str, int, bool], list[Job]]
    seeds: int
    folder: Path
    trainers: Workers
    here: Workers
    near_duplicates: Sequence[int]
    measure: Callable[[Losses, np.ndarray, np.ndarray], dict]
    pictured: Sequence[str]


def perform_all(acts: Sequence[Act], run: Run, drawing: Drawing, folder: Path) -> Study:
    """The acts in turn: each is concluded, drawn and written before the next begins.

    drawing: a remark in it, as a rehearsal has, takes the place of all conclusions. folder: for all files.
    """
    study, in_short, figures = None, [], []
    for act in acts:
        print(f"\n{act.title}: {len(act.models)} models, {run.seeds} training{'s' * (run.seeds > 1)} of each")
        found = perform(act, run).judged(rehearsal=bool(drawing.remark))
        answers = [drawing.remark] if drawing.remark else act.answers(found, drawing.questions)
        in_short += answers[:1] if drawing.remark else [f"{act.title}. {answers[0]}"]
        print_conclusion(found, answers, drawing.class_names, rehearsal=bool(drawing.remark))
        print(f"\n{act.title}: drawing its figures")
        study = joined([study, found]) if study else found
        drawn = act.draw(study.about(act.models), drawing)
        save_figures(folder, drawn)
        for name, table in study.files().items():
            write_whole(folder / name, table.to_csv(index=False, float_format="%.6g").encode())
        print(in_lines(f"{', '.join(drawn)} and {len(study.files())} tables are in {folder}"))
        figures += drawn
    print("\nIn short", *map(in_lines, dict.fromkeys(in_short)), sep="\n")
    first = next(name for name in (*LOOK_FIRST, *figures) if name in figures)
    print(f"Look first at {folder / first}")
    return study


def perform(act: Act, run: Run) -> Study:
    """Trains what is not kept of the act's models, and finds out all about its attacks and pairs."""
    targets = {model: run.trainings(model, run.seeds, False) for model in act.models}
    references = {model: run.trainings(model, act.references, True) for model in act.models}
    kept = _trained(run, targets)
    if act.references:
        _announce(targets, references, kept)
        kept |= _trained(run, references)
    pairs = [pair for of_experiment in act.experiments.values() for pair in of_experiment]
    studies = []
    for attack in act.attacks:
        against = references if attack == CALIBRATED else {}
        trained = {
            model: [
                Trained(kept[job.name].read, tuple(kept[rival.name].read for rival in against.get(model, ())))
                for job in jobs
            ]
            for model, jobs in targets.items()
        }
        asked = questions(trained, pairs, run.near_duplicates, run.measure)
        jobs = {
            which: question_job("-".join((*which, attack)), question, LIBRARIES)
            for which, question in asked.items()
        }
        found = run_jobs("findings", list(jobs.values()), run.folder, run.here)
        answers = {which: found[job.name].read() for which, job in jobs.items()}
        studies.append(study_of(attack, answers, act.experiments, run.pictured))
    return joined(studies)


def _trained(run: Run, jobs: dict[str, list[Job]]) -> dict[str, Kept]:
    """All these trainings, by name."""
    everything = [job for of_model in jobs.values() for job in of_model]
    return run_jobs(
        "trainings",
        everything,
        run.folder,
        run.trainers,
        done=lambda name, training: tqdm.write(finished_line(name, training)),
    )


def _announce(targets: dict[str, list[Job]], references: dict[str, list[Job]], kept: dict[str, Kept]) -> None:
    """Says how long the reference models take, by what their targets took and cost."""
    seconds = 0.0
    for model, jobs in references.items():
        target = targets[model][0]
        speed = float(kept[target.name].read()["seconds"]) / (target.steps * target.cost)
        seconds += speed * sum(job.steps * job.cost for job in jobs)
    count = sum(len(jobs) for jobs in references.values())
    print(f"{count} reference models take about {seconds / 60:.1f} minutes of one core, less what is kept")
