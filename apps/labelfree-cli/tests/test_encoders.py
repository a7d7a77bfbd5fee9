"""Tests of labelfree_cli.encoders: which model a word names, and how its last block is read."""

from importlib.resources import files

import pytest
import torch

from labelfree_cli.config import ImagesConfig
from labelfree_cli.encoders import open_clip_model

CPU = torch.device("cpu")


def test_the_small_model_is_read_as_it_was_trained_others_as_in_the_paper():
    folder = str(files("labelfree_cli") / "small_clip")
    assert open_clip_model(ImagesConfig(), CPU).attention == "own"
    assert open_clip_model(ImagesConfig(clip=folder), CPU).attention == "identity"
    assert open_clip_model(ImagesConfig(attention="sclip"), CPU).attention == "sclip"


def test_the_small_model_has_windows_unless_settings_say_others():
    usual = open_clip_model(ImagesConfig(), CPU)
    assert (usual.short_side, usual.window, usual.stride) == (120, 64, 32)
    whole = open_clip_model(ImagesConfig(short_side=80), CPU)
    assert (whole.short_side, whole.window) == (80, None)


def test_a_name_without_weights_is_refused():
    with pytest.raises(ValueError, match=r"images\.clip must be small, .*, got 'ViT-B-16'"):
        open_clip_model(ImagesConfig(clip="ViT-B-16"), CPU)
