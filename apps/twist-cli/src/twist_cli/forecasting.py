"""`twist-cli run --dry-run`: what a run is going to take."""

from collections.abc import Mapping
from typing import Any

from lightning_fabric import Fabric

from pcl_data.splits import SceneSplit
from pcl_methods.checking import SceneFacts
from pcl_methods.forecast import PREDICTION, STEPS, measure_steps
from pcl_methods.self_training.networks import TwistModel
from pcl_run.run import Run
from twist_cli.building import self_training_of
from twist_cli.config import RunConfig

PSEUDO_LABEL_BYTES = 20  # of a point: class, proposal, centre, score


def forecast_run(
    config: RunConfig,
    fabric: Fabric,
    split: SceneSplit,
    model: TwistModel,
    facts: Mapping[str, SceneFacts],
) -> dict[str, Any]:
    """Time, memory and disk that a run is going to take, from a few steps of round 0.

    Both networks learn in them. A step with pseudo-labeled scenes takes as long a scene, and a
    third of it more with a teacher, which looks at them and does not learn.
    """
    few = {"initial_steps": STEPS, "log_every": 1, "checkpoint_every": STEPS}
    short = config.model_copy(
        update={
            "train": config.train.model_copy(update=few),
            "twist": config.twist.model_copy(update={"recorrector_start": 0}),
        }
    )

    def train(run: Run) -> None:
        networks = model.to(fabric.device)
        self_training_of(short, run, fabric, split, networks).train(0, None)

    measured = measure_steps(train, short)
    settings, rounds = config.train, config.twist.rounds
    per_scene = measured.seconds_per_step / settings.labeled_batch_size
    has_pseudo = config.twist.pseudo_labels != "none" and rounds > 0
    has_teacher = config.calibration.targets != "none" and rounds > 0
    more_scenes = settings.unlabeled_batch_size * (has_pseudo or has_teacher)
    later_step = per_scene * (settings.labeled_batch_size + more_scenes * (1 + has_teacher / 3))
    first_steps = settings.initial_steps or settings.steps
    training = first_steps * measured.seconds_per_step + rounds * settings.steps * later_step
    n_predicted = (rounds + 1) * len(split.validation) + rounds * has_pseudo * len(split.unlabeled)
    points = sum(facts[name].n_points for name in split.unlabeled if name in facts)
    return {
        "dry_run": True,
        "labeled": list(split.labeled),
        "unlabeled": list(split.unlabeled),
        "validation": list(split.validation),
        "seconds_per_step": later_step,
        "training_minutes": training / 60,
        "labeling_and_scoring_minutes": n_predicted * per_scene * PREDICTION / 60,
        "peak_memory_bytes": measured.memory_bytes,
        "device_memory_bytes": measured.device_memory_bytes,
        "disk_bytes": measured.disk_bytes(rounds + 1)
        + rounds * has_pseudo * points * PSEUDO_LABEL_BYTES,
    }
