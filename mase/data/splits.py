"""Seeded splits that keep what belongs together on one side.

Rows that share a group, or without groups the same texts (of multiple choice, the same question),
form a unit, and a unit is never cut. Units are put in an order of their own (by content) before
they are shuffled, so that a split does not depend on the order of the file's rows.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from mase.data.rows import Rows

Unit = list[int]  # row indices
STRATA = 5  # quantile bins of a regression label


def separate(rows: Rows, size: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Take about `size` rows aside, stratified by label; return (taken, left) sorted indices.

    Exact where every unit is one row; otherwise the units of each stratum are taken in
    shuffled order while they fit, so that at most `size` rows are taken, save that at least
    one unit is (if `size` > 0), and at least one is left.

    Raises:
        ValueError: if `size` is negative or more than the number of rows.
    """
    if not 0 <= size <= len(rows):
        raise ValueError(f"cannot take {size} of {len(rows)} rows")
    strata = _strata(rows, _units(rows))
    quotas = apportion([sum(map(len, units)) for units in strata], size)
    taken: list[Unit] = []
    spare: list[Unit] = []
    for units, quota in zip(strata, quotas, strict=True):
        shuffled = [units[index] for index in generator.permutation(len(units))]
        chosen, rest = _fill(shuffled, quota)
        taken += chosen
        spare += rest
    order = sorted(spare, key=len, reverse=True)  # stable: equal sizes stay in shuffled order
    more, _ = _fill(order, size - sum(map(len, taken)))  # what the strata could not place
    taken += more
    if size and not taken:
        taken = [min(spare, key=len)]
    if size < len(rows) and len(taken) > 1 and sum(map(len, taken)) == len(rows):
        taken = taken[:-1]
    inside = np.zeros(len(rows), dtype=bool)
    inside[[index for unit in taken for index in unit]] = True
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def sample(rows: Rows, size: int | None, generator: np.random.Generator) -> Rows:
    """Return at most `size` rows drawn without replacement, in the file's order.

    Stratified by label: the shuffled strata are interleaved so that every prefix holds them in
    proportion. So a smaller sample is part of a larger one made with the same generator state.
    """
    if size is None or size >= len(rows):
        return rows
    strata = _strata(rows, [[index] for index in _by_content(rows)])
    placed: list[tuple[float, int]] = []  # (place in the interleaving, row)
    for stratum in strata:
        shuffled = generator.permutation([index for (index,) in stratum])
        places = (np.arange(len(shuffled)) + generator.random()) / len(shuffled)
        placed += zip(places.tolist(), shuffled.tolist(), strict=True)
    return rows.take(sorted(index for _, index in sorted(placed)[:size]))


def apportion(counts: Sequence[int], size: int) -> list[int]:
    """Divide `size` in proportion to `counts` by largest remainders; the sum is exact."""
    total = sum(counts)
    if total == 0:
        return [0] * len(counts)
    exact = [size * count / total for count in counts]
    whole = [int(value) for value in exact]
    by_remainder = sorted(range(len(counts)), key=lambda i: (whole[i] - exact[i], i))
    for index in by_remainder[: size - sum(whole)]:
        whole[index] += 1
    return whole


def _fill(units: Sequence[Unit], quota: int) -> tuple[list[Unit], list[Unit]]:
    taken, rest = [], []
    for unit in units:
        if len(unit) <= quota:
            taken.append(unit)
            quota -= len(unit)
        else:
            rest.append(unit)
    return taken, rest


def _by_content(rows: Rows) -> list[int]:
    """Return the row indices in an order that depends on content alone."""
    keys: list[tuple[Any, ...]] = list(zip(rows.pairs(), rows.labels.tolist(), strict=True))
    if rows.references is not None:  # two questions may be alike and differ in what they are about
        groups = rows.groups or ("",) * len(rows)
        keys = list(zip(keys, rows.references, groups, strict=True))
    return sorted(range(len(rows)), key=keys.__getitem__)


def _units(rows: Rows) -> list[Unit]:
    """Return the units in an order that depends on content alone."""
    if rows.groups is not None:
        keys = [(group,) for group in rows.groups]
    elif rows.options > 1:
        keys = [(question,) for question in rows.texts_a[:: rows.options]]
    else:
        keys = [tuple(sorted(pair)) for pair in rows.pairs()]
    units: dict[tuple[str, ...], Unit] = defaultdict(list)
    for index in _by_content(rows):
        units[keys[index]].append(index)
    return [units[key] for key in sorted(units)]


def _strata(rows: Rows, units: list[Unit]) -> list[list[Unit]]:
    """Gather units by stratum or label: the most frequent one, or the quantile bin of the mean score."""
    if rows.strata is not None:
        ids = {name: number for number, name in enumerate(sorted(set(rows.strata)))}
        kinds = np.array([ids[name] for name in rows.strata], dtype=np.int64)
        stratum = [int(np.bincount(kinds[unit]).argmax()) for unit in units]
    elif np.issubdtype(rows.labels.dtype, np.integer):
        stratum = [int(np.bincount(rows.labels[unit]).argmax()) for unit in units]
    else:
        means = np.array([rows.labels[unit].mean() for unit in units])
        edges = np.quantile(means, np.arange(1, STRATA) / STRATA) if units else means
        stratum = np.searchsorted(edges, means, side="right").tolist()
    gathered: dict[int, list[Unit]] = defaultdict(list)
    for unit, name in zip(units, stratum, strict=True):
        gathered[name].append(unit)
    return [gathered[name] for name in sorted(gathered)]
