"""Tests of pcl_clip3d.word_tokenizer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcl_clip3d.word_tokenizer import WordTokenizer

WORDS = ("a", "photo", "of", "red", "chair", "close", "up")


def test_a_row_is_start_words_end_and_padding():
    found = WordTokenizer(WORDS, 8)(["A red chair.", "a close-up photo", ""])
    wanted = [[1, 2, 5, 6, 9, 0, 0, 0], [1, 2, 7, 8, 3, 9, 0, 0], [1, 9, 0, 0, 0, 0, 0, 0]]
    assert found.tolist() == wanted
    assert found.dtype == torch.int64


def test_one_text_and_no_text():
    tokenizer = WordTokenizer(WORDS, 4)
    assert tokenizer("chair").tolist() == [[1, 6, 9, 0]]
    assert tokenizer([]).shape == (0, 4)


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_the_end_of_text_is_the_highest_id_and_follows_the_words(words):
    tokenizer = WordTokenizer(WORDS, 8)
    row = tokenizer([" ".join(words)])[0]
    assert int(row.argmax()) == len(words) + 1
    assert int(row.max()) == tokenizer.vocab_size - 1 == len(WORDS) + 2
    assert [WORDS[i - 2] for i in row[1 : len(words) + 1]] == words


def test_a_saved_vocabulary_comes_back(tmp_path):
    tokenizer = WordTokenizer(["rot", "grün"], 5)
    tokenizer.save(tmp_path / "vocabulary.json")
    again = WordTokenizer.from_file(tmp_path / "vocabulary.json", 5)
    assert again.words == ("rot", "grün")
    assert again("GRÜN").tolist() == tokenizer("grün").tolist()


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, 2]", "not json", '["a", "a"]', "[]"])
def test_a_file_that_is_no_list_of_words_is_named(tmp_path, text):
    path = tmp_path / "vocabulary.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"vocabulary\.json must hold a JSON list of words, got"):
        WordTokenizer.from_file(path, 8)


@pytest.mark.parametrize(
    ("words", "length", "message"),
    [
        (["Red"], 8, r"words must be lower-case words, got \['Red'\]"),
        (["close-up"], 8, "words must be lower-case words"),
        ([], 8, "words must be lower-case words"),
        (["a", "b", "a"], 8, r"words must differ from each other, got \['a'\]"),
        (["a"], 2, "context_length must be at least 3, got 2"),
    ],
)
def test_a_bad_vocabulary_is_refused(words, length, message):
    with pytest.raises(ValueError, match=message):
        WordTokenizer(words, length)


def test_an_unknown_word_is_named():
    with pytest.raises(ValueError, match="got 'table' in 'a table'"):
        WordTokenizer(WORDS, 8)(["a red chair", "a table"])


def test_a_text_that_is_too_long_is_refused():
    assert WordTokenizer(WORDS, 4)("red chair").shape == (1, 4)
    with pytest.raises(ValueError, match="texts must have at most 2 words, got 3"):
        WordTokenizer(WORDS, 4)("a red chair")
