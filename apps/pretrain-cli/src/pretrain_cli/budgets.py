"""Which labels may be learned from: a word of the command line to a `LabelBudget`."""

import re
from collections.abc import Sequence
from pathlib import Path

from pcl_data.splits import (
    LabelBudget,
    annotation_budget,
    listed_annotation_budget,
    listed_budget,
    random_sweep_budget,
    reconstruction_budget,
)
from pretrain_cli.config import FinetuneConfig


def open_budget(config: FinetuneConfig, names: Sequence[str]) -> LabelBudget:
    """The labels that `config.budget` allows of the scenes to learn from.

    Raises:
        FileNotFoundError: if there is no such list.
        ValueError: if the budget is no share, number of points or list.
    """
    word, seed = config.budget, config.budget_seed
    is_lidar = config.data.features == "intensity"
    if match := re.fullmatch(r"([0-9.]+)%", word):
        choose = random_sweep_budget if is_lidar else reconstruction_budget
        return choose(names, float(match[1]) / 100, seed=seed)
    if match := re.fullmatch(r"(\d+)pts", word):
        return annotation_budget(names, int(match[1]), seed=seed)
    if Path(word).suffix == ".npz":
        return listed_annotation_budget(word, names)
    if Path(word).suffix == ".txt":
        return listed_budget(word, names, "lidar" if is_lidar else "lr")
    raise ValueError(f"budget must be like 5%, 20pts, scenes.txt or points.npz, got {word}")
