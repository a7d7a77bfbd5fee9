"""Columns of a file by their names: what each is to a scan, and which are not understood."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from pcl_data.raw_scan import RawScan

ROLES = (
    *("x", "y", "z", "red", "green", "blue", "nx", "ny", "nz"),
    *("intensity", "label", "instance", "superpoint"),
)
CLASS_CODE = "classification"  # the name and role of the raw ids of LAS
# What programs call the column of a role, if it can be nothing else.
_ALIASES = {
    "x": ("x",),
    "y": ("y",),
    "z": ("z",),
    "red": ("red", "r", "rf", "diffuse_red"),
    "green": ("green", "g", "gf", "diffuse_green"),
    "blue": ("blue", "b", "bf", "diffuse_blue"),
    "nx": ("nx", "normal_x", "normalx"),
    "ny": ("ny", "normal_y", "normaly"),
    "nz": ("nz", "normal_z", "normalz"),
    "intensity": ("intensity", "reflectance", "reflectivity", "remission", "strength"),
    "label": ("label", "labels", "segment", "semantic", "class", "semantic_label", "class_label"),
    "instance": ("instance", "instances", "instance_id", "instance_label"),
    "superpoint": ("superpoint", "superpoints"),
    CLASS_CODE: (CLASS_CODE,),
}
_TOGETHER = (("x", "y", "z"), ("red", "green", "blue"), ("nx", "ny", "nz"))
# Parts of names that hint at a role; the first that fits counts.
_HINTS = {
    "instance": ("inst", "object", "cluster"),
    "label": ("label", "sem", "class", "categ", "nyu", "truth"),
    "intensity": ("intens", "reflect", "ampl", "strength"),
    "superpoint": ("segment", "super"),
}
# Columns that say nothing a scene could keep.
_UNWANTED = {
    *("_", "a", "alpha", "rgb", "rgba", "nir", "infrared", "curvature", "confidence", "quality"),
    *("radius", "flags", "index", "vertex_index", "camera_index", "ring"),
    *("s", "t", "u", "v", "texture_u", "texture_v", "time", "timestamp", "gps_time", "gpstime"),
    *("return_number", "number_of_returns", "scan_angle", "scan_angle_rank", "edge_of_flight_line"),
    *("scan_direction_flag", "scanner_channel", "synthetic", "key_point", "withheld", "overlap"),
    *("user_data", "point_source_id", "wavepacket_index", "wavepacket_offset", "wavepacket_size"),
    *("return_point_wave_location", "x_t", "y_t", "z_t"),
}


def roles_of(names: Sequence[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The column of each role that is there.

    Names are compared in lower case, with `_` for spaces and without the prefix `scalar_` of
    CloudCompare. Coordinates, colours and normals need all three of their columns.

    Args:
        names: of the columns.
        given: column of a role, as `read_scene` takes them; others are found by name.

    Raises:
        ValueError: if a role is unknown, a column that is given is not there, or x, y or z is
            missing.

    Example:
        >>> roles_of(["X", "Y", "Z", "scalar_Label", "semanticID"])
        {'x': 'X', 'y': 'Y', 'z': 'Z', 'label': 'scalar_Label'}
        >>> roles_of(["X", "Y", "Z", "semanticID"], {"label": "semanticID"})["label"]
        'semanticID'
    """
    found = _given(names, given or {})
    by_name = {_plain(name): name for name in reversed(names) if name not in found.values()}
    for role, aliases in _ALIASES.items():
        alias = next((alias for alias in aliases if alias in by_name), None)
        if role not in found and alias is not None:
            found[role] = by_name[alias]
    for together in _TOGETHER:
        if not all(role in found for role in together):
            for role in together:
                found.pop(role, None)
            if set(together) & set(given or {}):
                raise ValueError(f"columns must give all of {', '.join(together)}")
    if "x" not in found:
        raise ValueError(
            f"columns must include x, y and z, got {', '.join(names[:50]) or 'none'}; "
            "columns={x: NAME, y: NAME, z: NAME} tells which they are"
        )
    return {role: found[role] for role in (*ROLES, CLASS_CODE) if role in found}


def unread_names(names: Sequence[str], roles: Mapping[str, str]) -> tuple[str, ...]:
    """The columns that somebody may miss: of no role, and not known to be of no use.

    Class codes are among them where there are no labels: they are read on request only.
    """
    read = {column for role, column in roles.items() if role != CLASS_CODE or "label" in roles}
    return tuple(name for name in names if name not in read and _plain(name) not in _UNWANTED)


def guessed_role(name: str) -> str | None:
    """The role that the name of a column hints at.

    Example:
        >>> guessed_role("semanticID"), guessed_role("objectId"), guessed_role("Deviation")
        ('label', 'instance', None)
    """
    plain = _plain(name)
    for role, hints in _HINTS.items():
        if any(hint in plain for hint in hints):
            return role
    return None


def scan_from_columns(
    columns: Mapping[str, Any],
    given: Mapping[str, str] | None = None,
    *,
    colors: np.ndarray | None = None,
    faces: np.ndarray | None = None,
) -> RawScan:
    """The scan of named (n,) columns, as `roles_of` understands them.

    Args:
        columns: arrays by name; only those of a role are asked for.
        given: column of a role.
        colors: (n, 3), instead of the columns of colours.
        faces: (f, 3) rows of points.

    Raises:
        ValueError: as `roles_of`.

    Example:
        >>> import numpy as np
        >>> zeros = np.zeros(5)
        >>> scan = scan_from_columns(
        ...     {"X": zeros, "Y": zeros, "Z": zeros, "scalar_Label": zeros}
        ... )
        >>> scan.points.shape, scan.labels.shape
        ((5, 3), (5,))
    """
    names = tuple(columns)
    roles = roles_of(names, given)
    points, own_colors, normals = (
        np.stack([columns[roles[role]] for role in together], axis=1)
        if together[0] in roles
        else None
        for together in _TOGETHER
    )
    assert points is not None  # roles_of has checked
    single: dict[str, Any] = {
        field: columns[roles[role]] if role in roles else None
        for role, field in {
            "intensity": "intensity",
            "label": "labels",
            "instance": "instances",
            "superpoint": "superpoints",
            CLASS_CODE: "class_codes",
        }.items()
    }
    return RawScan(
        points,
        colors=own_colors if colors is None else colors,
        normals=normals,
        faces=faces,
        unread=unread_names(names, roles),
        **single,
    )


def _given(names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    found = {}
    plain = {_plain(name): name for name in reversed(names)}
    for role, name in given.items():
        if role not in ROLES:
            nearest = get_close_matches(role, ROLES, n=1)
            hint = f": did you mean {nearest[0]!r}?" if nearest else ""
            raise ValueError(f"columns must have roles of {', '.join(ROLES)}, got {role!r}{hint}")
        column = name if name in names else plain.get(_plain(name))
        if column is None:
            raise ValueError(
                f"columns must name columns of the file, {', '.join(names[:50]) or 'none'}, "
                f"got {role}: {name}"
            )
        found[role] = column
    return found


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").removeprefix("scalar_")
