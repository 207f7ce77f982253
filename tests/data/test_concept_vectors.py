"""Files of ConceptNet vectors in each layout, words that they lack, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mase.baselines.conceptbert.knowledge import ConceptInput
from mase.data.concept_vectors import read_concepts, words_of
from mase.errors import DataError, ParamsError
from mase.params.streams import ConceptbertParams

TEXT = "4 3\n/c/en/cup 1 0 0.5\n/c/de/cup 9 9 9\n/c/en/tea_cup 8 8 8\ncats 0 2 0\n"


def test_every_layout_gives_the_same_vectors(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    np.savez(
        tmp_path / "c.npz", words=np.array(["cup", "/c/en/cats"]), vectors=np.array([[1, 0, 0.5], [0, 2, 0]])
    )
    for name in ("a.txt", "b.txt.gz", "c.npz"):
        found = read_concepts(str(tmp_path / name), ["cup", "cats", "tea"], 3)
        assert set(found) == {"cup", "cats"}
        np.testing.assert_array_equal(found["cup"], np.array([1, 0, 0.5], np.float32))


def test_missing_words_are_zeros_and_every_question_has_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    params = ConceptbertParams(vectors=str(tmp_path / "a.txt"), vector_width=3)
    batch = ConceptInput(params, ("Two cats, a Cup?", "?!")).batch(np.array([1, 0]), 0)
    assert batch.mask.tolist() == [[True, False, False, False], [True] * 4]
    assert batch.vectors[1].tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0], [1, 0, 0.5]]
    assert not batch.vectors[0].any()
    with pytest.raises(ParamsError, match=r"needs conceptbert\.vectors"):
        ConceptInput(ConceptbertParams(), ("x",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cup 1 2\n", r"line 1 \(cup\) has 2 numbers; expected 3"),
        ("cats 1 2 3\ncup 1 x 2\n", r"line 2 \(cup\)"),
        ("cup 1 nan 2\n", r"line 1 \(cup\)"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError, match=said):
        read_concepts(str(tmp_path / "a.txt"), words_of("a cup"), 3)


def test_a_file_that_is_no_npz_of_words_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, words=np.array(["cup"]), vectors=np.ones((1, 3)))
    whole = path.read_bytes()
    np.save(tmp_path / "b.npy", np.ones((1, 3)))
    for content in (b"", b"no array", whole[: len(whole) // 2], (tmp_path / "b.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz: expected an npz file with words \(n,\)"):
            read_concepts(str(path), ["cup"], 3)
    np.savez(path, words=np.array([1]), vectors=np.ones((1, 3)))
    with pytest.raises(DataError, match="words are int64; expected texts"):
        read_concepts(str(path), ["cup"], 3)
