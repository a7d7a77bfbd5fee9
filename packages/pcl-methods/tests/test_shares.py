import pytest

from pcl_methods.shares import read_share, share_of


def test_shares_together_are_all_names_once():
    names = [f"scene{i}" for i in range(7)]
    parts = [share_of(names, f"{i}/3") for i in range(3)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert share_of(names, None) == names


@pytest.mark.parametrize("text", ["", "1", "a/b", "-1/2", "1/2/3"])
def test_another_form_is_refused(text):
    with pytest.raises(ValueError, match="shard must have the form i/n"):
        read_share(text)


def test_a_share_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="index must lie in"):
        share_of(["a"], "2/2")
