"""What the alignment of a pair says, on vectors whose answer is known."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mase.data import Rows
from mase.model.alignment import COLUMNS, alignment_features

VECTORS = {"a dog runs": [1, 0, 0], "a puppy runs": [3, 4, 0], "so": [0, 0, 2], "dog": [1, 0, 0],
           "puppy": [4, 3, 0], "park": [0, 0, 5], "run": [0, 2, 0]}  # fmt: skip
NODES = {"a dog runs": ["dog", "run"], "a puppy runs": ["puppy", "run", "park"], "so": []}


class Table:
    """The vectors above, as a table of proxies."""

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([list(VECTORS).index(text) for text in texts])

    def vectors(self) -> np.ndarray:
        return np.array(list(VECTORS.values()), np.float16)


def graphs() -> Any:
    phrases = ["dog", "run", "puppy", "park"]
    flat = [phrases.index(name) for text in NODES for name in NODES[text]]
    pointer = np.cumsum([0] + [len(names) for names in NODES.values()])
    return SimpleNamespace(
        phrases=phrases,
        node_phrase=np.array(flat),
        node_pointer=pointer,
        rows=lambda texts: np.array([list(NODES).index(text) for text in texts]),
    )


def features(first: str, second: str) -> np.ndarray:
    table: Any = Table()
    rows = Rows(("0",), (first,), (second,), np.zeros(1, np.int64))
    return alignment_features(table, table, "{}", graphs(), rows)[0]


def test_columns_are_the_cosines_and_unmatched_shares_by_hand() -> None:
    found = features("a dog runs", "a puppy runs")
    # best of dog: puppy .8; of run: run 1; of puppy: dog .8; of park: 0, unmatched
    assert found == pytest.approx([0.6, 0.9, 0.6, 0.0, 0.0, 1 / 3], abs=1e-3)


def test_the_two_sides_swap_with_the_sentences() -> None:
    there, back = features("a dog runs", "a puppy runs"), features("a puppy runs", "a dog runs")
    assert back == pytest.approx(there[[0, 2, 1, 3, 5, 4]], abs=1e-3)


def test_a_sentence_without_a_node_is_judged_as_a_whole() -> None:
    found = features("a dog runs", "so")
    assert len(found) == COLUMNS
    assert found == pytest.approx([0, 0, 0, 0, 0, 0], abs=1e-3)
    assert features("so", "so") == pytest.approx([1, 1, 1, 1, 0, 0], abs=1e-3)
