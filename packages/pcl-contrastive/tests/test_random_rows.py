"""Tests of pcl_contrastive.random_rows."""

import torch

from pcl_contrastive.random_rows import draw_below, draw_rows

CPU = torch.device("cpu")


def test_rows_are_drawn_once():
    rows = draw_rows(50, 20, CPU, torch.Generator().manual_seed(0))
    assert len(rows) == len(rows.unique()) == 20
    assert rows.min() >= 0
    assert 20 < rows.max() < 50
    assert draw_rows(5, 20, CPU, None).sort().values.tolist() == [0, 1, 2, 3, 4]
    assert draw_rows(0, 20, CPU, None).tolist() == []


def test_numbers_below_a_count_are_uniform():
    counts = torch.tensor([1, 3]).repeat_interleave(3000)
    drawn = draw_below(counts, torch.Generator().manual_seed(0))
    assert drawn[:3000].max() == 0
    shares = drawn[3000:].bincount(minlength=3) / 3000
    assert len(shares) == 3
    assert (shares - 1 / 3).abs().max() < 0.03  # more than three standard deviations


def test_a_large_count_has_odd_numbers_too():
    drawn = draw_below(torch.full((50,), 2**40), torch.Generator().manual_seed(0))
    assert set((drawn % 2).tolist()) == {0, 1}  # single precision has 24 bits


def test_the_generator_decides():
    for draw in (
        lambda g: draw_rows(50, 20, CPU, g),
        lambda g: draw_below(torch.full((20,), 50), g),
    ):
        one, same, other = (draw(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
        assert (one == same).all()
        assert (one != other).any()
