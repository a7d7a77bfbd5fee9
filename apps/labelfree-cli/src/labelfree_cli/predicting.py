"""`labelfree-cli predict`, `evaluate` and `query`: a finished model on scans."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import typer
from torch import Tensor

from labelfree_cli.config import ImagesConfig, RunConfig
from labelfree_cli.encoders import open_clip_model
from labelfree_cli.labeling import label_scene
from labelfree_cli.scenes import needs_of, with_images
from pcl_clip3d import DenseClip, check_text, query_points
from pcl_data import Scene
from pcl_data.evaluation import ScoreProtocol
from pcl_data.opening import read_words
from pcl_methods.cards import reading_card, trained_card
from pcl_methods.data import open_scored, open_split, with_other_data
from pcl_methods.kept_split import check_held_out, read_kept
from pcl_methods.labelfree.classes import class_texts
from pcl_methods.labelfree.ensemble import image_features
from pcl_methods.labelfree.querying import query_files, write_query
from pcl_methods.labelfree.scoring import SCORES, score_classes
from pcl_methods.labelfree.text_network import OpenVocabulary, load_open_vocabulary
from pcl_methods.outputs import check_outputs
from pcl_methods.segmentation.scoring import shown_number
from pcl_methods.segmentation.weights import weights_file
from pcl_methods.settings import DataConfig
from pcl_run.cli import choose_device, print_json
from pcl_run.config import load_config


def evaluate_model(
    model: Path, data: Path | None, overrides: Sequence[str], device: str
) -> dict[str, Any]:
    """Scores on the run's held-out scenes, or on the labeled scans of other data.

    Raises:
        ValueError: if the model is of no label-free run, or there is nothing to score.
    """
    path = weights_file(model)
    card, kept = trained_card(path), read_kept(path.parent)
    if card.get("kind") != "labelfree":
        raise ValueError(f"model must be made by labelfree-cli run, got {card.get('kind')}")
    vocabulary = load_open_vocabulary(path, choose_device(device))
    with reading_card(path):
        stored = {"stored": with_other_data(card["config"], data)}
        own = with_images(DataConfig(**card["config"]["data"])).model_dump(mode="json")
        trained_on = str(card["data"])
    config = load_config(RunConfig, presets=stored, preset="stored", overrides=overrides)
    views = config.model.views
    segmenter = replace(vocabulary.segmenter, views=views)
    split = open_scored(with_images(config.data), own, segmenter.label_set, kept)
    check_held_out(split, needs_of(config.data, config.model.voxel_size, frames=False), kept)
    protocol = ScoreProtocol(
        split.data, "held-out", views=views, budget="none", trained_on=trained_on
    )
    return score_classes(
        map(split.load, split.validation),
        lambda scene: segmenter(scene).labels,
        segmenter.label_set,
        protocol=protocol,
    )


def query_scenes(
    phrase: str,
    others: Sequence[str],
    scans: Sequence[Path],
    model: Path,
    out: Path,
    *,
    options: Sequence[str] = (),
    overwrite: bool = False,
    device: str = "auto",
) -> list[dict[str, Any]]:
    """How well each point of scans fits a phrase: a PLY, a picture and a page of each.

    Points that an image of the scan sees are asked by the images of their geometric set, others by
    the network.

    Args:
        phrase: what is looked for.
        others: what it is not; none: the classes of the model that share no word with it.
        scans: folders and files.
        model: a label-free run.
        out: folder of the files.
        options: of the reader.
        overwrite: whether files may be replaced.
        device: auto, cpu or cuda.

    Raises:
        ValueError: if a word is unknown to the text encoder, nothing is left that it is not, or a
            file is there.
    """
    where = choose_device(device)
    vocabulary = load_open_vocabulary(model, where)
    images = ImagesConfig.model_validate(vocabulary.images)
    clip = open_clip_model(images, where)
    check_text(clip, vocabulary.text_features, vocabulary.text_space)
    embedded = clip.encode_text([phrase, *(others or _other_classes(vocabulary, phrase))])
    scenes = [scene for scan in scans for scene in _read(scan, options)]
    files = [file for scene in scenes for file in query_files(out, scene.name)]
    check_outputs(files, overwrite=overwrite, inputs=scans)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for scene in scenes:
        vocabulary.segmenter.check(scene)
        features = _features(scene, vocabulary, clip, images)
        found = query_points(features, embedded[0], embedded[1:]).cpu().numpy()
        written = write_query(out, scene, phrase, found)
        share = float((found > 0.5).mean())
        rows.append({"scene": scene.name, "fits": share, "files": [str(one) for one in written]})
    return rows


def _read(scan: Path, options: Sequence[str]) -> list[Scene]:
    """The scenes of a folder or file, with their images."""
    split = open_split(
        with_images(DataConfig(root=scan, options=read_words(options), budget="none")), scored=False
    )
    return [split.load(name) for name in (*split.training, *split.validation)]


def _other_classes(vocabulary: OpenVocabulary, phrase: str) -> list[str]:
    texts, words = class_texts(vocabulary.segmenter.label_set), set(phrase.split())
    others = [text for text in texts if words.isdisjoint(text.split())]
    if not others:
        raise ValueError("--not must name what it is not, as each class shares a word with it")
    return others


def _features(
    scene: Scene, vocabulary: OpenVocabulary, clip: DenseClip, images: ImagesConfig
) -> Tensor:
    """The feature of each point, (n, d), by images where one sees it."""
    features = vocabulary.features(scene)
    if not len(scene.frames):
        return features
    seen = image_features(label_scene(scene, images, clip, vocabulary.text_features))
    seen = seen.to(features)
    return torch.where((seen != 0).any(dim=1, keepdim=True), seen, features)


def print_scores(scores: Mapping[str, Any], *, as_json: bool) -> None:
    """One line a score, or JSON."""
    if as_json:
        return print_json(scores)
    for name in SCORES:
        typer.echo(f"{name:<8}{shown_number(scores[name], '.3f')}")
    typer.echo(f"protocol {scores['protocol']}; f_miou {scores['f_protocol']}")
    return None


def print_query(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """What fits and where it was written, or JSON."""
    if as_json:
        return print_json({"scenes": rows})
    for row in rows:
        typer.echo(f"{row['scene']}: {row['fits']:.1%} of the points fit -> {row['files'][0]}")
    return None
