"""Tests of pcl_pseudolabel.store."""

import dataclasses
import errno
import io
import os
import random
import zipfile

import numpy as np
import pytest
import torch

from pcl_pseudolabel import Provenance, PseudoLabels, PseudoLabelStore, pseudo_label_file

PROVENANCE = Provenance(weights="9f2c", configuration="01ab", round=1)


def pseudo_labels(seed: int = 0) -> PseudoLabels:
    generator = torch.Generator().manual_seed(seed)
    return PseudoLabels(
        labels=torch.randint(-1, 20, (50,), generator=generator),
        proposals=torch.randint(-1, 4, (50,), generator=generator),
        centers=torch.randn(5, 3, generator=generator),  # no point refers to the fifth
        scores=torch.rand(5, generator=generator),
        proposal_labels=torch.randint(0, 20, (5,), generator=generator),
    )


def assert_equal(a: PseudoLabels, b: PseudoLabels) -> None:
    for field in dataclasses.fields(PseudoLabels):
        if field.name == "points":  # are not stored
            assert a.points is b.points is None
        else:
            mine, other = getattr(a, field.name), getattr(b, field.name)
            assert mine is other is None or mine.equal(other)


@pytest.fixture
def store(tmp_path):
    return PseudoLabelStore(tmp_path / "round_1", PROVENANCE)


def test_what_is_saved_is_loaded(store):
    assert "scene0000_00" not in store
    assert store.names == []
    store.save("scene0000_00", pseudo_labels(0))
    store.save("Area_1/office.2", pseudo_labels(1))
    assert store.names == ["Area_1/office.2", "scene0000_00"]
    assert "Area_1/office.2" in store
    assert_equal(store.load("scene0000_00"), pseudo_labels(0))
    assert_equal(PseudoLabelStore.open(store.root).load("Area_1/office.2"), pseudo_labels(1))
    store.save("scene0000_00", pseudo_labels(2))
    assert_equal(store.load("scene0000_00"), pseudo_labels(2))
    assert store.load("scene0000_00").labels.dtype == torch.int64


def test_class_probabilities_are_kept(store):
    told = torch.eye(5, 20) * 0.75 + 0.0125
    store.save("a", dataclasses.replace(pseudo_labels(), class_probabilities=told))
    found = store.load("a").class_probabilities
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, told, rtol=0, atol=2**-11)  # half precision
    assert store.load("a").labels.equal(pseudo_labels().labels)


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
@pytest.mark.parametrize("exists", [False, True])
def test_failure_while_writing_leaves_what_was_there(store, monkeypatch, moment, exists):
    if exists:
        store.save("a", pseudo_labels(0))

    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "disk full")

    def half(file, **arrays):
        file.write(b"PK half of a file")
        fail()

    if moment == "write":
        monkeypatch.setattr(np, "savez_compressed", half)
    elif moment == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        store.save("a", pseudo_labels(1))
    assert ("a" in store) == exists
    if exists:
        assert_equal(store.load("a"), pseudo_labels(0))
    assert [path.name for path in store.root.iterdir()] == (["a.npz"] if exists else [])


def test_a_kill_leaves_no_scene_behind(store):
    """A process that dies between opening and renaming leaves its temporary file only."""
    pid = os.fork()
    if pid == 0:
        os.fsync = lambda _descriptor: os._exit(9)
        store.save("a", pseudo_labels(0))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert "a" not in store
    assert store.names == []
    assert len(list(store.root.iterdir())) == 1
    store.save("a", pseudo_labels(1))
    assert store.names == ["a"]
    assert_equal(store.load("a"), pseudo_labels(1))


def test_bytes_are_on_disk_before_the_name_is(store, monkeypatch):
    events = []
    fsync, replace = os.fsync, type(store.root).replace
    monkeypatch.setattr(os, "fsync", lambda fd: events.append("fsync") or fsync(fd))
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda a, b: events.append("replace") or replace(a, b)
    )
    store.save("a", pseudo_labels())
    assert events == ["fsync", "replace", "fsync"]


def test_where_folders_cannot_be_opened_only_the_file_is_flushed(store, monkeypatch):
    """As on Windows."""
    monkeypatch.delattr(os, "O_DIRECTORY")
    events, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: events.append("fsync") or fsync(fd))
    store.save("a", pseudo_labels())
    assert events == ["fsync"]
    assert "a" in store


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(PROVENANCE, weights="0"),
        dataclasses.replace(PROVENANCE, configuration="0"),
        dataclasses.replace(PROVENANCE, round=2),
    ],
)
def test_another_provenance_is_rejected(store, other):
    store.save("a", pseudo_labels())
    with pytest.raises(ValueError, match=r"a must come from Provenance.* got Provenance"):
        PseudoLabelStore(store.root, other).load("a")


def test_every_truncation_is_rejected(store):
    store.save("a", pseudo_labels())
    path = store.root / "a.npz"
    whole = path.read_bytes()
    for size in [0, 1, 10, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="must be a whole pseudo-label file"):
            store.load("a")


def test_a_flipped_byte_is_rejected(store):
    store.save("a", pseudo_labels())
    path = store.root / "a.npz"
    damaged = bytearray(path.read_bytes())
    place = damaged.index(b"centers.npy") + 60  # within the first array after this name
    damaged[place] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="must be a whole pseudo-label file"):
        store.load("a")


