"""Tests of pcl_run.overrides."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from pcl_run.overrides import parse_override


class Data(BaseModel):
    split: str | None = None
    root: Path | None = None
    names: tuple[str, ...] = ()
    mode: Literal["off", "on"] = "off"
    parts: Literal[1, 2] = 1
    share: float | None = None
    is_long: bool = False
    options: dict[str, str] = {}
    of_a_reader: dict[str, Any] = {}


class Root(BaseModel):
    data: Data = Data()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("split=00", "00"),  # YAML would read 0
        ("split=1e3", "1e3"),
        ("split=no", "no"),
        ("split=null", None),
        ("split=", None),
        ("split=[a", "[a"),
        ("split='00,01'", "00,01"),
        ("split='", "'"),
        ("root=2024-01-01", "2024-01-01"),
        ("names=*_vh,room[0-3]*", ["*_vh", "room[0-3]*"]),
        ("names=[room1*, 'room 2']", ["room1*", "room 2"]),
        ("names=[]", []),
        ("names=room[0-3]", ["room[0-3]"]),
        ("names=[ab]*,c", ["[ab]*", "c"]),
        ("names=08", ["08"]),
        ("mode=off", "off"),
        ("parts=2", 2),
        ("share=1e-3", "1e-3"),  # YAML 1.1 wants 1.0e-3; pydantic reads it
        ("share=null", None),
        ("is_long=true", True),
        ("nothing=4", 4),
    ],
)
def test_the_type_of_a_setting_says_how_it_is_read(text, value):
    key, _, _ = text.partition("=")
    assert parse_override(Root, f"data.{text}") == {"data": {key: value}}


def test_values_of_a_mapping_are_read_by_its_type():
    assert parse_override(Root, "data.options.split=08") == {"data": {"options": {"split": "08"}}}
    for text in ("08", "*.ply", "5", "[a, b]"):
        found = parse_override(Root, f"data.of_a_reader.key={text}")
        assert found == {"data": {"of_a_reader": {"key": text}}}


@pytest.mark.parametrize("text", ["data.split", ".split=3", "data..split=3", "=3"])
def test_what_is_no_override_is_an_error(text):
    with pytest.raises(ValueError, match=r"override must look like group\.key=value"):
        parse_override(Root, text)
