"""Models of open_clip with the weights of a file, a folder or a tag."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pcl_clip3d.clip_library import import_open_clip
from pcl_clip3d.word_tokenizer import WordTokenizer

CONFIG, WEIGHTS, VOCABULARY = (
    "open_clip_config.json",
    "open_clip_model.safetensors",
    "vocabulary.json",
)


class ClipParts(NamedTuple):
    """A model, the tokenizer of its texts, and the name of its text space."""

    model: nn.Module
    tokenizer: Any  # texts to ids
    name: str


def load_folder(folder: Path) -> ClipParts:
    """The model of a folder, of the layout that open_clip writes to the Hugging Face hub.

    `open_clip_config.json` holds the arguments of `open_clip.CLIP` as `model_cfg`, and the mean
    and std of the pixels as `preprocess_cfg`; `open_clip_model.safetensors` holds the weights.
    With `vocabulary.json`, a JSON list, the tokenizer is of whole words.

    Raises:
        FileNotFoundError: naming the file that is missing.
        ValueError: naming the file that does not fit.
    """
    library = import_open_clip()
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} must hold {name}, got a folder without it")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        model = library.CLIP(**config["model_cfg"])
        library.set_model_preprocess_cfg(model, config["preprocess_cfg"])
    except (KeyError, TypeError, ValueError) as error:
        message = f"{folder / CONFIG} must describe a model of open_clip, got: {error!r}"
        raise ValueError(message) from error
    fill_weights(model, folder / WEIGHTS)
    tokenizer = _folder_tokenizer(folder, model)
    return ClipParts(model, tokenizer, f"open_clip/{_digest(folder / WEIGHTS)}")


def load_named(name: str, weights: str) -> ClipParts:
    """A model that open_clip has by name, with the weights of a file or of one of its tags.

    A tag brings its own activation (QuickGELU or GELU); for a file, the name says it
    (`ViT-B-16-quickgelu` for the weights of OpenAI).

    Raises:
        ValueError: if open_clip has no such model, the weights are neither a file nor a tag, or
            the file is of another architecture.
    """
    library = import_open_clip()
    name = name.replace("/", "-")
    if name not in library.list_models():
        raise ValueError(f"name must be a folder or one of open_clip.list_models(), got {name!r}")
    tokenizer = library.get_tokenizer(name)
    if Path(weights).is_file():
        config = library.get_model_config(name)
        build = library.CustomTextCLIP if config.pop("custom_text", False) else library.CLIP
        model = build(**config)
        fill_weights(model, Path(weights))
        return ClipParts(model, tokenizer, f"{name}/{_digest(Path(weights))}")
    tags = library.list_pretrained_tags_by_model(name)
    if weights not in tags:
        raise ValueError(f"weights of {name} must be a file or one of {tags}, got {weights!r}")
    quick_gelu = library.get_pretrained_cfg(name, weights).get("quick_gelu", False)
    model = library.create_model(name, pretrained=weights, force_quick_gelu=quick_gelu)
    return ClipParts(model, tokenizer, f"{name}/{weights}")


def fill_weights(model: nn.Module, path: Path) -> None:
    """Fill a model with the weights of a file, all of them and no others.

    Raises:
        ValueError: naming the file and the first entry that does not fit, or that it is no file of
            weights.
    """
    found, wanted = _read_tensors(path), model.state_dict()
    for name, values in wanted.items():
        if name not in found:
            raise ValueError(f"{path} must hold weights of this architecture, got no {name}")
        if found[name].shape != values.shape:
            shapes = f"{name} of {tuple(found[name].shape)} in the place of {tuple(values.shape)}"
            raise ValueError(f"{path} must hold weights of this architecture, got {shapes}")
    further = sorted(set(found) - set(wanted))
    if further:
        raise ValueError(f"{path} must hold weights of this architecture, got also {further[0]}")
    model.load_state_dict(found)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of safetensors, or of a PyTorch checkpoint without other objects."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
        found = found.get("state_dict", found)
        return {name.removeprefix("module."): values for name, values in found.items()}
    except Exception as error:  # each format has its own
        message = f"{path} must be a file of weights (safetensors, or a state dict), got: {error}"
        raise ValueError(message) from error


def _folder_tokenizer(folder: Path, model: nn.Module) -> Any:
    if not (folder / VOCABULARY).is_file():
        return import_open_clip().get_tokenizer(f"local-dir:{folder}")
    tokenizer = WordTokenizer.from_file(folder / VOCABULARY, model.context_length)
    if tokenizer.vocab_size != model.vocab_size:
        n_words = model.vocab_size - tokenizer.vocab_size + len(tokenizer.words)
        got = len(tokenizer.words)
        raise ValueError(f"{folder / VOCABULARY} must have {n_words} words, got {got}")
    return tokenizer


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
