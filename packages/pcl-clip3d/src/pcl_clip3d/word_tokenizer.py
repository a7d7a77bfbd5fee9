"""Sentences as numbers of whole words, for small CLIP models with a closed vocabulary."""

import json
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

_PADDING, _START, _FIRST_WORD = 0, 1, 2
_WORD = re.compile(r"\w+")


class WordTokenizer:
    """The ids of the words of sentences, in the form that the text towers of open_clip take.

    A row is: start, words, end of text, padding. The id of the end is the highest of all, because
    open_clip reads a sentence at its highest id. Case and punctuation do not count. A word that
    the vocabulary lacks is an error: its embedding would mean nothing.

    Args:
        words: the vocabulary: lower-case words, no two alike.
        context_length: ids a row; room for context_length - 2 words.

    Raises:
        ValueError: if a word is no lower-case word or occurs twice, or the context has no room.

    Example:
        >>> WordTokenizer(["a", "red", "chair"], context_length=6)(["A red chair."])
        tensor([[1, 2, 3, 4, 5, 0]])
    """

    def __init__(self, words: Sequence[str], context_length: int) -> None:
        bad = [word for word in words if not _WORD.fullmatch(word) or word != word.lower()]
        if bad or isinstance(words, str) or not words:
            raise ValueError(f"words must be lower-case words, got {bad or words!r}")
        if len(set(words)) < len(words):
            twice = sorted({word for word in words if list(words).count(word) > 1})
            raise ValueError(f"words must differ from each other, got {twice} more than once")
        if context_length < 3:
            raise ValueError(f"context_length must be at least 3, got {context_length}")
        self.words = tuple(words)
        self.context_length = context_length
        self._ids = {word: index for index, word in enumerate(self.words, start=_FIRST_WORD)}

    @property
    def vocab_size(self) -> int:
        """The number of ids: the words, and the three of padding, start and end."""
        return len(self.words) + 3

    def __call__(self, texts: str | Sequence[str]) -> Int[Tensor, "t context_length"]:
        """The ids of each text.

        Raises:
            ValueError: naming a word that the vocabulary lacks, or a text that is too long.
        """
        texts = [texts] if isinstance(texts, str) else texts
        ids = torch.full((len(texts), self.context_length), _PADDING)
        for row, text in zip(ids, texts, strict=True):
            found = [_START, *self._word_ids(text), self.vocab_size - 1]
            row[: len(found)] = torch.tensor(found)
        return ids

    def save(self, path: str | PathLike[str]) -> None:
        """Write the words as a JSON list."""
        Path(path).write_text(json.dumps(list(self.words)) + "\n", encoding="utf-8")

    @classmethod
    def from_file(cls, path: str | PathLike[str], context_length: int) -> "WordTokenizer":
        """The tokenizer of a vocabulary that `save` wrote.

        Raises:
            ValueError: naming the file, if it is no JSON list of lower-case words.
        """
        try:
            words = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ValueError("words must be a list of words")
            return cls(words, context_length)
        except ValueError as error:
            raise ValueError(f"{path} must hold a JSON list of words, got: {error}") from error

    def _word_ids(self, text: str) -> list[int]:
        words = _WORD.findall(text.lower())
        unknown = [word for word in words if word not in self._ids]
        if unknown:
            raise ValueError(
                f"texts must be of words of the vocabulary, got {unknown[0]!r} in {text!r}"
            )
        if len(words) > self.context_length - 2:
            room = self.context_length - 2
            raise ValueError(f"texts must have at most {room} words, got {len(words)} in {text!r}")
        return [self._ids[word] for word in words]
