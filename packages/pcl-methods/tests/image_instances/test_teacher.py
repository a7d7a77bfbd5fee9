"""A teacher and the objects that it gives."""

import pytest
import torch

from pcl_methods.image_instances.network import LayerOutputs
from pcl_methods.image_instances.teacher import InstanceTeacher, Teaching, pseudo_instances

PROBABILITIES = torch.tensor(
    [[0.5, 0.2, 0.0, 0.3], [0.1, 0.01, 0.79, 0.1], [0.1, 0.1, 0.1, 0.7], [0.5, 0.2, 0.1, 0.2]]
)
NO_ERRORS = torch.zeros(3)


def outputs() -> LayerOutputs:
    """Four queries of which the last has too small a mask."""
    masks = torch.full((4, 8, 8), -1.0)
    for k in range(3):
        masks[k, 2 * k : 2 * k + 4] = 1
    masks[3, 0, 0] = 1
    return LayerOutputs(PROBABILITIES.log(), masks)


def given(kind, score=0.3, errors=NO_ERRORS, **how):
    teaching = Teaching(kind, score=score, area=5, **how)
    return pseudo_instances(outputs(), errors, teaching, 8)


def test_sure_queries_with_a_mask_are_objects():
    found = given("soft")
    assert found.classes.tolist() == [pytest.approx(row.tolist()) for row in PROBABILITIES[:2]]
    assert found.masks.sum(dim=(1, 2)).tolist() == [32, 32]
    assert found.masks[1, 2:6].all()
    assert found.verified.all()
    assert found.exhaustive.all()


def test_one_hot_objects_have_their_likeliest_class():
    assert given("one-hot").classes.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert given("one-hot", score=0.6).classes.tolist() == [[0, 0, 1, 0]]


def test_corrected_objects_follow_the_equation():
    errors = torch.tensor([-0.1, 0.2, 0.1])
    expected = []
    for row in PROBABILITIES[:2].tolist():
        shifted = [
            max(p + 1.0 * e, 0) if p > 0.02 else p
            for p, e in zip(row, [*errors.tolist(), 0], strict=True)
        ]
        expected.append([value / sum(shifted) for value in shifted])
    found = given("corrected", errors=errors, strength=1)
    assert found.classes.tolist() == [pytest.approx(row, abs=1e-6) for row in expected]


def test_the_score_is_that_after_the_correction():
    errors = torch.tensor([-0.2, 0.0, 0.0])
    assert len(given("corrected", score=0.35, errors=errors, strength=2).masks) == 1
    assert len(given("soft", score=0.35, errors=errors).masks) == 2


def test_too_small_a_mask_is_no_object():
    teaching = Teaching("soft", score=0.3, area=0)
    assert len(pseudo_instances(outputs(), NO_ERRORS, teaching, 8).masks) == 3


def test_no_object_is_found_by_a_teacher_that_is_never_sure():
    found = given("soft", score=1)
    assert found.masks.shape == (0, 8, 8)
    assert found.classes.shape == (0, 4)


def test_masks_are_turned_with_the_view_of_the_student(make_network):
    teacher = InstanceTeacher(make_network(), Teaching("soft", score=0, area=0), NO_ERRORS)
    weak = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8).expand(2, -1, -1, -1)
    straight, turned = teacher(weak, torch.tensor([False, True]))
    assert len(straight.masks)
    assert (straight.masks.flip(-1) == turned.masks).all()
    assert not (straight.masks == turned.masks).all()
    assert not straight.classes.requires_grad


def test_a_teacher_follows_its_student(make_network):
    student = make_network()
    teacher = InstanceTeacher(student, Teaching(momentum=0.75), NO_ERRORS)
    before = student.model.class_predictor.weight.detach().clone()
    student.model.class_predictor.weight.data += 1
    teacher.follow(student)
    average = teacher.encoder.encoder.model.class_predictor.weight
    assert torch.allclose(average, before + 0.25)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"score": 1.5}, r"score must lie in \[0, 1\], got 1.5"),
        ({"area": -1}, "area must be at least 0, got -1"),
        ({"weight": -1}, "weight must be at least 0, got -1"),
    ],
)
def test_teaching_out_of_range_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        Teaching(**setting)
