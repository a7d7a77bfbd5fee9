"""Tests of pcl_data.file_errors."""

import pickle

import pytest

from pcl_data.file_errors import NeedsOption, errors_in, library_errors, warn_about

ERROR = NeedsOption("points must be finite, got 2", "drop_invalid=true", "leaves them out")


def test_an_error_that_an_option_mends_is_one_for_every_command():
    assert isinstance(ERROR, ValueError)
    assert str(ERROR) == "points must be finite, got 2; drop_invalid=true leaves them out"
    assert ERROR.given_as("data.options.{}") == (
        "points must be finite, got 2; data.options.drop_invalid=true leaves them out"
    )


def test_it_stays_one_in_a_file_a_library_and_another_process():
    with pytest.raises(NeedsOption, match=r"^a\.ply: points must be finite") as caught:
        with errors_in("a.ply"), library_errors("PLY"):
            raise ERROR
    assert caught.value.option == "drop_invalid=true"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.problem, copy.effect) == (caught.value.problem, "leaves them out")


def test_a_warning_begins_with_the_file():
    with pytest.warns(UserWarning, match=r"^room\.ply: 7 of 9"):
        warn_about("room.ply", "7 of 9")
