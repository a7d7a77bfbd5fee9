"""What annotators say of an image, by a rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcl_methods.image_instances.federation import Federation, Verified, federate

OBJECTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=12)


def of(objects, rule, seed=0):
    classes, areas = [one for one, _ in objects], [area for _, area in objects]
    return federate(classes, areas, 10, rule, np.random.default_rng(seed))


@given(OBJECTS, st.integers(0, 50))
def test_what_is_said_is_true(objects, seed):
    rule = Federation(annotated=0.7, incomplete=0.5, n_negative=4, least_area=16)
    found = of(objects, rule, seed)
    classes = [one for one, _ in objects]
    assert not set(found.negative) & set(classes)
    assert len(found.negative) == min(4, 10 - len(set(classes)))
    assert all(objects[place][1] >= 16 for place in found.annotated)
    for one in {classes[place] for place in found.annotated}:
        said = sum(classes[place] == one for place in found.annotated)
        assert (said < classes.count(one)) == (one in found.not_exhaustive)
    assert set(found.not_exhaustive) <= {classes[place] for place in found.annotated}


@given(OBJECTS)
def test_annotators_who_miss_nothing_say_all(objects):
    found = of(objects, Federation(annotated=1, incomplete=0, n_negative=10, least_area=0))
    absent = sorted(set(range(10)) - {one for one, _ in objects})
    assert found == Verified(list(range(len(objects))), absent, [])


def test_an_empty_image_has_negatives_only():
    assert of([], Federation(n_negative=10)) == Verified([], list(range(10)), [])


def test_a_class_is_annotated_as_often_as_asked():
    rule = Federation(annotated=0.25, incomplete=0)
    counts = [len(of([(2, 50)], rule, seed).annotated) for seed in range(400)]
    assert np.mean(counts) == pytest.approx(0.25, abs=0.06)


def test_a_class_is_incomplete_as_often_as_asked():
    rule = Federation(annotated=1, incomplete=0.25)
    found = [of([(2, 50), (2, 50), (2, 3)], rule, seed) for seed in range(400)]
    assert np.mean([len(one.annotated) == 1 for one in found]) == pytest.approx(0.25, abs=0.06)
    assert all(one.not_exhaustive == [2] for one in found)  # the third is too small


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"annotated": 1.5}, r"annotated must lie in \[0, 1\], got 1.5"),
        ({"incomplete": -1}, r"incomplete must lie in \[0, 1\], got -1"),
        ({"n_negative": -1}, "n_negative must be at least 0, got -1"),
        ({"least_area": -1}, "least_area must be at least 0, got -1"),
    ],
)
def test_a_rule_out_of_range_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        Federation(**setting)
