"""Cards of weights files, checked: they may come from anybody."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pcl_backbones import read_card
from pcl_data import LabelSet
from pcl_methods.segmentation.features import FeatureKind

MAX_WIDTH = 64  # a wider network than anybody has is a damaged card


class NetworkCard(BaseModel):
    """How a network is built."""

    model_config = ConfigDict(strict=True)

    backbone: str
    width: float = Field(gt=0, le=MAX_WIDTH)
    features: FeatureKind
    head_layers: Literal[1, 2]
    offsets: bool


class SegmenterCard(BaseModel):
    """What it takes to use a network on a scene."""

    model_config = ConfigDict(strict=True)

    network: NetworkCard
    voxel_size: float = Field(gt=0, allow_inf_nan=False)
    cluster_radius: float = Field(gt=0, allow_inf_nan=False)
    min_points: int = Field(ge=1)
    views: int = Field(1, ge=1)
    label_set: dict[str, Any]


def trained_card(path: Path) -> dict[str, Any]:
    """The card of a file of weights that label points.

    Raises:
        ValueError: naming the file, if it is of another kind.
    """
    if path.suffix != ".safetensors":
        raise ValueError(
            f"model must be a finished run, or its model.safetensors, got {path}: a checkpoint of "
            "another program is what a training starts from (--init)"
        )
    return read_card(path)


@contextmanager
def reading_card(path: Path) -> Iterator[None]:
    """Name the file in the errors of a card that no app of ours wrote so."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"{place} {first['msg'].replace('Input should', 'must')}"
        raise ValueError(f"{path}: the card is none of ours: {problem}") from None
    except (AttributeError, IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: the card is none of ours: {error!r:.200}") from None
    except ValueError as error:
        raise ValueError(f"{path}: the card is none of ours: {error}") from None


def read_label_set(values: Mapping[str, Any]) -> LabelSet:
    """A label set from a card.

    Raises:
        ValueError: if it is none.

    Example:
        >>> import json
        >>> from dataclasses import asdict
        >>> from pcl_data import SCANNET20
        >>> read_label_set(json.loads(json.dumps(asdict(SCANNET20)))) == SCANNET20
        True
    """
    label_set = TypeAdapter(LabelSet).validate_python(dict(values))
    if not label_set.names or any(not 0 <= one <= 255 for rgb in label_set.colors for one in rgb):
        raise ValueError("label_set must have classes, with colors of 0 to 255")
    return label_set
