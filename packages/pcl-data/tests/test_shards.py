"""Tests of pcl_data.shards."""

import io
import json
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcl_data import NYU40, SCANNET20, Frame, Scene
from pcl_data.datasets.dataset_yaml import write_dataset_yaml
from pcl_data.scene import FRAME_ARRAYS, SCENE_ARRAYS
from pcl_data.shards import ShardFolder, write_shards


def make_scene(name: str, n: int = 5) -> Scene:
    generator = np.random.default_rng(n)
    frame = Frame(
        generator.integers(0, 256, (2, 3, 3), dtype=np.uint8), None, np.eye(3), np.eye(4) * 2
    )
    return Scene(
        name,
        generator.random((n, 3), dtype=np.float32),
        colors=generator.integers(0, 256, (n, 3), dtype=np.uint8),
        labels=generator.integers(-1, 20, n),
        sensor_to_world=np.eye(4),
        frames=(frame,) * 2,
        label_set=SCANNET20,
    )


def same(left: Scene, right: Scene) -> bool:
    pairs = [(left, right, SCENE_ARRAYS)]
    pairs += [(a, b, FRAME_ARRAYS) for a, b in zip(left.frames, right.frames, strict=True)]
    return left.name == right.name and all(
        np.array_equal(getattr(a, field), getattr(b, field))
        if getattr(a, field) is not None
        else getattr(b, field) is None
        for a, b, fields in pairs
        for field in fields
    )


def write_tar(path, members, **kwargs):
    with tarfile.open(path, **({"mode": "w"} | kwargs)) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def npy(array) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


META = json.dumps({"name": "a", "label_set": None}).encode()
POINTS = npy(np.zeros((2, 3), np.float32))


def test_scenes_come_back_as_they_were_in_any_order(tmp_path):
    scenes = [make_scene(f"{i:02d}/sweep", n=i + 1) for i in range(5)]
    shards = write_shards(scenes, tmp_path / "shards", max_bytes=1)
    assert [shard.name for shard in shards] == [f"shard-{i:06d}.tar" for i in range(5)]
    folder = ShardFolder(tmp_path / "shards", label_set=SCANNET20)
    assert folder.names == tuple(scene.name for scene in scenes)
    assert all(same(folder[i], scenes[i]) for i in (4, 0, 2, 1, 3, -1))


def test_a_shard_takes_scenes_until_it_is_full(tmp_path):
    scenes = [make_scene(f"scene{i}", n=1000) for i in range(6)]
    sizes = [shard.stat().st_size for shard in write_shards(scenes, tmp_path, max_bytes=50_000)]
    assert len(sizes) == 3
    assert min(sizes) > 50_000
    assert len(ShardFolder(tmp_path)) == 6
    assert len(ShardFolder(tmp_path / "shard-000001.tar")) == 2


def test_arrays_are_memory_mapped(tmp_path):
    write_shards([make_scene("a")], tmp_path)
    points = ShardFolder(tmp_path)[0].points
    assert isinstance(points, np.memmap)
    assert not points.flags.writeable


def test_the_same_scenes_give_the_same_bytes(tmp_path):
    scenes = [make_scene("a"), make_scene("b")]
    (left,) = write_shards(scenes, tmp_path / "left")
    (right,) = write_shards(iter(scenes), tmp_path / "right")
    assert left.read_bytes() == right.read_bytes()


