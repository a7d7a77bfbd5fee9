"""Tests of pcl_data.plain_yaml."""

import time

import pytest

from pcl_data.plain_yaml import load_yaml


def test_values_aliases_and_merged_keys_are_read():
    assert load_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}") == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 1, "e": 2},
    }
    assert load_yaml("") is None


@pytest.mark.parametrize("item", ["[{}]", "{{<<: [{}]}}"])
def test_few_bytes_that_stand_for_billions_of_values_are_an_error_at_once(item):
    text = "".join(
        f"a{i}: &a{i} " + item.format(", ".join([f"*a{i - 1}"] * 10)) + "\n" for i in range(1, 12)
    )
    began = time.perf_counter()
    with pytest.raises(ValueError, match="must be a complete YAML file, got: aliases that stand"):
        load_yaml("a0: &a0 {k: 1}\n" + text)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 5000, "recursion"),
        ("&a [*a]", "an alias of what it is in"),
        ("{a: 1, b: 2, a: 3}", "the key 'a' twice"),
        ("a: [", "found '<stream end>' in line 1"),
        ("a: 2024-13-45", "month must be in"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("{[1]: 2}", "found unhashable key in line 1"),
    ],
)
def test_what_is_no_plain_value_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        load_yaml(text)
