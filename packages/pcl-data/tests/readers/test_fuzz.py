"""Any bytes give data or a ValueError, soon and in little memory: every reader on damaged files."""

import re
import struct
import time
import warnings
from pathlib import Path

import laspy
import numpy as np
import pytest
from PIL import Image
from plyfile import PlyData, PlyElement

from pcl_data import SCANNET20, Frame, Scene, save_scene
from pcl_data.export import write_ply
from pcl_data.file_errors import NeedsOption
from pcl_data.readers import read_scene, unread_columns
from pcl_data.readers.posed_frames import read_ids
from pcl_data.readers.records import read_depth, read_image, read_json, read_matrix

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


def make_named_text(path):
    path.write_text("//X;Y;Z;Rf;Gf;Bf;semantic_label\n" + "1;2;3;0.5;0.25;1;4\n" * 6)


def make_pts(path):
    path.write_text("6\n" + "1.5 2 3 -500 10 20 30\n" * 6)


def make_las(path, point_format=3):
    cloud = laspy.create(point_format=point_format, file_version="1.4")
    cloud.add_extra_dim(laspy.ExtraBytesParams(name="label", type="u1"))
    cloud.xyz = np.resize(POINTS, (200, 3))
    cloud.write(str(path))


def make_layered_laz(path):
    make_las(path, point_format=7)


def make_uneven_ply(path):
    """A big-endian mesh with an element before the vertices, and polygons."""
    table = np.zeros(6, [(name, "f8") for name in "xyz"])
    for name, column in zip("xyz", POINTS.T, strict=True):
        table[name] = column
    rows = np.empty(3, [("vertex_indices", object)])
    rows["vertex_indices"] = [np.array(row, np.int32) for row in ([0, 1, 2], [0, 1, 2, 3], [4, 5])]
    material = np.zeros(2, [("shine", "f4")])
    elements = [
        PlyElement.describe(material, "material"),
        PlyElement.describe(table, "vertex"),
        PlyElement.describe(rows, "face"),
    ]
    PlyData(elements, byte_order=">").write(str(path))


MAKERS = {
    "binary.ply": make_ply,
    "uneven.ply": make_uneven_ply,
    "ascii.ply": make_ascii_ply,
    "binary.pcd": make_pcd,
    "ascii.pcd": make_ascii_pcd,
    "compressed.pcd": make_compressed_pcd,
    "scan.npz": make_npz,
    "scan.npy": make_npy,
    "scan.csv": make_text,
    "named.txt": make_named_text,
    "scan.pts": make_pts,
    "scan.las": make_las,
    "scan.laz": make_las,
    "layered.laz": make_layered_laz,
}
NUMBERS = (b"-1", b"0", b"7", b"4294967297", b"99999999999999999999", b"nan", b"1e400", b"")
N_DAMAGED = 200  # inputs of each reader
MOST_SECONDS = 2.0  # of one of them, where others keep the machine busy
MOST_BYTES = 2**29  # that all of them add to the peak of the memory


def damaged(generator: np.random.Generator, content: bytes) -> bytes:
    """The content with some bytes changed, a number in its header replaced, or cut."""
    kind = generator.integers(8)
    if kind == 0:
        return content[: generator.integers(len(content))]
    places = list(re.finditer(rb"-?\d+", content[:400]))
    if kind < 4 and places:
        place = places[generator.integers(len(places))]
        number = NUMBERS[generator.integers(len(NUMBERS))]
        return content[: place.start()] + number + content[place.end() :]
    changed = bytearray(content)
    for _ in range(generator.integers(1, 5)):
        position, width = generator.integers(len(content)), generator.choice([1, 1, 4])
        value = generator.choice([0, 127, 128, 255, generator.integers(256)])
        changed[position : position + width] = bytes([value] * len(changed[position:][:width]))
    return bytes(changed)


def peak_bytes() -> int:
    resource = pytest.importorskip("resource", reason="Windows counts no peak of the memory")
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def check_damage(path: Path, read, kinds=ValueError) -> None:
    """Damage a file again and again: reading it gives data, or an error that names the file."""
    content, before = path.read_bytes(), peak_bytes()
    generator = np.random.default_rng(0)
    for _ in range(N_DAMAGED):
        path.write_bytes(damaged(generator, content))
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(path)
            except kinds as error:
                assert path.name in str(error)  # noqa: PT017
        assert time.perf_counter() - start < MOST_SECONDS
    assert peak_bytes() - before < MOST_BYTES


