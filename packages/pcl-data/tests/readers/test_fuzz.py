"""Any bytes give a scene or a ValueError: every reader on damaged files of its format."""

import re
import struct
import warnings

import laspy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcl_data import Scene
from pcl_data.export import write_ply
from pcl_data.readers import read_scene

RNG = np.random.default_rng(0)
POINTS = RNG.random((6, 3)).astype(np.float32)
FACES = np.array([[0, 1, 2], [3, 4, 5]])
PCD = "FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 6\nHEIGHT 1\nPOINTS 6\nDATA {}\n"


def make_ply(path):
    write_ply(path, POINTS, labels=np.arange(6), faces=FACES)


def make_ascii_ply(path):
    rows = "".join(f"{x:.3f} {y:.3f} {z:.3f}\n" for x, y, z in POINTS)
    path.write_text(
        "ply\nformat ascii 1.0\nelement vertex 6\nproperty float x\nproperty float y\n"
        "property float z\nelement face 1\nproperty list int int vertex_indices\nend_header\n"
        f"{rows}4 0 1 2 3\n"
    )


def make_pcd(path):
    path.write_bytes(PCD.format("binary").encode() + POINTS.tobytes())


def make_ascii_pcd(path):
    rows = "".join(f"{x:.3f} {y:.3f} {z:.3f}\n" for x, y, z in POINTS)
    path.write_text(PCD.format("ascii") + rows)


def make_compressed_pcd(path):
    data = POINTS.T.tobytes()  # 72 bytes, as 3 literal runs
    packed = b"".join(bytes([23]) + data[i : i + 24] for i in (0, 24, 48))
    header = PCD.format("binary_compressed").encode()
    path.write_bytes(header + struct.pack("<II", len(packed), 72) + packed)


def make_npz(path):
    np.savez_compressed(path, coord=POINTS, label=np.arange(6), color=np.zeros((6, 3), np.uint8))


def make_npy(path):
    np.save(path, POINTS)


def make_text(path):
    np.savetxt(path, POINTS, fmt="%.3f", delimiter=",", header="x,y,z", comments="")


def make_las(path):
    cloud = laspy.create(point_format=3, file_version="1.2")
    cloud.xyz = POINTS
    cloud.write(str(path))


MAKERS = {
    "binary.ply": make_ply,
    "ascii.ply": make_ascii_ply,
    "binary.pcd": make_pcd,
    "ascii.pcd": make_ascii_pcd,
    "compressed.pcd": make_compressed_pcd,
    "scan.npz": make_npz,
    "scan.npy": make_npy,
    "scan.csv": make_text,
    "scan.las": make_las,
}
LAZ = {"scan.laz": make_las}
NUMBERS = (b"-1", b"0", b"7", b"4294967297", b"99999999999999999999", b"nan", b"1e400", b"")


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """The content with some bytes changed, a number in its header replaced, or cut."""
    kind = data.draw(st.sampled_from(["bytes", "number", "cut"]))
    if kind == "cut":
        return content[: data.draw(st.integers(0, len(content)))]
    if kind == "number":
        places = list(re.finditer(rb"-?\d+", content[:400]))
        if places:
            place = data.draw(st.sampled_from(places))
            return (
                content[: place.start()]
                + data.draw(st.sampled_from(NUMBERS))
                + content[place.end() :]
            )
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        changed[position] = data.draw(st.sampled_from([0, 127, 128, 255]) | st.integers(0, 255))
    return bytes(changed)


@pytest.mark.parametrize("name", MAKERS)
def test_the_undamaged_file_is_read(tmp_path, name):
    MAKERS[name](tmp_path / name)
    np.testing.assert_allclose(read_scene(tmp_path / name).points, POINTS, atol=0.01)


@pytest.mark.parametrize("name", MAKERS | LAZ)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_scene_or_a_value_error(tmp_path, name, data):
    path = tmp_path / name
    (MAKERS | LAZ)[name](path)
    path.write_bytes(damaged(data, path.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scene = read_scene(path)
        except ValueError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
        else:
            assert isinstance(scene, Scene)
