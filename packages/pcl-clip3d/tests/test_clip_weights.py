"""Tests of pcl_clip3d.clip_weights, and of DenseClip.load which calls it."""

import json
import shutil

import pytest
import torch
from torch.testing import assert_close

from pcl_clip3d import clip_weights
from pcl_clip3d.clip_library import import_open_clip
from pcl_clip3d.dense_clip import DenseClip
from pcl_clip3d.word_tokenizer import WordTokenizer

WORDS = [f"word{i}" for i in range(13)]  # 16 ids
VISION = {"layers": 3, "width": 64, "head_width": 16, "patch_size": 8, "image_size": 32}
TEXT = {"layers": 1, "width": 64, "heads": 1, "vocab_size": 16, "context_length": 8}
CONFIG = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}


@pytest.fixture
def folder(tmp_path, vit):
    """A folder with a model and a vocabulary."""
    from safetensors.torch import save_file

    path = tmp_path / "small"
    path.mkdir()
    pixels = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    config = {"model_cfg": CONFIG, "preprocess_cfg": pixels}
    (path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(vit.state_dict(), path / "open_clip_model.safetensors")
    WordTokenizer(WORDS, 8).save(path / "vocabulary.json")
    return path


@pytest.fixture
def registered(monkeypatch):
    """open_clip, which knows a model `tiny`."""
    library = import_open_clip()
    monkeypatch.setitem(library.factory._MODEL_CONFIGS, "tiny", CONFIG)
    return library


def test_a_folder_gives_the_model_that_was_saved(folder, vit, photo):
    found = DenseClip.load(folder, attention="sclip")
    wanted = DenseClip(vit, WordTokenizer(WORDS, 8), name="x", attention="sclip")
    wanted._mean, wanted._std = (0.5,) * 3, (0.25,) * 3
    assert_close(found(photo).grid, wanted(photo).grid)
    texts = ["word1 word2", "word3"]
    assert_close(found.encode_text(texts), wanted.encode_text(texts))


def test_the_text_space_is_that_of_the_weights(folder, tmp_path):
    name = DenseClip.load(folder).text_space
    assert name.startswith("open_clip/sha256:")
    shutil.copytree(folder, tmp_path / "copy")
    assert DenseClip.load(str(tmp_path / "copy")).text_space == name
    parts = clip_weights.load_folder(folder)
    parts.model.logit_scale.data += 1
    from safetensors.torch import save_file

    save_file(parts.model.state_dict(), tmp_path / "copy" / "open_clip_model.safetensors")
    assert DenseClip.load(tmp_path / "copy").text_space != name


@pytest.mark.parametrize("name", ["open_clip_config.json", "open_clip_model.safetensors"])
def test_a_missing_file_of_a_folder_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"small must hold {name}"):
        DenseClip.load(folder)


@pytest.mark.parametrize(
    "text", ["no json", "{}", '{"model_cfg": {"nonsense": 1}}', json.dumps({"model_cfg": CONFIG})]
)
def test_a_config_that_describes_no_model_is_named(folder, text):
    (folder / "open_clip_config.json").write_text(text)
    with pytest.raises(ValueError, match=r"open_clip_config\.json must describe a model, got"):
        DenseClip.load(folder)


def test_weights_of_another_architecture_are_refused(folder, build):
    from safetensors.torch import save_file

    path = folder / "open_clip_model.safetensors"
    save_file(build({"width": 32}).state_dict(), path)
    message = r"open_clip_model\.safetensors must hold .* got visual\.\w+ of .* in the place of"
    with pytest.raises(ValueError, match=message):
        DenseClip.load(folder)
    save_file(build({"layers": 2}).state_dict(), path)
    with pytest.raises(ValueError, match=r"got no visual\.transformer\.resblocks\.2\."):
        DenseClip.load(folder)


def test_a_vocabulary_of_another_size_is_refused(folder):
    WordTokenizer(WORDS[:-2], 8).save(folder / "vocabulary.json")
    with pytest.raises(ValueError, match=r"vocabulary\.json must have 13 words, got 11"):
        DenseClip.load(folder)


def test_without_a_vocabulary_the_tokenizer_is_that_of_clip(folder):
    (folder / "vocabulary.json").unlink()
    tokenizer = DenseClip.load(folder).tokenizer
    assert tokenizer(["a chair"]).shape == (1, 8)


def test_a_model_by_name_takes_a_file(registered, tmp_path, vit, photo):
    path = tmp_path / "mine.pt"
    torch.save({"state_dict": vit.state_dict()}, path)
    found = DenseClip.load("tiny", path)
    assert found.text_space.startswith("tiny/sha256:")
    wanted = DenseClip(vit, None, name="x")
    assert_close(found(photo).grid, wanted(photo).grid)
    torch.save(torch.nn.Linear(1, 1).state_dict(), path)
    with pytest.raises(ValueError, match=r"mine\.pt must hold the weights of this architecture"):
        DenseClip.load("tiny", path)


def test_a_model_with_a_text_tower_of_its_own_takes_a_file(registered, monkeypatch, tmp_path):
    config = {**CONFIG, "custom_text": True}
    monkeypatch.setitem(registered.factory._MODEL_CONFIGS, "apart", config)
    model = registered.CustomTextCLIP(24, VISION, TEXT)
    torch.save(model.state_dict(), tmp_path / "apart.pt")
    found = DenseClip.load("apart", tmp_path / "apart.pt")
    assert isinstance(found.model, registered.CustomTextCLIP)
    assert found.text_space.startswith("apart/sha256:")


def test_a_tag_brings_its_activation(registered, monkeypatch, tmp_path, vit):
    path = tmp_path / "downloaded.pt"
    torch.save(vit.state_dict(), path)
    tag = {"url": "", "hf_hub": "", "quick_gelu": True, "mean": (0.1,) * 3, "std": (0.2,) * 3}
    monkeypatch.setitem(registered.pretrained._PRETRAINED, "tiny", {"mine": tag})
    monkeypatch.setattr(registered.factory, "download_pretrained", lambda *_, **__: str(path))
    found = DenseClip.load("tiny", "mine")
    assert found.text_space == "tiny/mine"
    assert found._mean == (0.1,) * 3
    activation = found.model.visual.transformer.resblocks[0].mlp.gelu
    assert type(activation).__name__ == "QuickGELU"


def test_names_and_tags_that_do_not_exist_are_refused(registered, tmp_path):
    with pytest.raises(ValueError, match=r"name must be a folder or .*got 'ViT-Z-1'"):
        DenseClip.load("ViT-Z/1", "openai")
    with pytest.raises(ValueError, match=r"weights of tiny must be a file or one of \[\], got 'x'"):
        DenseClip.load("tiny", "x")
    path = tmp_path / "some.pt"
    path.touch()
    with pytest.raises(ValueError, match="that writes no captions, got 'coca_ViT-B-32'"):
        DenseClip.load("coca_ViT-B-32", path)
    with pytest.raises(
        ValueError, match="must be a folder, or a name with weights, got 'ViT-B-16'"
    ):
        DenseClip.load("ViT-B-16")
