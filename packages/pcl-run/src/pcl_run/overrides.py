"""Dotted overrides such as `train.steps=3`, read by the type of the setting that they name."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from pcl_run.yaml_text import read_yaml


def parse_override(schema: type[BaseModel], text: str) -> dict[str, Any]:
    """`group.key=value` as nested settings.

    Where the setting is text, a path or a word, the value is taken as it stands, without quotes
    around it: `data.split=00` is "00". Where it is a list of texts, commas separate, and brackets
    and quotes may be left out: `data.validation=room8*,room9*`. An empty value and `null` are None
    where None is allowed. A value of a mapping to anything stays text: who takes it knows its type.
    Everything else is read as YAML; what is none stays text, which the setting refuses.

    Raises:
        ValueError: if there is no `=` or no key, or a list or mapping is no YAML.

    Example:
        >>> class Data(BaseModel):
        ...     split: str | None = None
        ...     names: tuple[str, ...] = ()
        >>> class Root(BaseModel):
        ...     data: Data = Data()
        >>> parse_override(Root, "data.split=00"), parse_override(Root, "data.names=a*,b")
        ({'data': {'split': '00'}}, {'data': {'names': ['a*', 'b']}})
    """
    path, equals, value = text.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise ValueError(f"override must look like group.key=value, got {text}")
    tree = _read(path, value, _annotation(schema, keys))
    for key in reversed(keys):
        tree = {key: tree}
    return tree


def _annotation(schema: Any, keys: list[str]) -> Any:
    """The type of the setting of a path; Any where there is none."""
    for number, key in enumerate(keys):
        if get_origin(schema) in (dict, Mapping):
            kind = get_args(schema)[1] if number == len(keys) - 1 else Any
            return str if kind is Any else kind
        if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
            return Any
        if key not in schema.model_fields:
            return Any
        schema = schema.model_fields[key].annotation
    return schema


def _read(path: str, text: str, annotation: Any) -> Any:
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if NoneType in kinds and text in ("", "null"):
        return None
    kinds = tuple(kind for kind in kinds if kind is not NoneType)
    if len(kinds) == 1 and get_origin(kinds[0]) is tuple and get_args(kinds[0])[0] is str:
        return _names(text)
    if any(_is_text(kind) for kind in kinds):
        return _unquoted(text)
    try:
        return read_yaml(text)
    except ValueError:
        if text[:1] in ("[", "{"):
            raise ValueError(f"{path} must be YAML, got {text[:100]}") from None
        return text  # the setting's own rule names it


def _is_text(kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return all(isinstance(word, str) for word in get_args(kind))
    return isinstance(kind, type) and (kind is str or kind.__name__ == "Path")


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def _names(text: str) -> list[str]:
    """Texts between commas; brackets around all of them are left out, others belong to a glob."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return [_unquoted(name.strip()) for name in text.split(",") if name.strip()]
