"""Splits: disjoint, stratified, grouped, deterministic, and blind to the file's order."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase import seeds
from mase.data.rows import Rows
from mase.data.splits import apportion, sample, separate


def make(labels: Sequence[float], groups: list[str] | None = None, texts: list[str] | None = None) -> Rows:
    scores = any(isinstance(label, float) for label in labels)
    return Rows(
        ids=tuple(f"row-{i}" for i in range(len(labels))),
        texts_a=tuple(texts or [f"text {i}" for i in range(len(labels))]),
        texts_b=None,
        labels=np.array(labels, dtype=np.float32 if scores else np.int64),
        groups=None if groups is None else tuple(groups),
    )


def shuffled(rows: Rows, seed: int) -> Rows:
    return rows.take(np.random.default_rng(seed).permutation(len(rows)))


def generator() -> np.random.Generator:
    return seeds.numpy_generator(0, "test")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.floats(0, 1))
def test_independent_rows_are_split_exactly_and_in_proportion(labels: list[int], share: float) -> None:
    rows = make(labels)
    size = round(share * len(rows))
    taken, left = separate(rows, size, generator())
    assert len(taken) == size
    assert sorted([*taken, *left]) == list(range(len(rows)))
    inside = Counter(rows.labels[taken].tolist())
    for label, count in Counter(labels).items():
        assert abs(inside[label] - share * count) <= 1.5


@given(st.lists(st.integers(0, 9), min_size=2, max_size=60), st.integers(0, 60))
def test_a_group_is_never_cut(members: list[int], size: int) -> None:
    groups = [f"group {number}" for number in members]
    rows = make([number % 2 for number in members], groups)
    size = min(size, len(rows))
    taken, left = separate(rows, size, generator())
    inside, outside = ({groups[index] for index in part} for part in (taken, left))
    assert sorted([*taken, *left]) == list(range(len(rows)))
    assert not inside & outside
    assert len(taken) <= max(size, min(Counter(members).values()))


def test_some_group_is_taken_and_some_group_is_left() -> None:
    rows = make([0] * 10 + [1] * 10, ["a"] * 10 + ["b"] * 10)
    for size in (1, 19):
        taken, left = separate(rows, size, generator())
        assert len(taken) == len(left) == 10


def test_rows_with_the_same_texts_stay_together_even_when_a_pair_is_turned_round() -> None:
    count = 40
    first = tuple(f"left {i % 10}" if i < 20 else f"right {i % 10}" for i in range(count))
    second = tuple(f"right {i % 10}" if i < 20 else f"left {i % 10}" for i in range(count))
    rows = Rows(tuple(map(str, range(count))), first, second, np.zeros(count, dtype=np.int64))
    taken, left = separate(rows, 12, generator())
    assert len(taken) == 12
    assert not {i % 10 for i in taken.tolist()} & {i % 10 for i in left.tolist()}


def test_scores_are_stratified_by_quantile() -> None:
    rows = make([float(i % 50) / 10 for i in range(500)])
    taken, _ = separate(rows, 50, generator())
    counts = np.histogram(rows.labels[taken], bins=5, range=(0, 5))[0]
    assert counts.tolist() == [10] * 5


@pytest.mark.parametrize("grouped", [False, True])
def test_a_split_does_not_depend_on_the_order_of_the_rows(grouped: bool) -> None:
    groups = [f"group {i // 4}" for i in range(200)] if grouped else None
    rows = make([i % 3 for i in range(200)], groups)
    other = shuffled(rows, seed=1)
    first, second = (
        {part.texts_a[i] for i in separate(part, 40, generator())[0].tolist()} for part in (rows, other)
    )
    assert first == second
    assert set(sample(rows, 30, generator()).texts_a) == set(sample(other, 30, generator()).texts_a)


def test_another_seed_gives_another_split() -> None:
    rows = make([i % 2 for i in range(200)])
    first, second = (separate(rows, 40, seeds.numpy_generator(seed, "test"))[0] for seed in (0, 1))
    assert first.tolist() != second.tolist()


def test_samples_are_nested_balanced_and_in_file_order() -> None:
    rows = make([0] * 300 + [1] * 100)
    small, large = (sample(rows, size, generator()) for size in (40, 120))
    assert set(small.ids) < set(large.ids)
    assert Counter(small.labels.tolist()) == {0: 30, 1: 10}
    numbers = [int(name.removeprefix("row-")) for name in large.ids]
    assert numbers == sorted(numbers)


def test_a_sample_that_is_not_smaller_is_everything() -> None:
    rows = make([0, 1, 0])
    assert sample(rows, None, generator()) is rows
    assert sample(rows, 3, generator()) is rows


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot take 4 of 3 rows"):
        separate(make([0, 1, 0]), 4, generator())


@given(st.lists(st.integers(0, 50), max_size=8), st.floats(0, 1))
def test_apportionment_is_exact_and_within_one_of_the_proportion(counts: list[int], share: float) -> None:
    size = round(share * sum(counts))
    parts = apportion(counts, size)
    assert sum(parts) == size
    for part, count in zip(parts, counts, strict=True):
        assert part <= count
        assert abs(part - size * count / max(sum(counts), 1)) < 1
