"""Tests of pcl_backbones.box_coding."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_backbones.box_coding import SCANNET_CODING, SUNRGBD_CODING, BoxCoding, mean_box_sizes

CODING = BoxCoding(torch.tensor([[1.0, 2, 4], [2.0, 2, 2]]), n_headings=4)
BOX = torch.tensor([[1.0, 2, 3, 1.5, 1, 4, 0]])


def code_by_loop(box, label, mean_sizes, n_headings):
    """From the equations of the module."""
    turn = 2 * math.pi / n_headings
    shifted = (box[6] + turn / 2) % (2 * math.pi)
    heading_class = int(shifted // turn)
    middle = heading_class * turn
    residual = (box[6] - middle + math.pi) % (2 * math.pi) - math.pi
    sizes = [(box[3 + i] - mean_sizes[label][i]) / mean_sizes[label][i] for i in range(3)]
    return heading_class, residual / (math.pi / n_headings), sizes


def test_code_is_that_of_the_equations():
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(50, 7, generator=generator, dtype=torch.float64) * 4
    boxes[:, 6] = boxes[:, 6] * 5 - 10
    labels = torch.randint(10, (50,), generator=generator)
    code = SUNRGBD_CODING.encode(boxes, labels)
    sizes = SUNRGBD_CODING.mean_sizes.double().tolist()
    for i, (box, label) in enumerate(zip(boxes.tolist(), labels.tolist(), strict=True)):
        heading_class, residual, size_residual = code_by_loop(box, label, sizes, 12)
        assert code.heading_class[i] == heading_class
        assert code.heading_residual[i].item() == pytest.approx(residual)
        assert code.size_residual[i].tolist() == pytest.approx(size_residual)
    assert torch.equal(code.centers, boxes[:, :3])
    assert torch.equal(code.size_class, labels)


def test_hand_values():
    box = torch.tensor([[0.0, 0, 0, 1.5, 1, 4, 5 * math.pi / 8]])
    code = CODING.encode(box, torch.tensor([0]))
    # bins of a quarter turn around 0, 90, ... degrees; 112.5 degrees is half of half a bin past 90
    assert code.heading_class.item() == 1
    assert code.heading_residual.item() == pytest.approx(0.5)
    assert code.size_residual.tolist() == [[0.5, -0.5, 0]]
    on_edge = torch.cat([BOX[:, :6], torch.tensor([[-math.pi / 4]])], dim=1).double()
    on_edge[0, 6] = -math.pi / 4  # the first bin begins here
    code = CODING.encode(on_edge, torch.tensor([0]))
    assert (code.heading_class.item(), code.heading_residual.item()) == (0, -1)


NUMBER = st.floats(-8, 8, width=32)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            *[NUMBER] * 3, *[st.floats(0, 8, width=32)] * 3, st.floats(-30, 30), st.integers(0, 9)
        ),
        max_size=5,
    )
)
def test_decoding_undoes_coding_up_to_whole_turns(rows):
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 8)
    boxes, labels = table[:, :7], table[:, 7].long()
    code = SUNRGBD_CODING.encode(boxes, labels)
    assert ((code.heading_class >= 0) & (code.heading_class < 12)).all()
    assert (code.heading_residual.abs() <= 1 + 1e-9).all()
    decoded = SUNRGBD_CODING.decode(code)
    assert (decoded[:, 6].abs() <= math.pi + 1e-9).all()
    assert_close(decoded[:, :6], boxes[:, :6])
    turned = (decoded[:, 6] - boxes[:, 6]) / (2 * math.pi)
    assert_close(turned, turned.round(), atol=1e-9, rtol=0)


def test_just_below_zero_stays_within_the_bins():
    """float32 rounds -pi/4 - 1e-9, shifted and taken modulo a turn, up to the whole turn."""
    box = BOX.clone()
    box[0, 6] = -math.pi / 4 - 1e-7
    code = CODING.encode(box, torch.tensor([0]))
    assert code.heading_class.item() in (0, 3)
    assert_close(CODING.decode(code), box)
    assert CODING.encode(box, torch.tensor([0])).heading_residual.abs() <= 1.0001


def test_any_leading_axes():
    boxes, labels = BOX.expand(2, 3, 7), torch.ones(2, 3, dtype=torch.long)
    code = CODING.encode(boxes, labels)
    assert code.size_residual.shape == (2, 3, 3)
    assert_close(CODING.decode(code), boxes)
    assert CODING.encode(boxes[:, :0], labels[:, :0]).heading_class.shape == (2, 0)


def test_one_bin_is_for_boxes_along_the_axes():
    box = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0]])
    code = SCANNET_CODING.encode(box, torch.tensor([3]))
    assert (code.heading_class.item(), code.heading_residual.item()) == (0, 0)
    decoded = SCANNET_CODING.decode(code._replace(heading_residual=torch.tensor([0.3])))
    assert decoded[0, 6] == 0
    with pytest.raises(ValueError, match="boxes must have heading 0 where n_headings is 1, got 0"):
        SCANNET_CODING.encode(box + torch.tensor([0, 0, 0, 0, 0, 0, 0.5]), torch.tensor([3]))


def test_a_box_without_volume_has_a_code():
    box = torch.tensor([[0.0, 0, 0, 0, 0, 0, 0]])
    assert CODING.encode(box, torch.tensor([0])).size_residual.tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        (6, math.nan, "boxes must be finite, got NaN or infinity"),
        (0, math.inf, "boxes must be finite, got NaN or infinity"),
        (4, -1.0, r"boxes must have sizes of at least 0, got -1\.0"),
    ],
)
def test_boxes_that_are_none_are_refused(column, value, problem):
    box = BOX.clone()
    box[0, column] = value
    for refuse in (CODING.encode, lambda *rest: mean_box_sizes(*rest, 2)):
        with pytest.raises(ValueError, match=problem):
            refuse(box, torch.tensor([0]))


def test_labels_and_shapes_are_checked():
    for label in (-1, 2):
        with pytest.raises(ValueError, match=rf"labels must lie in \[0, 2\), got \[{label}"):
            CODING.encode(BOX, torch.tensor([label]))
    encode = inspect.unwrap(BoxCoding.encode)  # without the type checker of the tests
    with pytest.raises(ValueError, match=r"boxes must have 7 columns, got shape \(1, 6\)"):
        encode(CODING, BOX[:, :6], torch.tensor([0]))
    with pytest.raises(ValueError, match=r"labels must have shape \(1,\) as the boxes have, got"):
        encode(CODING, BOX, torch.tensor([0, 0]))


def test_a_coding_has_classes_with_sizes_and_bins():
    for sizes, n_headings, problem in (
        (torch.zeros(0, 3), 1, r"mean_sizes must have shape \(c, 3\), c > 0, got \(0, 3\)"),
        (torch.tensor([[1.0, 0, 1]]), 1, "mean_sizes must be above 0 and finite, got"),
        (torch.tensor([[1.0, math.nan, 1]]), 1, "mean_sizes must be above 0 and finite, got"),
        (torch.tensor([[1.0, math.inf, 1]]), 1, "mean_sizes must be above 0 and finite, got"),
        (torch.ones(1, 3), 0, "n_headings must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=problem):
            BoxCoding(sizes, n_headings)


def test_published_codings():
    assert (SCANNET_CODING.n_classes, SCANNET_CODING.n_headings) == (18, 1)
    assert (SUNRGBD_CODING.n_classes, SUNRGBD_CODING.n_headings) == (10, 12)
    # sums, so that no digit is lost
    assert SCANNET_CODING.mean_sizes.double().sum().item() == pytest.approx(49.588908, abs=5e-6)
    assert SUNRGBD_CODING.mean_sizes.double().sum().item() == pytest.approx(28.068404, abs=5e-6)


def test_mean_sizes_are_means_of_each_class():
    boxes = torch.zeros(4, 7)
    boxes[:, 3:6] = torch.tensor([[1.0, 2, 3], [3, 4, 5], [8, 8, 8], [0, 2, 4]])
    means = mean_box_sizes(boxes, torch.tensor([1, 1, 2, 1]), 4)
    of_class_1 = [4 / 3, 8 / 3, 4]
    of_all = [3, 4, 5]  # of classes without a box
    assert_close(means, torch.tensor([of_all, of_class_1, [8, 8, 8], of_all]))


def test_mean_sizes_need_boxes_with_volume():
    with pytest.raises(ValueError, match="boxes must hold at least one box, got 0"):
        mean_box_sizes(torch.zeros(0, 7), torch.zeros(0).long(), 2)
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        mean_box_sizes(BOX, torch.tensor([0]), 0)
    flat = torch.cat([BOX, BOX])
    flat[1, 4] = 0
    with pytest.raises(ValueError, match=r"mean sizes above 0 in every class, got 0 in \[1\]"):
        mean_box_sizes(flat, torch.tensor([0, 1]), 2)
