"""One act of study 1: trainings as jobs, then findings as jobs, then the study's tables."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from leakage.findings import CALIBRATED, Pair, Trained, questions
from report.mia_tables import Study, finished_line, joined, study_of
from training.jobs import Job, Workers, question_job, run_jobs

LIBRARIES = ("numpy", "scipy", "scikit-learn", "tensorflow-privacy")  # that take part in findings


class Run(NamedTuple):
    """What all acts of one run share: the folder of what is kept, who trains, who finds things out (which
    takes a look into the folder), ids of non-members that nearly equal a member, and the function that
    measures one attack: from losses and the labels of members and of non-members, a dict."""

    folder: Path
    trainers: Workers
    here: Workers
    near_duplicates: Sequence[int]
    measure: Callable[..., dict]


def act(
    run: Run,
    targets: dict[str, list[Job]],
    references: dict[str, list[Job]],
    experiments: dict[str, Sequence[Pair]],
    attacks: Sequence[str],
    pictured: Sequence[str],
) -> Study:
    """Trains what is not kept, and finds out all about these attacks on the experiments' pairs of models.

    targets, references: the trainings of each model. experiments: their pairs, by name. pictured: models of
    which the exposure of single images is kept.
    """
    jobs = [job for of_model in (*targets.values(), *references.values()) for job in of_model]
    kept = run_jobs(
        "trainings", jobs, run.folder, run.trainers, done=lambda training: tqdm.write(finished_line(training))
    )
    readers = {name: finished.read for name, finished in kept.items()}
    studies = []
    for attack in attacks:
        against = references if attack == CALIBRATED else {}
        trained = {
            model: [
                Trained(readers[job.name], tuple(readers[one.name] for one in against.get(model, ())))
                for job in of_model
            ]
            for model, of_model in targets.items()
        }
        pairs = [pair for of_experiment in experiments.values() for pair in of_experiment]
        asked = questions(trained, pairs, run.near_duplicates, run.measure)
        jobs = {
            which: question_job("-".join((*which, attack)), question, LIBRARIES)
            for which, question in asked.items()
        }
        found = run_jobs("findings", list(jobs.values()), run.folder, run.here)
        answers = {which: found[job.name].read() for which, job in jobs.items()}
        studies.append(study_of(attack, answers, experiments, pictured))
    return joined(studies).judged()