def test_webdataset_streams_the_shards(tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    scenes = [make_scene(f"scene{i}") for i in range(3)]
    (shard,) = write_shards(scenes, tmp_path)
    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == ["scene0", "scene1", "scene2"]
    for sample, scene in zip(samples, scenes, strict=True):
        np.testing.assert_array_equal(sample["coord.npy"], scene.points)
        np.testing.assert_array_equal(sample["frames.0001.image.npy"], scene.frames[1].image)
        assert sample["json"]["label_set"] == "scannet20"


@pytest.mark.parametrize("name", ["", "a.b", "../a", "/a", "a/../b", "a b", "a//b"])
def test_names_that_are_no_keys_are_rejected_and_nothing_is_left(tmp_path, name):
    with pytest.raises(ValueError, match="scenes must have distinct names"):
        write_shards([make_scene("good"), make_scene(name)], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_comes_twice_is_rejected(tmp_path):
    with pytest.raises(ValueError, match=r"distinct names .* got 'a'"):
        write_shards([make_scene("a"), make_scene("a")], tmp_path)


def test_an_error_in_a_later_shard_takes_the_earlier_ones_away(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ValueError, match="scenes must have distinct names"):
        write_shards([make_scene("a"), make_scene("b"), make_scene("a")], tmp_path, max_bytes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_shard_that_is_full_before_it_begins_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="max_bytes must be at least 1, got 0"):
        write_shards([make_scene("a")], tmp_path, max_bytes=0)
    assert list(tmp_path.iterdir()) == []


def test_another_label_set_than_the_saved_one_is_rejected(tmp_path):
    write_shards([make_scene("a")], tmp_path)
    with pytest.raises(ValueError, match=r"a\.json: label_set must be 'scannet20', .*'nyu40'"):
        ShardFolder(tmp_path, label_set=NYU40)[0]


def test_a_member_that_comes_twice_is_rejected(tmp_path):
    path = tmp_path / "shard-000000.tar"
    write_tar(path, {"a.coord.npy": POINTS, "a.json": META})
    write_tar(path, {"a.coord.npy": POINTS}, mode="a")
    with pytest.raises(ValueError, match=r"member 'a\.coord\.npy' comes twice"):
        ShardFolder(tmp_path)


def test_shards_are_not_overwritten(tmp_path):
    write_shards([make_scene("a")], tmp_path)
    with pytest.raises(FileExistsError, match="must not hold shards yet"):
        write_shards([make_scene("b")], tmp_path)


def test_no_scene_is_no_shard(tmp_path):
    assert write_shards([], tmp_path) == []
    with pytest.raises(FileNotFoundError, match=r"root must hold shard-000000\.tar"):
        ShardFolder(tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"../a.coord.npy": POINTS, "../a.json": META}, r"member '\.\./a\.coord\.npy' is no"),
        ({"/etc/a.coord.npy": POINTS}, "member '/etc/a.coord.npy' is no file"),
        ({"a.coord.npy": POINTS}, r"scene 'a' must have coord\.npy and json"),
        ({"a.json": META}, r"scene 'a' must have coord\.npy and json"),
        ({"a.coord.pkl": POINTS, "a.json": META}, r"member 'a\.coord\.pkl' is no file"),
        ({}, "0 scenes in"),
    ],
)
def test_members_that_are_not_ours_are_rejected(tmp_path, members, message):
    write_tar(tmp_path / "shard-000000.tar", members)
    with pytest.raises(ValueError, match=rf"shard-000000\.tar: .*{message}"):
        ShardFolder(tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_links_and_folders_are_rejected(tmp_path, kind):
    with tarfile.open(tmp_path / "shard-000000.tar", "w") as tar:
        info = tarfile.TarInfo("a.coord.npy")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(ValueError, match=r"member 'a\.coord\.npy' is no file"):
        ShardFolder(tmp_path)


def test_compressed_shards_are_rejected_before_they_are_unpacked(tmp_path):
    write_tar(tmp_path / "shard-000000.tar", {"a.coord.npy": bytes(10**7)}, mode="w:gz")
    with pytest.raises(ValueError, match="must be a complete tar file"):
        ShardFolder(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (POINTS[:-4], "shape .2, 3. of float32 in 20 bytes"),
        (npy(np.array([{}])), "an array of object, not of numbers"),
        (b"text", "must be a complete NPY file"),
    ],
)
def test_a_broken_array_is_named(tmp_path, content, message):
    write_tar(tmp_path / "shard-000000.tar", {"a.coord.npy": content, "a.json": META})
    with pytest.raises(ValueError, match=rf"shard-000000\.tar: a\.coord\.npy: .*{message}"):
        ShardFolder(tmp_path)[0]


def test_a_truncated_shard_is_rejected(tmp_path):
    (shard,) = write_shards([make_scene("a", n=1000)], tmp_path)
    shard.write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"shard-000000\.tar: must be a complete tar file"):
        ShardFolder(tmp_path)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_names_longer_than_a_header_come_back(tmp_path, form):
    name = "site_" * 60 + "1"
    members = {f"{name}.coord.npy": POINTS, f"{name}.json": META}
    write_tar(tmp_path / "shard-000000.tar", members, format=form)
    folder = ShardFolder(tmp_path)
    assert folder.names == (name,)
    assert folder[0].points.shape == (2, 3)


def test_a_long_extended_header_is_refused_at_once(tmp_path):
    path = tmp_path / "shard-000000.tar"
    records = {f"SCHILY.xattr.{i}": "x" * 80 for i in range(2000)}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.coord.npy")
        info.size, info.pax_headers = len(POINTS), records
        tar.addfile(info, io.BytesIO(POINTS))
    with pytest.raises(ValueError, match=r"an extended header of \d+ bytes"):
        ShardFolder(tmp_path)


@pytest.mark.parametrize("headers", [{"GNU.sparse.major": "1"}, {"size": "-1"}, {"size": "1" * 40}])
def test_extended_headers_that_hide_content_are_refused(tmp_path, headers):
    with tarfile.open(tmp_path / "shard-000000.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.coord.npy")
        info.pax_headers = headers
        tar.addfile(info)
    with pytest.raises(ValueError, match=r"member 'a\.coord\.npy' (is no file|of .* bytes in)"):
        ShardFolder(tmp_path)


@settings(max_examples=300)
@given(st.data())
def test_shards_with_changed_bytes_give_scenes_or_an_error_that_names_them(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    (shard,) = write_shards([make_scene("a"), make_scene("b")], folder)
    content = bytearray(shard.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    shard.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    try:
        list(ShardFolder(folder, label_set=SCANNET20))
    except ValueError as error:
        message = str(error)
    else:
        message = shard.name
    assert shard.name in message


def test_a_description_beside_the_shards_gives_meaning_and_splits(tmp_path):
    points = np.array([[0, 0, 0], [0, 30, 0]], np.float32)
    labels = np.array([0, -1])
    write_shards([Scene(name, points, labels=labels) for name in ("08/a", "08/b", "c")], tmp_path)
    write_dataset_yaml(tmp_path / "dataset.yaml", SCANNET20, {"train": ["08/a", "c"]})
    shards = ShardFolder(tmp_path, split="train")
    assert shards.names == ("08/a", "c")
    assert shards[1].name == "c"
    assert shards.label_set == SCANNET20
    assert ShardFolder(tmp_path, split="08").names == ("08/a", "08/b")
    assert ShardFolder(tmp_path, split="*a").names == ("08/a",)
    assert ShardFolder(tmp_path, pattern="c").names == ("c",)
    assert ShardFolder(tmp_path, label_ids="none")[0].labels is None
    with pytest.raises(ValueError, match=r"one of train, a group such as 08, .* got 'trian'; did"):
        ShardFolder(tmp_path, split="trian")
    with pytest.raises(ValueError, match=r"08/a spans 30 m.*; max_extent=30 takes it"):
        ShardFolder(tmp_path, max_extent=20.0)[0]