@pytest.mark.parametrize("name", MAKERS)
def test_the_undamaged_file_is_read(tmp_path, name):
    MAKERS[name](tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = read_scene(tmp_path / name).points
    if name not in ("named.txt", "scan.pts"):
        np.testing.assert_allclose(points[:6], POINTS, atol=0.01)


@pytest.mark.parametrize("name", MAKERS)
def test_damage_gives_a_scene_or_a_value_error(tmp_path, name):
    path = tmp_path / name
    MAKERS[name](path)

    def read(path):
        unread_columns(path)
        assert isinstance(read_scene(path, drop_invalid=True), Scene)

    check_damage(path, read)


@pytest.mark.parametrize("stem", ["coord", "color", "strength", "segment", "frames/0000/image"])
def test_a_damaged_array_of_a_folder_gives_a_scene_or_a_value_error(tmp_path, stem):
    folder = tmp_path / "room"
    save_scene(full_scene(), folder)
    check_folder(folder, folder / f"{stem}.npy")


def test_a_damaged_description_of_a_folder_gives_a_scene_or_a_value_error(tmp_path):
    save_scene(full_scene(), tmp_path / "room")
    check_folder(tmp_path / "room", tmp_path / "room" / "scene.json")


def check_folder(folder: Path, file: Path) -> None:
    def read(_):
        try:
            read_scene(folder, label_set=SCANNET20, drop_invalid=True)
        except ValueError as error:
            raise ValueError(f"{file.name} of {error}") from error

    check_damage(file, read)


def full_scene() -> Scene:
    frame = Frame(np.zeros((2, 3, 3), np.uint8), None, np.eye(3), np.eye(4))
    return Scene(
        "room",
        POINTS,
        colors=np.zeros((6, 3), np.uint8),
        labels=np.arange(6),
        intensity=np.linspace(0, 1, 6, dtype=np.float32),
        frames=(frame,),
        label_set=SCANNET20,
        origin=np.array([5000.0, 0, 0]),
    )


def save_image(path, image):
    Image.fromarray(image).save(path)


@pytest.mark.parametrize(
    ("name", "make", "read"),
    [
        ("a.json", lambda path: path.write_text('{"a": [1, 2.5, {"b": "c"}]}'), read_json),
        ("a.txt", lambda p: np.savetxt(p, np.eye(4)), lambda p: read_matrix(p, (4, 4))),
        ("a.png", lambda p: save_image(p, np.zeros((9, 8, 3), np.uint8)), read_image),
        ("a.jpg", lambda p: save_image(p, np.zeros((9, 8, 3), np.uint8)), read_image),
        (
            "depth.png",
            lambda p: save_image(p, np.arange(72, dtype=np.uint16).reshape(9, 8)),
            read_depth,
        ),
        ("ids.png", lambda p: save_image(p, np.arange(72, dtype=np.uint8).reshape(9, 8)), read_ids),
    ],
)
def test_a_damaged_record_gives_data_or_a_value_error(tmp_path, name, make, read):
    make(tmp_path / name)
    check_damage(tmp_path / name, read)


def test_a_scan_of_a_few_bytes_may_not_claim_millions_of_points(tmp_path):
    path = tmp_path / "bomb.laz"
    make_las(path)
    content = bytearray(path.read_bytes())
    for place, kind in ((107, "<I"), (247, "<Q")):
        struct.pack_into(kind, content, place, 100_000_000)
    path.write_bytes(bytes(content))
    with pytest.raises(
        ValueError, match=r"bomb\.laz: .*100000000 points of .* unpacked, more than"
    ):
        read_scene(path)


def test_bytes_are_bounded_before_they_become_doubles(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, coord=np.zeros((12_000_000, 3), np.int8))
    assert path.stat().st_size < 50_000
    before = peak_bytes()
    with pytest.raises(ValueError, match=r"coord of 288000000 bytes unpacked, more than"):
        read_scene(path)
    assert peak_bytes() - before < 2**26


def test_an_error_that_an_option_mends_keeps_its_type(tmp_path):
    (tmp_path / "a.xyz").write_text("0 0 nan\n1 1 1\n")
    with pytest.raises(NeedsOption) as caught:
        read_scene(tmp_path / "a.xyz")
    assert str(caught.value) == (
        f"{tmp_path / 'a.xyz'}: points must be finite, got 1 NaN or infinite ones among 2; "
        "drop_invalid=true leaves them out"
    )
    assert caught.value.given_as("data.options.{}").endswith(
        "; data.options.drop_invalid=true leaves them out"
    )
