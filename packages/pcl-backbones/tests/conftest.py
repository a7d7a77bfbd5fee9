"""One thread: the networks of these tests are too small to share. And files to be refused."""

import random

import pytest
import torch

collect_ignore = ["golden"]  # its script needs spconv


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def mutated():
    """What makes damaged copies of a file's bytes, the same ones in every run."""
    return _mutated


def _mutated(whole: bytes, count: int):
    rng = random.Random(0)
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            place, length = rng.randrange(len(data) + 1), rng.choice((1, 4, 8, 30))
            part = slice(place, place + length)
            start = rng.randrange(len(data) + 1)
            data[part] = rng.choice(
                (
                    b"",
                    rng.randbytes(length),
                    bytes([rng.choice((0x00, 0x7F, 0xFF))]) * length,
                    data[part] + data[start : start + length],
                )
            )
            if rng.random() < 0.1:
                del data[place:]
        yield bytes(data)
