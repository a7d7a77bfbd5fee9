"""Tests of pcl_clip3d.class_prompts."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from pcl_clip3d.class_prompts import PROMPT_TEMPLATES, encode_class_names


def hashed(texts) -> torch.Tensor:
    """An encoder of texts: three numbers that depend on all letters."""
    return torch.tensor(
        [
            [sum(ord(c) * (i + 2) ** k % 97 for i, c in enumerate(t)) for k in range(3)]
            for t in texts
        ]
    ).double()


def unit(row) -> list[float]:
    length = math.sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def mean(rows) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def test_there_are_85_distinct_templates_each_with_one_name_and_a_full_stop():
    assert len(PROMPT_TEMPLATES) == len(set(PROMPT_TEMPLATES)) == 85
    assert all(t.count("{}") == 1 and t.endswith(".") for t in PROMPT_TEMPLATES)
    assert sum("in the scene" in template for template in PROMPT_TEMPLATES) == 5


def test_the_templates_are_those_of_clip():
    library = pytest.importorskip("pcl_clip3d.clip_library").import_open_clip()
    of_clip = {template("{}") for template in library.OPENAI_IMAGENET_TEMPLATES}
    assert of_clip < set(PROMPT_TEMPLATES)
    assert len(set(PROMPT_TEMPLATES) - of_clip) == 5


def test_an_embedding_is_the_unit_mean_of_the_unit_prompts_of_the_unit_words():
    templates = ["a {}.", "the {} over there.", "{}"]
    found = encode_class_names(
        ["sofa", "bed"], hashed, templates=templates, synonyms={"sofa": ["couch", "settee"]}
    )
    for row, words in zip(found, (["sofa", "couch", "settee"], ["bed"]), strict=True):
        embeddings = []
        for word in words:
            prompts = [unit(hashed([t.replace("{}", word)])[0].tolist()) for t in templates]
            embeddings.append(unit(mean(prompts)))
        assert_close(row, torch.tensor(unit(mean(embeddings))).double())


@given(st.permutations(["wall", "floor", "bed", "other furniture"]))
def test_rows_follow_their_names(names):
    how = {"templates": PROMPT_TEMPLATES[:9]}
    rows = dict(zip(sorted(names), encode_class_names(sorted(names), hashed, **how), strict=True))
    for name, row in zip(names, encode_class_names(names, hashed, **how), strict=True):
        assert_close(row, rows[name])
        assert_close(row.norm(), torch.ones(()).double())


def test_all_templates_are_asked_for_by_default():
    asked = []

    def encode(texts):
        asked.extend(texts)
        return hashed(texts)

    encode_class_names(["bed", "wall"], encode)
    assert asked[:85] == [template.replace("{}", "bed") for template in PROMPT_TEMPLATES]
    assert len(asked) == 170


@pytest.mark.parametrize(
    ("names", "how", "message"),
    [
        (["bed"], {}, r"names must be two class names or more, got \['bed'\]"),
        ([], {}, "names must be two class names or more"),
        ("bed", {}, "names must be two class names or more"),
        (["bed", "wall", "bed"], {}, r"differ from each other, got \['bed'\] more than once"),
        (["bed", " "], {}, "names must not be empty"),
        (["bed", "wall"], {"templates": ["a bed."]}, r"hold '{}', got \['a bed.'\]"),
        (["bed", "wall"], {"templates": []}, "templates must be texts that hold"),
        (["bed", "wall"], {"synonyms": {"couch": ["sofa"]}}, r"of names, got some of \['couch'\]"),
    ],
)
def test_bad_names_are_refused(names, how, message):
    with pytest.raises(ValueError, match=message):
        encode_class_names(names, hashed, **how)


def test_an_encoder_that_returns_other_rows_is_refused():
    with pytest.raises(ValueError, match="encode_text must return a row a text"):
        encode_class_names(["bed", "wall"], lambda texts: torch.ones(1, 3))
    with pytest.raises(ValueError, match="encode_text must return finite rows, got NaN"):
        encode_class_names(["bed", "wall"], lambda texts: torch.full((len(texts), 3), math.nan))