def test_foreign_files_are_rejected(store):
    store.save("a", pseudo_labels())
    path = store.root / "a.npz"
    np.savez(path, labels=np.zeros(3))
    with pytest.raises(ValueError, match="must be a whole pseudo-label file"):
        store.load("a")
    np.savez(path, provenance=np.array({"weights": 1}, dtype=object))  # a pickle
    with pytest.raises(ValueError, match="must be a whole pseudo-label file"):
        PseudoLabelStore.open(store.root)


def test_a_missing_scene_is_not_found(store):
    with pytest.raises(FileNotFoundError):
        store.load("a")
    with pytest.raises(FileNotFoundError, match="root must hold pseudo-labels"):
        PseudoLabelStore.open(store.root)


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/../b", "/etc/a", "a//b", "a\\b", ".", ".a", "b/.c"]
)
def test_names_that_leave_the_folder_are_rejected(store, name):
    for use in (
        lambda: store.save(name, pseudo_labels()),
        lambda: store.load(name),
        lambda: name in store,
    ):
        with pytest.raises(ValueError, match="name must be a path below the store's folder"):
            use()


def test_summary_counts_trusted_proposals(store):
    empty = store.summary()
    assert (empty.scenes, empty.points) == (0, 0)
    assert np.isnan(empty.mean_score)
    records = [pseudo_labels(0), pseudo_labels(1)]
    for name, one in zip("ab", records, strict=True):
        store.save(name, one)
    found = store.summary()
    assert (found.scenes, found.points, found.proposals) == (2, 100, 8)
    assert found.labeled_points == sum((one.labels >= 0).sum() for one in records)
    assert found.mean_score == pytest.approx(
        float(torch.cat([one.scores[:4] for one in records]).double().mean())
    )


def test_what_other_systems_hide_beside_a_scene_is_no_scene(store):
    store.save("a", pseudo_labels())
    (store.root / "._a.npz").write_bytes(b"a resource fork")
    assert PseudoLabelStore.open(store.root).names == ["a"]


def mutated(whole: bytes, count: int):
    rng = random.Random(0)
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            place, length = rng.randrange(len(data) + 1), rng.choice((1, 4, 8, 30))
            start = rng.randrange(len(data) + 1)
            data[place : place + length] = rng.choice(
                (b"", rng.randbytes(length), b"\xff" * length, data[start : start + length])
            )
            if rng.random() < 0.1:
                del data[place:]
        yield bytes(data)


def unpacked(store: PseudoLabelStore) -> bytes:
    """The file with its arrays as they are: mutations reach what packing would hide."""
    file = io.BytesIO()
    with np.load(store.root / "a.npz") as arrays:
        np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("is_packed", [True, False])
def test_mutated_files_are_pseudo_labels_or_refused(store, is_packed):
    store.save("a", pseudo_labels())
    path, refusals = store.root / "a.npz", []
    for content in mutated(path.read_bytes() if is_packed else unpacked(store), 400):
        path.write_bytes(content)
        try:
            PseudoLabelStore.open(store.root).load("a")
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > 300
    assert all(refusal.startswith(str(path)) for refusal in refusals)


def test_arrays_that_the_file_does_not_hold_are_refused_before_memory_is_asked_for(store):
    """A kilobyte that claims a terabyte, in the header of the array or in that of the zip file."""
    store.save("a", pseudo_labels())
    path = store.root / "a.npz"
    header = io.BytesIO()
    claim = {"descr": "<i2", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(header, claim)
    members = {"provenance": arrays_of(path)["provenance"], "labels": header.getvalue() + b"12"}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    with pytest.raises(ValueError, match=r"labels must hold \d+ bytes, got int16 of \(10000000000"):
        store.load("a")
    content = path.read_bytes()
    size = len(members["labels"]).to_bytes(4, "little")
    path.write_bytes(content.replace(2 * size, size + b"\xff\xff\xff\x0f"))
    with pytest.raises(ValueError, match=r"labels must have at most \d+ bytes, got 268435455"):
        store.load("a")


def test_more_points_than_a_scene_has_are_refused(store, monkeypatch):
    store.save("a", pseudo_labels())
    monkeypatch.setattr(pseudo_label_file, "MAX_POINTS", 10)
    monkeypatch.setattr(pseudo_label_file, "HEADER_BYTES", 0)
    with pytest.raises(ValueError, match="labels must have at most 60 bytes, got 228"):
        store.load("a")
    with pytest.raises(ValueError, match="pseudo must have at most 10 points, got 50"):
        store.save("a", pseudo_labels())


@pytest.mark.parametrize(
    "provenance",
    [
        *("[]", "{}", "{", "[" * 10_000),
        '{"weights": 1, "configuration": "b", "round": 1}',
        '{"weights": "a", "configuration": "b", "round": true}',
    ],
)
def test_a_foreign_provenance_is_refused(store, provenance):
    store.save("a", pseudo_labels())
    with np.load(store.root / "a.npz") as arrays:
        np.savez(store.root / "a.npz", **{**arrays, "provenance": provenance})
    with pytest.raises(ValueError, match=r"a\.npz must be a whole pseudo-label file"):
        PseudoLabelStore.open(store.root)


def test_a_scene_that_may_not_be_read_is_not_called_missing(store, monkeypatch):
    store.save("a", pseudo_labels())

    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(zipfile, "ZipFile", refuse)  # root may read everything
    with pytest.raises(ValueError, match=r"a\.npz must be .* Permission denied"):
        store.load("a")


def arrays_of(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name.removesuffix(".npy"): file.read(name) for name in file.namelist()}
