"""Annotations of images as LVIS v1 writes them: federated, with a long tail of classes.

Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation", CVPR 2019, section 3. Of
an image it is known of some classes only whether they are there: those with an annotation, and
those in `neg_category_ids`, which are absent. Of the classes in `not_exhaustive_category_ids` some
objects may lack an annotation. Ids are those of the file; they need not be consecutive.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

from pcl_data.atomic_files import write_whole

ImageFrequency = Literal["r", "c", "f"]
Segmentation = list[list[float | int]] | dict[str, Any]
RARE, COMMON = 10, 100  # training images up to which a class is rare, or common


@dataclass(frozen=True)
class LvisImage:
    """An image and what is known of it.

    Args:
        id: unique.
        file_name: relative to the folder of images.
        height: pixels.
        width: pixels.
        neg_category_ids: classes that are verified to be absent.
        not_exhaustive_category_ids: classes of which objects may lack an annotation.
    """

    id: int
    file_name: str
    height: int
    width: int
    neg_category_ids: tuple[int, ...] = ()
    not_exhaustive_category_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class LvisCategory:
    """A class.

    Args:
        id: unique.
        name: in words.
        frequency: rare (r), common (c) or frequent (f), by images of the training set.
        image_count: training images with an annotation of it.
        instance_count: annotations of it in the training set.
    """

    id: int
    name: str
    frequency: ImageFrequency
    image_count: int = 0
    instance_count: int = 0


@dataclass(frozen=True)
class LvisAnnotation:
    """An object in an image.

    Args:
        id: unique.
        image_id: of its image.
        category_id: of its class.
        segmentation: polygons [x0, y0, x1, y1, ...] in pixels, or a run-length encoding with `size`
            and `counts`.
        area: pixels.
        bbox: x, y, width and height in pixels.
    """

    id: int
    image_id: int
    category_id: int
    segmentation: Segmentation
    area: float | int
    bbox: tuple[float | int, ...]


@dataclass(frozen=True)
class LvisData:
    """What a file holds: ids are unique, and what refers to them finds them.

    Args:
        images: in the order of the file.
        categories: likewise; class k of a network is the k-th of them.
        annotations: likewise.

    Raises:
        ValueError: naming the field, if an id is not unique or is of nothing.
    """

    images: tuple[LvisImage, ...]
    categories: tuple[LvisCategory, ...]
    annotations: tuple[LvisAnnotation, ...]

    def __post_init__(self) -> None:
        images = _unique_ids("images", self.images)
        categories = _unique_ids("categories", self.categories)
        _unique_ids("annotations", self.annotations)
        for place, image in enumerate(self.images):
            for name in ("neg_category_ids", "not_exhaustive_category_ids"):
                for one in getattr(image, name):
                    _check_known(f"images[{place}].{name}", one, categories)
        for place, one in enumerate(self.annotations):
            _check_known(f"annotations[{place}].image_id", one.image_id, images)
            _check_known(f"annotations[{place}].category_id", one.category_id, categories)

    def of_images(self, ids: Iterable[int]) -> "LvisData":
        """These images with their annotations, in the order of the file; all categories stay."""
        kept = set(ids)
        return LvisData(
            tuple(image for image in self.images if image.id in kept),
            self.categories,
            tuple(one for one in self.annotations if one.image_id in kept),
        )


def frequency_of(image_count: int) -> ImageFrequency:
    """How frequent a class of so many training images is, as LVIS v1 has it.

    Example:
        >>> [frequency_of(count) for count in (1, 10, 11, 100, 101)]
        ['r', 'r', 'c', 'c', 'f']
    """
    return "r" if image_count <= RARE else "c" if image_count <= COMMON else "f"


def counted_categories(
    categories: Sequence[LvisCategory], annotations: Iterable[LvisAnnotation]
) -> tuple[LvisCategory, ...]:
    """The categories with the counts and frequencies of these annotations, a training set's."""
    annotations = list(annotations)
    instances = Counter(one.category_id for one in annotations)
    pairs = {(one.image_id, one.category_id) for one in annotations}
    images = Counter(category for _, category in pairs)
    return tuple(
        replace(
            one,
            frequency=frequency_of(images[one.id]),
            image_count=images[one.id],
            instance_count=instances[one.id],
        )
        for one in categories
    )


