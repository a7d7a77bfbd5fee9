import numpy as np
import torch
from torch.nn.functional import normalize

from pcl_methods.labelfree.ensemble import chosen_by_cosine, image_features
from pcl_methods.labelfree.image_labels import ImageLabels


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_nearer_feature_is_chosen_point_by_point():
    images, points, text = random(6, 4), random(6, 4, seed=1), random(3, 4, seed=2)
    images[2] = 0  # nobody saw it
    found = chosen_by_cosine(images, points, text)
    for row in range(6):
        cosines = [normalize(x[row], dim=0) @ normalize(text, dim=1).T for x in (images, points)]
        by_image = row != 2 and cosines[0].max() > cosines[1].max()
        torch.testing.assert_close(found[row], cosines[0] if by_image else cosines[1])


def test_a_point_has_the_feature_of_its_set():
    none = np.zeros(0, np.int64)
    sets, table = np.array([1, 0, -1]), np.array([[1.0, 2], [3, 4]], np.float32)
    found = ImageLabels(none, none, none, none.astype(np.float32), sets, table)
    assert image_features(found).tolist() == [[3, 4], [1, 2], [0, 0]]
