"""One thread: the networks of these tests are too small to share."""

import pytest
import torch

collect_ignore = ["golden"]  # its script needs spconv


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