def read_lvis(path: str | PathLike[str]) -> LvisData:
    """The annotations of an LVIS v1 file; what else it holds is left out.

    An image without `file_name` has the last two parts of its `coco_url`, as in `val2017/1.jpg`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file and the field, if something is missing or malformed.
    """
    try:
        tree = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} must be JSON, got: {error}") from error
    try:
        parts = _Fields(tree, "")
        return LvisData(
            tuple(_image(one) for one in parts.items("images")),
            tuple(_category(one) for one in parts.items("categories")),
            tuple(_annotation(one) for one in parts.items("annotations")),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_lvis(data: LvisData, path: str | PathLike[str]) -> None:
    """Write annotations as LVIS v1 JSON, whole or not at all; `read_lvis` reads the same back."""
    tree = {
        "info": {"version": "v1"},
        **{name: [asdict(one) for one in getattr(data, name)] for name in vars(data)},
    }
    write_whole(path, json.dumps(tree, allow_nan=False).encode())


class _Fields:
    """An object of the file, whose fields are checked when they are read."""

    def __init__(self, tree: Any, place: str) -> None:
        if not isinstance(tree, dict):
            raise ValueError(f"{place or 'it'} must be an object, got {_brief(tree)}")
        self.tree, self.place = tree, place

    def name(self, field: str) -> str:
        return f"{self.place}.{field}" if self.place else field

    def get(self, field: str, rule: str, fits: Callable[[Any], bool], *default: Any) -> Any:
        """A field that fits a rule."""
        if field not in self.tree:
            if default:
                return default[0]
            raise ValueError(f"{self.name(field)} must be {rule}, got none")
        value = self.tree[field]
        if not fits(value):
            raise ValueError(f"{self.name(field)} must be {rule}, got {_brief(value)}")
        return value

    def items(self, field: str) -> "list[_Fields]":
        values = self.get(field, "a list", lambda value: isinstance(value, list))
        return [_Fields(value, f"{self.name(field)}[{i}]") for i, value in enumerate(values)]

    def whole(self, field: str, least: int, *default: int) -> int:
        rule = f"a whole number of at least {least}"
        return self.get(field, rule, lambda value: _is_whole(value) and value >= least, *default)

    def ids(self, field: str) -> tuple[int, ...]:
        return tuple(self.get(field, "a list of ids", _are(_is_whole)))

    def text(self, field: str, *default: str) -> str:
        return self.get(field, "a text", lambda value: isinstance(value, str), *default)


def _image(one: _Fields) -> LvisImage:
    name = one.text("file_name", "")
    if not name:
        name = "/".join(one.text("coco_url").split("/")[-2:])
    return LvisImage(
        one.whole("id", 0),
        name,
        one.whole("height", 1),
        one.whole("width", 1),
        one.ids("neg_category_ids"),
        one.ids("not_exhaustive_category_ids"),
    )


def _category(one: _Fields) -> LvisCategory:
    words = get_args(ImageFrequency)
    return LvisCategory(
        one.whole("id", 0),
        one.text("name"),
        one.get("frequency", f"one of {', '.join(words)}", words.__contains__),
        one.whole("image_count", 0, 0),
        one.whole("instance_count", 0, 0),
    )


def _annotation(one: _Fields) -> LvisAnnotation:
    four = "four numbers"
    return LvisAnnotation(
        one.whole("id", 0),
        one.whole("image_id", 0),
        one.whole("category_id", 0),
        one.get("segmentation", "polygons or a run-length encoding", _is_segmentation),
        one.get("area", "a number of at least 0", lambda value: _is_number(value) and value >= 0),
        tuple(one.get("bbox", four, lambda value: _are(_is_number)(value) and len(value) == 4)),
    )


def _is_segmentation(value: Any) -> bool:
    if isinstance(value, dict):
        size, counts = value.get("size"), value.get("counts")
        is_size = isinstance(size, list) and _are(_is_whole)(size) and len(size) == 2
        return is_size and (isinstance(counts, str) or _are(_is_whole)(counts))
    if not isinstance(value, list) or not value:
        return False
    return all(_are(_is_number)(ring) and len(ring) >= 6 and len(ring) % 2 == 0 for ring in value)


def _are(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _unique_ids(field: str, values: Sequence[Any]) -> set[int]:
    seen: set[int] = set()
    for place, one in enumerate(values):
        if one.id in seen:
            raise ValueError(f"{field}[{place}].id must be unique, got {one.id} again")
        seen.add(one.id)
    return seen


def _check_known(field: str, value: int, known: set[int]) -> None:
    if value not in known:
        raise ValueError(f"{field} must be an id of the file, got {value}")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
