"""Tests of pcl_run.yaml_text."""

import random
import time
from contextlib import suppress

import pytest
import yaml

from pcl_run.yaml_text import MAX_DEPTH, MAX_SIZE, read_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)
)


def test_what_settings_need_is_read_as_yaml_reads_it():
    text = "seed: 1\nrate: 1.0e-3\nnone: null\nnames: [a*, 'b']\nsame: &s {x: 1}\nother: *s\n"
    assert read_yaml(text) == yaml.safe_load(text)
    assert read_yaml("") is None


def test_a_date_is_text():
    assert read_yaml("seed: 2024-13-45") == {"seed": "2024-13-45"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "with what its aliases stand for"),
        ("m: &m {<<: [*m]}", "alias inside of what it stands for|is not YAML"),
        ("a: &a [*a]", "alias inside of what it stands for"),
        ("[" * 10_000, "groups in groups"),
        ("[" * 60 + "]" * 60, "groups in groups"),
        ("{a: " * 60 + "}" * 60, "groups in groups"),
        ("a: '" + "x" * MAX_SIZE + "'", "at most 262144 bytes"),
        ("a: 1" + ":1" * 30_000, "numbers of at most"),
        ("a: 1" + "1" * 5000, "numbers of at most"),
        ("a: [1", "is not YAML in line 1"),
        ('!!int ""', "is not YAML"),
        ("!!bool maybe", "is not YAML"),
        ("!!timestamp x", "is not YAML"),
        ("!!python/object:os.system {}", "is not YAML in line 1: could not determine"),
        ("? [1]\n: 2", "is not YAML in line 1: found unhashable key"),
        (b"\xff\xfe\x00", "."),
        ("\x00", "is not YAML"),
    ],
)
def test_bombs_and_broken_text_are_one_quick_error(text, message):
    started = time.process_time()
    with pytest.raises(ValueError, match=message) as caught:
        read_yaml(text)
    assert "\n" not in str(caught.value)
    assert time.process_time() - started < 2


def test_what_lies_just_within_the_bounds_is_read():
    assert read_yaml("[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1))
    assert len(read_yaml(f"[{', '.join(['scene_0001'] * 1500)}]")) == 1500


def test_any_mutation_is_a_value_or_one_error():
    chosen = random.Random(0)
    text = "a: &s {x: 1, y: [2.5, !!int 3]}\nb: {<<: *s, z: 'q'}\nc: 2024-01-01\n"
    for _ in range(300):
        letters = list(text)
        for _ in range(chosen.randint(1, 4)):
            letters[chosen.randrange(len(letters))] = chosen.choice("{}[]:&*!'\"-\n\t<x0,")
        with suppress(ValueError):
            read_yaml("".join(letters))
