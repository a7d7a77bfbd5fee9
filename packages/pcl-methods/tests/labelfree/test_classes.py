import pytest

from pcl_data import NUSCENES16, SCANNET20
from pcl_methods.labelfree.classes import class_texts, own_classes


def test_names_become_words():
    assert class_texts(SCANNET20)[-1] == "other furniture"
    assert "shower curtain" in class_texts(SCANNET20)
    assert not any({"_", "-"} & set(text) for text in class_texts(NUSCENES16))


def test_own_classes_are_a_label_set():
    found = own_classes([" wall", "a red chair ", "lamp"])
    assert found.names == ("wall", "a red chair", "lamp")
    assert found.stuff == (0,)
    assert len(set(found.colors)) == 3


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["wall"], "classes must be at least two names, got 1"),
        (["wall", "wall "], "classes must be distinct, got 'wall' twice"),
        (["wall", " "], "classes must be names, got an empty one"),
    ],
)
def test_names_that_are_no_classes_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        own_classes(names)
