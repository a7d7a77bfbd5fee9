"""Tests of pcl_methods.pretraining.monitoring."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pcl_contrastive import representation_health
from pcl_data import SCANNET20
from pcl_data.splits import LabelBudget, SceneSplit
from pcl_methods.pretraining.monitoring import KnnProbe, Monitor, spread
from pcl_methods.pretraining.objective import Compared, Objective
from pcl_methods.pretraining.views import ViewBatches
from pcl_run.run import Run


class Recorded(Run):
    """A run that keeps what it is told."""

    def __init__(self) -> None:
        self.lines, self.known = [], {}

    def metrics(self, stage, step, **values):
        self.lines.append((stage, step, values))

    def remember(self, key, value):
        self.known[key] = value

    def recall(self, key, default=None):
        return self.known.get(key, default)

    def log(self, text, *, echo=True):
        self.lines.append(text)


class Rows(ViewBatches):
    """Batches of some rows, that say which of them were asked for."""

    def __init__(self, n_items, count):
        super().__init__(range(n_items), lambda item: item, lambda item, rng: ({}, {}), count=count)
        self.rows = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
        self.asked = []

    def __getitem__(self, index):
        self.asked.append(index)
        return {"rows": self.rows[self.count * index : self.count * (index + 1)]}


class Shifted(Objective):
    """Compares rows with the same, moved a little."""

    def __init__(self, rows_are_scenes):
        nn.Module.__init__(self)
        self.weight = nn.Parameter(torch.zeros(1))
        self.rows_are_scenes = rows_are_scenes
        self.backbone = nn.Identity()
        self.backbone.features = self.backbone.feature_channels = None

    def compared(self, batch):
        return Compared(batch["rows"], batch["rows"] + 0.1, 0.2)


def test_panels_come_at_every_so_many_steps_and_at_the_end():
    run = Recorded()
    monitor = Monitor(run, Rows(9, 4), lambda backbone: {"knn_miou": 0.5}, every=3)
    objective = Shifted(False).train()
    for step in [*range(8), 6, 7]:  # the last two again, as a run does that is resumed
        monitor.watch(objective, step, is_last=step == 7)
    assert [line[1] for line in run.lines if isinstance(line, tuple)] == [0, 3, 6, 7]
    assert list(run.known["panels"]) == ["0", "3", "6", "7"]
    assert run.known["panels"]["7"]["knn_miou"] == 0.5
    assert run.lines[-1].startswith("step 7: learning")  # the loss explains itself
    assert objective.training


def test_a_panel_is_the_mean_over_a_few_batches():
    batches = Rows(9, 4)
    found = Monitor(Recorded(), batches, n_batches=3).health(Shifted(False))
    assert batches.asked == [0, 1, 2]
    losses = [
        representation_health(rows, rows + 0.1, temperature=0.2).loss
        for rows in batches.rows.split(4)
    ]
    assert found.loss == pytest.approx(sum(losses) / 3)


@pytest.mark.parametrize(("held_out", "per_step", "n_batches"), [(11, 2, 6), (1, 1, 2)])
def test_one_panel_is_made_of_all_scenes_where_a_row_is_a_scene(held_out, per_step, n_batches):
    batches = Rows(held_out, per_step)
    found = Monitor(Recorded(), batches).health(Shifted(True))
    assert batches.asked == list(range(n_batches))  # every held-out scene, and never one alone
    rows = batches.rows[: per_step * n_batches]
    assert found == representation_health(rows, rows + 0.1, temperature=0.2)


def split(rooms, training, validation, label_set=SCANNET20):
    budget = LabelBudget("none", ())
    return SceneSplit("rooms", label_set, training, validation, budget, rooms.__getitem__)


def test_a_probe_learns_from_some_scenes_and_is_scored_on_others(rooms, backbone):
    names = tuple(rooms)
    loaded = []

    def load(name):
        loaded.append(name)
        return rooms[name]

    world = replace(split(rooms, names[:4], names[4:]), load=load)
    found = KnnProbe(world, 0.1, n_labeled=2, n_held_out=1)(backbone)
    assert loaded == ["room0", "room2", "room4"]
    assert found["knn_miou"] > 0.5  # the colors alone tell the classes apart
    assert found.keys() == {"knn_miou", "knn_macc"}


def test_without_labels_or_held_out_scenes_there_is_no_probe(rooms, backbone):
    unlabeled = {**rooms, "room1": replace(rooms["room1"], labels=None)}
    assert KnnProbe(split(unlabeled, ("room0",), ("room1",)), 0.1)(backbone) == {}
    assert KnnProbe(split(rooms, ("room0",), ()), 0.1)(backbone) == {}
    assert KnnProbe(split(rooms, ("room0",), ("room1",), None), 0.1)(backbone) == {}


@pytest.mark.parametrize(("count", "taken"), [(1, "a"), (3, "adg"), (7, "abcdefg"), (9, "abcdefg")])
def test_some_scenes_come_from_all_over(count, taken):
    assert spread("abcdefg", count) == taken
    assert spread("", count) == ""
