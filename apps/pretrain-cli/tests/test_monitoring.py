"""Tests of pretrain_cli.monitoring, and of networks that are looked at without being changed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from pcl_contrastive import representation_health
from pcl_data import SCANNET20
from pcl_methods.segmentation.testing import make_room
from pcl_run.run import Run
from pretrain_cli.backbones import initial_backbone
from pretrain_cli.config import ModelConfig, PretrainConfig
from pretrain_cli.encoding import encode_scene, finished_backbone, untouched
from pretrain_cli.monitoring import Monitor
from pretrain_cli.probing import PROBES, probe_scores


def small_backbone():
    model = ModelConfig(backbone="res16unet14a", width=0.25, voxel_size=0.1)
    torch.manual_seed(0)
    return initial_backbone(model, "colors", None)[0]


def test_looking_changes_neither_modes_nor_statistics_nor_random_numbers():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2)).train()
    module[1].eval()  # frozen
    before = module[0].running_mean.clone()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    with untouched(module):
        assert not module[0].training
        module(torch.rand(4, 2))
    assert torch.equal(torch.rand(1), expected)
    assert (module[0].training, module[1].training) == (True, False)
    assert torch.equal(module[0].running_mean, before)


def test_a_scene_is_encoded_by_its_voxels():
    room = make_room("room", 0)
    encoded = encode_scene(small_backbone(), room, voxel_size=0.1, features="colors")
    assert len(encoded.inverse) == len(room.points)
    assert int(encoded.inverse.max()) + 1 == len(encoded.features) == len(encoded.labels)
    points = torch.from_numpy(room.labels)
    assert (encoded.labels[encoded.inverse] == points).float().mean() > 0.8


def statistics(backbone):
    norms = [part for part in backbone.modules() if isinstance(part, nn.BatchNorm1d)]
    return torch.cat([norm.running_mean for norm in norms])


def test_only_a_student_of_crops_leaves_with_other_norms():
    rooms = {f"room{i}": make_room(f"room{i}", i) for i in range(30)}
    asked = []
    world = SimpleNamespace(
        training=tuple(rooms), load=lambda name: (asked.append(name), rooms[name])[1]
    )
    model = ModelConfig(voxel_size=0.1)
    backbone = small_backbone().train()
    first = next(part for part in backbone.modules() if isinstance(part, nn.BatchNorm1d))
    first.running_mean += 5  # what they knew before does not count
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    pairs = PretrainConfig(method="csc", model=model)
    assert finished_backbone(backbone, pairs, world) is backbone
    assert not asked

    rows = []
    first.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0].mean(dim=0)))
    found = finished_backbone(backbone, PretrainConfig(method="sspl", model=model), world)
    assert asked == list(rooms)[::2]  # at most 20, from all over
    norm = next(part for part in found.modules() if isinstance(part, nn.BatchNorm1d))
    assert_close(norm.running_mean, torch.stack(rows).mean(dim=0))
    assert (norm.momentum, found.training) == (first.momentum, True)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])
    for old, new in zip(backbone.parameters(), found.parameters(), strict=True):
        assert torch.equal(old, new)


def probed(labeled, held_out):
    settings = {"voxel_size": 0.1, "features": "colors", "max_voxels": 500, "budget": "lr-2"}
    label_set = labeled[0].label_set
    return probe_scores(small_backbone(), PROBES, labeled, held_out, label_set, **settings)


def test_probes_learn_from_some_scenes_and_are_scored_on_others():
    rooms = [make_room(f"room{i}", i) for i in range(3)]
    found = probed(rooms[:2], rooms[2:])
    assert found.keys() == PROBES.keys()
    for scores in found.values():
        assert scores["miou"] > 0.5  # the colours alone tell the classes apart
        assert scores["protocol"] == "scannet20/held-out/points/no-tta/lr-2"


def test_scenes_without_labels_are_not_scored():
    rooms = [make_room("room0", 0), replace(make_room("room1", 1), labels=None)]
    with pytest.raises(ValueError, match="scene room1 must have labels to be scored, got none"):
        probed(rooms[:1], rooms[1:])


def test_a_world_without_labels_has_no_probe():
    rooms = {"a": make_room("a", 0), "b": replace(make_room("b", 1), labels=None)}
    world = SimpleNamespace(label_set=SCANNET20, training=("a",), validation=("b",), load=rooms.get)
    monitor = Monitor(Recorded(), PretrainConfig(), world, None)
    assert monitor.probe(SimpleNamespace(backbone=small_backbone())) == {}


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


def test_panels_come_at_every_so_many_steps_and_at_the_end(monkeypatch):
    run = Recorded()
    config = PretrainConfig.model_validate({"train": {"steps": 7}, "monitor": {"every": 3}})
    monitor = Monitor(run, config, None, None)
    health = representation_health(torch.eye(4), torch.eye(4), temperature=0.05)
    monkeypatch.setattr(monitor, "health", lambda objective: health)
    monkeypatch.setattr(monitor, "probe", lambda objective: {"knn_miou": 0.5})
    for step in [*range(8), 6, 7]:  # the last two again, as a run does that is resumed
        monitor.watch(nn.Linear(1, 1), step)
    assert [line[1] for line in run.lines if isinstance(line, tuple)] == [0, 3, 6, 7]
    assert list(run.known["panels"]) == ["0", "3", "6", "7"]
    assert run.known["panels"]["7"]["knn_miou"] == 0.5
    assert "at its floor" in run.lines[-1]  # the loss that does not move explains itself


@pytest.mark.parametrize(("held_out", "per_step", "n_batches"), [(11, 2, 6), (1, 1, 2)])
def test_one_panel_is_made_of_all_scenes_where_a_row_is_a_scene(held_out, per_step, n_batches):
    rows = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    asked = []

    class Batches:
        items = range(held_out)

        def __getitem__(self, index):
            asked.append(index)
            return {"rows": rows[per_step * index : per_step * (index + 1)]}

    class Scenes(nn.Linear):
        rows_are_scenes = True

        def compared(self, batch):
            return batch["rows"], batch["rows"] + 0.1, 0.2

    config = PretrainConfig.model_validate({"train": {"scenes": per_step}})
    found = Monitor(Recorded(), config, None, Batches()).health(Scenes(1, 1))
    assert asked == list(range(n_batches))  # every held-out scene, and never one alone
    rows = rows[: per_step * n_batches]
    assert found == representation_health(rows, rows + 0.1, temperature=0.2)
