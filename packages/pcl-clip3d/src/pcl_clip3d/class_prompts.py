"""Class names as sentences, and the embeddings of classes that are made of them.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (CLIP),
ICML 2021, sec. 3.1.4: the mean embedding of many prompts is a better classifier than one prompt.
Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022, add five prompts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_PICTURES = (
    "a bad photo, a low resolution photo, a rendering, graffiti, a cropped photo, a tattoo, "
    "a bright photo, a dark photo, a drawing, a close-up photo, a black and white photo, "
    "a painting, a pixelated photo, a sculpture, a jpeg corrupted photo, a blurry photo, a photo, "
    "a good photo, a doodle, a sketch, a rendition, itap, art"
).split(", ")
_LOOKS = ("hard to see", "clean", "dirty", "cool", "large", "nice", "weird", "small")
_MATERIALS = ("embroidered", "plastic", "origami", "toy", "cartoon", "plushie")
_SINGLE = ("a photo of many {}.", "a photo of my {}.", "a photo of one {}.", "itap of my {}.")
_SCENE = ("there is a", "there is the", "this is a", "this is the", "this is one")


def _templates() -> Iterator[str]:
    for article in ("a", "the"):
        yield from (f"{picture} of {article} {{}}." for picture in _PICTURES)
        yield from (f"a photo of {article} {look} {{}}." for look in _LOOKS)
        yield from (f"{article} {material} {{}}." for material in _MATERIALS)
        yield f"{article} {{}} in a video game."
    yield from _SINGLE
    yield from (f"{start} {{}} in the scene." for start in _SCENE)


PROMPT_TEMPLATES: tuple[str, ...] = tuple(_templates())
"""The 80 templates of CLIP for ImageNet, and the five of MaskCLIP that speak of a scene."""


def encode_class_names(
    names: Sequence[str],
    encode_text: Callable[[Sequence[str]], Float[Tensor, "t d"]],
    *,
    templates: Sequence[str] = PROMPT_TEMPLATES,
    synonyms: Mapping[str, Sequence[str]] | None = None,
) -> Float[Tensor, "c d"]:
    r"""The text embedding of each class, a row of length 1.

    .. math:: e(w) = u\Big(\sum_t u(E(t(w)))\Big), \qquad f_c = u\Big(\sum_{w \in W_c} e(w)\Big)

    with the encoder E, the templates t, u(x) = x / |x|, and the words W_c of a class: its name and
    its synonyms.

    Args:
        names: of two classes or more; no two are alike.
        encode_text: such as `DenseClip.encode_text`, or any encoder of sentences.
        templates: sentences with `{}` in the place of the name.
        synonyms: further words of some classes, by the name of the class.

    Raises:
        ValueError: if there are fewer than two names or two are alike, a template has no place for
            a name, synonyms are of no class, or encode_text does not return a finite row a text.

    Example:
        >>> import torch
        >>> def lengths(texts):
        ...     return torch.tensor([[float(len(text)), 1.0] for text in texts])
        >>> encode_class_names(["bed", "sofa"], lengths, templates=["a {}."]).shape
        torch.Size([2, 2])
    """
    _check_names(names, templates, synonyms or {})
    classes = []
    for name in names:
        words = [name, *(synonyms or {}).get(name, ())]
        embeddings = [_encode_word(word, encode_text, templates) for word in words]
        classes.append(torch.stack(embeddings).sum(dim=0))
    return functional.normalize(torch.stack(classes), dim=1)


def _encode_word(
    word: str, encode_text: Callable[[Sequence[str]], Tensor], templates: Sequence[str]
) -> Float[Tensor, " d"]:
    rows = encode_text([template.replace("{}", word) for template in templates])
    if rows.ndim != 2 or len(rows) != len(templates) or not rows.isfinite().all():
        got = f"shape {tuple(rows.shape)} for {len(templates)} texts, or NaN"
        raise ValueError(f"encode_text must return a finite row a text, got {got}")
    return functional.normalize(functional.normalize(rows, dim=1).sum(dim=0), dim=0)


def _check_names(
    names: Sequence[str], templates: Sequence[str], synonyms: Mapping[str, Sequence[str]]
) -> None:
    if isinstance(names, str) or len(names) < 2:
        raise ValueError(f"names must be two class names or more, got {names!r}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"names must differ from each other, got {twice} more than once")
    if any(not name.strip() for name in names):
        raise ValueError("names must not be empty, got an empty one")
    without = [template for template in templates if "{}" not in template]
    if without or not templates or isinstance(templates, str):
        raise ValueError(f"templates must be texts that hold '{{}}', got {without or templates!r}")
    unknown = sorted(set(synonyms) - set(names))
    if unknown:
        raise ValueError(f"synonyms must be of names, got some of {unknown}")
