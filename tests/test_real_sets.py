"""Geometric sets of real recordings against published segments and labels; skipped without them."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from pcl_clip3d.mesh_segments import segment_mesh
from pcl_clip3d.point_segments import segment_points
from pcl_clip3d.supervoxels import supervoxels
from pcl_data import NYU40
from pcl_data.datasets import ScanNet, SemanticKitti

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def scan(real_data):
    return ScanNet(real_data / "scannet", ["scene0000_00"], label_set=NYU40)[0]


def leak(sets, labels):
    """Share of the labeled points outside the label that most points of their set have."""
    sets, labels = sets[labels >= 0], labels[labels >= 0]
    table = np.zeros((sets.max() + 1, labels.max() + 1), int)
    np.add.at(table, (sets, labels), 1)
    return 1 - table.max(axis=1).sum() / len(sets)


def test_segments_of_a_mesh_are_those_that_were_published(scan):
    sets = segment_mesh(torch.from_numpy(scan.points), torch.from_numpy(scan.faces)).numpy()
    assert 660 < sets.max() < 675  # of 668; the order of equal weights is not specified there
    assert adjusted_rand_score(scan.superpoints, sets) > 0.995
    assert leak(sets, scan.labels) < 0.001


def test_segments_without_faces_are_mostly_of_one_class(scan):
    sets = segment_points(torch.from_numpy(scan.points)).numpy()
    assert 700 < sets.max() < 1000
    assert adjusted_rand_score(scan.superpoints, sets) > 0.5
    assert leak(sets, scan.labels) < 0.08


def test_supervoxels_of_a_sweep_are_mostly_of_one_class(real_data):
    sweep = SemanticKitti(real_data / "semantickitti", ["00/000000"])[0]
    sets = supervoxels(torch.from_numpy(sweep.points)).numpy()
    assert np.mean(sets >= 0) > 0.98
    assert leak(sets[sets >= 0], sweep.labels[sets >= 0]) < 0.06
