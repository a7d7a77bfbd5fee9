"""Typed configuration: schema defaults < preset < YAML file < dotted overrides."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from pcl_run.overrides import parse_override
from pcl_run.renaming import holds, renamed_overrides, renamed_settings
from pcl_run.yaml_text import MAX_SIZE, read_yaml


class Config(BaseModel):
    """Base of every configuration group: immutable, without unknown keys, NaN or infinity.

    A path is absolute, so that a run goes on from any working directory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    renamed: ClassVar[Mapping[str, str]] = {}
    """Of the root: what to write in place of a setting that had another name, by its path.

    Where `{}` stands for the old value, the new setting says exactly the same, and the old one is
    read as the new one with a warning: `"n_labeled": "data.budget={}scenes"`. Else it is an error.
    """

    @field_validator("*", mode="after")
    @classmethod
    def _paths_are_absolute(cls, value: Any) -> Any:
        return absolute(value) if isinstance(value, Path) else value


def absolute(path: Path) -> Path:
    """The path from the root; links are followed only where `..` makes it necessary."""
    return path.resolve() if ".." in path.parts else path.absolute()


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line."""


T = TypeVar("T", bound=Config)


def load_config(
    schema: type[T],
    *,
    presets: Mapping[str, Mapping[str, Any]],
    preset: str | None = None,
    file: Path | None = None,
    overrides: Sequence[str] = (),
) -> T:
    """The validated configuration; later layers win, group by group.

    Args:
        schema: the root of the tree.
        presets: nested settings by name.
        preset: one of those names.
        file: YAML, nested like the schema; the `config.yaml` of a run is one.
        overrides: `group.key=value`, read as `parse_override` does.

    Raises:
        ConfigError: for an unknown preset or key, a wrong value, broken YAML, or a setting given by
            its old name and by its new one.
        FileNotFoundError: if there is no such file.

    Example:
        >>> class Train(Config):
        ...     steps: int = 10
        >>> class Root(Config):
        ...     train: Train = Train()
        >>> load_config(Root, presets={}, overrides=["train.steps=3"]).train.steps
        3
    """
    if preset is not None and preset not in presets:
        raise ConfigError(f"preset must be one of {', '.join(presets)}, got {preset}")
    base = {} if preset is None else presets[preset]
    try:
        layers = _layers(schema, base, file, overrides)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None
    merged: Mapping[str, Any] = _group_defaults(schema)
    for layer in layers:
        merged = _merge(merged, layer)
    try:
        return schema.model_validate(merged)
    except ValidationError as error:
        path, message = _explain(schema, error)
        of_file = file is not None and holds(layers[1], path)
        if of_file and not any(holds(layer, path) for layer in layers[2:]):
            message = f"{file}: {message}"
        raise ConfigError(_shortened(message)) from None


def to_yaml(config: Config) -> str:
    """The configuration as YAML that `load_config` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def flatten(config: Config | Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted path, in the order of the schema.

    Example:
        >>> flatten({"train": {"steps": 3}, "seed": 0})
        {'train.steps': 3, 'seed': 0}
    """
    tree = config.model_dump(mode="json") if isinstance(config, Config) else config
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat.update({f"{key}.{path}": leaf for path, leaf in flatten(value).items()})
        else:
            flat[str(key)] = value
    return flat


def _group_defaults(schema: type[BaseModel]) -> dict[str, Any]:
    """Defaults of nested groups, so that setting one key of a group keeps the others."""
    defaults = {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in schema.model_fields.items()
    }
    return {
        name: value.model_dump() for name, value in defaults.items() if isinstance(value, BaseModel)
    }


def _merge(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in layer.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _read_file(file: Path) -> Mapping[str, Any]:
    with file.open("rb") as handle:
        content = handle.read(MAX_SIZE + 1)
    try:
        tree = read_yaml(content)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{file}: must hold `key: value` lines, got {type(tree).__name__}")
    return tree


def _layers(
    schema: type[Config],
    base: Mapping[str, Any],
    file: Path | None,
    overrides: Sequence[str],
) -> list[Mapping[str, Any]]:
    """What the preset, the file and the overrides say, in the words of today."""
    layers = [renamed_settings(schema.renamed, base)]
    if file is not None:
        layers.append(renamed_settings(schema.renamed, _read_file(file), f"{file}: "))
    words = renamed_overrides(schema.renamed, overrides)
    layers.extend(parse_override(schema, text) for text in words)
    return layers


def _explain(schema: type[Config], error: ValidationError) -> tuple[str, str]:
    """The path of the first problem, and one line about it.

    A misspelt key comes before what it leaves missing.
    """
    problems = error.errors(include_url=False, include_context=False)
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    path = ".".join(str(part) for part in first["loc"])
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        if path in schema.renamed:
            return path, f"{path} is now {schema.renamed[path].removesuffix('={}')}"
        return path, f"{path} is no setting{_hint(schema, path)}"
    if first["type"] == "missing":
        return path, f"{path} must be set"
    if first["type"] == "value_error":
        message = message.removeprefix("Value error, ")
        return path, f"{path}: {message}" if path else message
    return path, f"{path} {message.replace('Input should', 'must')}, got {first['input']!r}"


def _shortened(message: str) -> str:
    """One line, without the middle of what was given where that is long."""
    message = " ".join(message.split())
    return message if len(message) <= 400 else f"{message[:300]} ... {message[-80:]}"


def _hint(schema: type[BaseModel], path: str) -> str:
    names = _all_names(schema)
    group, _, key = path.rpartition(".")
    siblings = [name for name in names if name.rpartition(".")[0] == group]
    leaf = {name.rpartition(".")[2]: name for name in reversed(names)}
    near = difflib.get_close_matches(path, siblings, n=1, cutoff=0.5)
    near = near or [leaf[match] for match in difflib.get_close_matches(key, leaf, n=1, cutoff=0.5)]
    near = near or difflib.get_close_matches(path, names, n=1, cutoff=0)
    return f"; did you mean {near[0]}?" if near else ""


def _all_names(schema: type[BaseModel]) -> list[str]:
    names = []
    for name, field in schema.model_fields.items():
        names.append(name)
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            names.extend(f"{name}.{below}" for below in _all_names(group))
    return names
