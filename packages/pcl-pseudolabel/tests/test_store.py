"""Tests of pcl_pseudolabel.store."""

import dataclasses
import errno
import os

import numpy as np
import pytest

from pcl_pseudolabel import Provenance, PseudoLabelRecord, PseudoLabelStore

PROVENANCE = Provenance(weights="9f2c", configuration="01ab", round=1)


def record(seed: int = 0) -> PseudoLabelRecord:
    rng = np.random.default_rng(seed)
    return PseudoLabelRecord(
        labels=rng.integers(-1, 20, 50),
        proposals=rng.integers(-1, 4, 50).astype(np.int32),
        centers=rng.normal(size=(5, 3)).astype(np.float32),  # no point refers to the fifth
        scores=rng.random(5).astype(np.float32),
        proposal_labels=rng.integers(0, 20, 5),
    )


def assert_equal(a: PseudoLabelRecord, b: PseudoLabelRecord) -> None:
    for field in dataclasses.fields(PseudoLabelRecord):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


@pytest.fixture
def store(tmp_path):
    return PseudoLabelStore(tmp_path / "round_1", PROVENANCE)


def test_what_is_saved_is_loaded(store):
    assert "scene0000_00" not in store
    assert store.names == []
    store.save("scene0000_00", record(0))
    store.save("Area_1/office.2", record(1))
    assert store.names == ["Area_1/office.2", "scene0000_00"]
    assert "Area_1/office.2" in store
    assert_equal(store.load("scene0000_00"), record(0))
    assert_equal(PseudoLabelStore.open(store.root).load("Area_1/office.2"), record(1))
    store.save("scene0000_00", record(2))
    assert_equal(store.load("scene0000_00"), record(2))
    assert store.load("scene0000_00").labels.dtype == np.int64


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
@pytest.mark.parametrize("exists", [False, True])
def test_failure_while_writing_leaves_what_was_there(store, monkeypatch, moment, exists):
    if exists:
        store.save("a", record(0))

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
        store.save("a", record(1))
    assert ("a" in store) == exists
    if exists:
        assert_equal(store.load("a"), record(0))
    assert [path.name for path in store.root.iterdir()] == (["a.npz"] if exists else [])


def test_a_kill_leaves_no_record_behind(store):
    """A process that dies between opening and renaming leaves its temporary file only."""
    pid = os.fork()
    if pid == 0:
        os.fsync = lambda _descriptor: os._exit(9)
        store.save("a", record(0))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert "a" not in store
    assert store.names == []
    assert len(list(store.root.iterdir())) == 1
    store.save("a", record(1))
    assert_equal(store.load("a"), record(1))


def test_bytes_are_on_disk_before_the_name_is(store, monkeypatch):
    events = []
    fsync, replace = os.fsync, type(store.root).replace
    monkeypatch.setattr(os, "fsync", lambda fd: events.append("fsync") or fsync(fd))
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda a, b: events.append("replace") or replace(a, b)
    )
    store.save("a", record())
    assert events == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(PROVENANCE, weights="0"),
        dataclasses.replace(PROVENANCE, configuration="0"),
        dataclasses.replace(PROVENANCE, round=2),
    ],
)
def test_another_provenance_is_rejected(store, other):
    store.save("a", record())
    with pytest.raises(ValueError, match=r"a must come from Provenance.* got Provenance"):
        PseudoLabelStore(store.root, other).load("a")


def test_every_truncation_is_rejected(store):
    store.save("a", record())
    path = store.root / "a.npz"
    whole = path.read_bytes()
    for size in [0, 1, 10, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="must be a whole pseudo-label file"):
            store.load("a")


def test_a_flipped_byte_is_rejected(store):
    store.save("a", record())
    path = store.root / "a.npz"
    damaged = bytearray(path.read_bytes())
    place = damaged.index(b"centers.npy") + 60  # within the first array after this name
    damaged[place] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="must be a whole pseudo-label file"):
        store.load("a")


def test_foreign_files_are_rejected(store):
    store.save("a", record())
    path = store.root / "a.npz"
    np.savez(path, labels=np.zeros(3))
    with pytest.raises(ValueError, match="must be a whole pseudo-label file"):
        store.load("a")
    np.savez(path, provenance=np.array({"weights": 1}, dtype=object))  # a pickle
    with pytest.raises(ValueError, match="must be a whole pseudo-label file"):
        PseudoLabelStore.open(store.root)


def test_a_missing_record_is_not_found(store):
    with pytest.raises(FileNotFoundError):
        store.load("a")
    with pytest.raises(FileNotFoundError, match="root must hold pseudo-labels"):
        PseudoLabelStore.open(store.root)


@pytest.mark.parametrize("name", ["", "..", "../a", "a/../b", "/etc/a", "a//b", "a\\b", "."])
def test_names_that_leave_the_folder_are_rejected(store, name):
    for use in (
        lambda: store.save(name, record()),
        lambda: store.load(name),
        lambda: name in store,
    ):
        with pytest.raises(ValueError, match="name must be a path below the store's folder"):
            use()


def test_summary_counts_trusted_proposals(store):
    empty = store.summary()
    assert (empty.scenes, empty.points) == (0, 0)
    assert np.isnan(empty.mean_score)
    records = [record(0), record(1)]
    for name, one in zip("ab", records, strict=True):
        store.save(name, one)
    found = store.summary()
    assert (found.scenes, found.points, found.proposals) == (2, 100, 8)
    assert found.labelled_points == sum((one.labels >= 0).sum() for one in records)
    assert found.mean_score == pytest.approx(np.mean([one.scores[:4] for one in records]))


def test_offsets_follow_an_augmentation_of_points_and_centres():
    one, points = record(), np.random.default_rng(1).normal(size=(50, 3))
    plain = one.centroid_offsets(points)
    for i in range(50):
        j = one.proposals[i]
        expected = one.centers[j] - points[i] if j >= 0 else np.zeros(3)
        np.testing.assert_allclose(plain[i], expected, atol=1e-12)
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    moved = one.centroid_offsets(points @ turn.T + 4, one.centers @ turn.T + 4)
    np.testing.assert_allclose(moved, plain @ turn.T, atol=1e-12)
    with pytest.raises(ValueError, match=r"points must have shape \(50, 3\), got \(49, 3\)"):
        one.centroid_offsets(points[:49])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proposals": np.zeros(3, np.int32)}, r"proposals must have shape \(50,\), got \(3,\)"),
        ({"centers": np.zeros((4, 3))}, r"centers must have shape \(5, 3\), got \(4, 3\)"),
        ({"proposal_labels": np.zeros(4, int)}, "proposal_labels must have shape"),
        ({"proposals": np.full(50, 5)}, r"proposals must lie in \[-1, 5\), got \[5, 5\]"),
        ({"labels": np.full(50, 40_000)}, r"labels must lie in \[-1, 32768\)"),
        ({"labels": np.full(50, -2)}, r"labels must lie in \[-1, 32768\)"),
    ],
)
def test_record_rejects(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(record(), **change)
