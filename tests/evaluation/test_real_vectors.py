"""Vectors that a user gives: read, refused, and compared with proxies."""

from pathlib import Path

import numpy as np
import pytest

from mase.errors import DataError
from mase.evaluation.real_vectors import (
    RealVectors,
    agreement,
    clusters,
    read_folder,
    sampled,
    shared_neighbours,
)


def write(folder: Path, rows: np.ndarray, names: list[str], kind: str | None = None) -> Path:
    np.save(folder / "mine.npy", rows)
    (folder / "mine.names.txt").write_text("\n".join(names), encoding="utf-8")
    if kind is not None:
        (folder / "mine.kind.txt").write_text(kind, encoding="utf-8")
    return folder


def given(count: int = 60, width: int = 12) -> RealVectors:
    rows = np.random.default_rng(0).normal(size=(count, width)) + 3.0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return RealVectors("mine", "image", tuple(f"thing {i}" for i in range(count)), rows)


def test_several_vectors_of_a_name_become_one(tmp_path: Path) -> None:
    names = [f"thing_{i}" for i in range(30)]
    rows = np.eye(31)[:30]
    both = np.concatenate([rows, 5 * np.roll(rows, 1, axis=1)])
    (found,) = read_folder(write(tmp_path, both, names * 2, "image\n"))
    assert (found.kind, len(found.names), found.source) == ("image", 30, "mine")
    first = found.vectors[found.names.index("thing 0")]
    assert first[:3] == pytest.approx([np.sqrt(0.5), np.sqrt(0.5), 0])


@pytest.mark.parametrize(
    ("rows", "names", "kind", "message"),
    [
        (np.ones((3, 2)), 4, None, "has 4 names"),
        (np.ones(40), 40, None, r"is float64 \(40,\)"),
        (np.full((40, 2), np.nan), 40, None, "not finite"),
        (np.ones((40, 2), int), 40, None, "int64"),
        (np.ones((4, 2)), 4, None, "at least 28"),
        (np.ones((40, 2)), 40, "picture", "say what the vectors are of"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(
    tmp_path: Path, rows: np.ndarray, names: int, kind: str | None, message: str
) -> None:
    write(tmp_path, rows, [f"thing {i}" for i in range(names)], kind)
    with pytest.raises(DataError, match=message) as caught:
        read_folder(tmp_path)
    assert "mine" in str(caught.value)


def test_a_folder_without_vectors_or_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no NAME\.npy"):
        read_folder(tmp_path / "nowhere")
    np.save(tmp_path / "mine.npy", np.ones((40, 2)))
    with pytest.raises(DataError, match=r"mine\.names\.txt"):
        read_folder(tmp_path)
    (tmp_path / "mine.npy").write_bytes(b"no array")
    (tmp_path / "mine.names.txt").write_text("a")
    with pytest.raises(DataError, match="cannot be read"):
        read_folder(tmp_path)


def test_turned_vectors_agree_wholly_and_unrelated_ones_by_chance() -> None:
    vectors = given()
    generator = np.random.default_rng(1)
    turn = np.linalg.qr(generator.normal(size=(12, 12)))[0]
    colours = clusters(vectors)
    same = agreement("turned", vectors, vectors.vectors @ turn, colours)
    assert (same.neighbours, same.spearman) == (pytest.approx(1), pytest.approx(1))
    other = agreement("random", vectors, generator.normal(size=(60, 5)), colours)
    assert other.neighbours_low < other.neighbours_chance < other.neighbours_high
    assert other.spearman_low < 0 < other.spearman_high
    assert other.silhouette < 0.1 < same.silhouette + 0.1


def test_a_gap_is_measured_only_in_one_width() -> None:
    vectors = given()
    colours = clusters(vectors)
    assert agreement("narrow", vectors, np.random.default_rng(0).normal(size=(60, 5)), colours).gap is None
    alike = agreement("same", vectors, vectors.vectors.copy(), colours)
    assert alike.gap == pytest.approx(0) and alike.joint_silhouette == pytest.approx(0, abs=0.05)
    away = vectors.vectors.copy()
    away[:, 0] -= 2.0
    moved = agreement("moved", vectors, away, colours)
    assert moved.gap is not None and moved.exchanged is not None and moved.separability is not None
    assert moved.gap > 2 * moved.exchanged and moved.separability > 0.95


def test_what_all_vectors_share_says_nothing() -> None:
    vectors = given().vectors
    assert shared_neighbours(vectors, vectors + 100.0).mean() == pytest.approx(1)


def test_the_real_vectors_of_object_names_are_read(shared_data: Path) -> None:
    lvis, images = read_folder(shared_data / "clip_text_vectors")
    assert (lvis.source, images.source, lvis.kind) == ("lvis", "openimages", "")
    assert lvis.vectors.shape == (1203, 512)
    dog, puppy, newspaper = (lvis.vectors[lvis.names.index(n)] for n in ("dog", "puppy", "newspaper"))
    assert dog @ puppy == pytest.approx(0.945, abs=0.002)  # as the data's README says
    assert dog @ newspaper == pytest.approx(0.838, abs=0.002)
    assert sampled(lvis, 100).names == sampled(lvis, 100).names
    assert len(sampled(lvis, 100).names) == 100
