import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase import artifacts
from mase.errors import ArtifactError
from mase.params import TowerParams
from mase.proxies import ProxyTable, build_tower, extract_proxies, extraction, load_tower
from mase.proxies.extraction import pieces_that_fit
from mase.proxies.store import key_order, text_keys
from mase.proxies.tower import BatchedTower

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("extract_slowly.py")
TEXTS = ["a dog", "", "\U0001f600", "a dog", "x" * 10_000, "the drum " * 50, "two cats on a mat", "\ud800"]


@pytest.fixture
def tower(tower_params: Callable[..., TowerParams]) -> BatchedTower:
    return build_tower(tower_params("random", "a", vocabulary=2000, context_length=20))


class Counting:
    """A tower of the bare contract, without a context limit."""

    name, modality, width, digest = "counting", "image", 2, "d1"

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.seen.extend(texts)
        return np.array([[self.scale * len(text), 0.1] for text in texts], dtype=np.float32)


def test_every_text_gets_its_own_vector_in_half_precision(tower: BatchedTower, tmp_path: Path) -> None:
    table = extract_proxies(tower, iter(TEXTS), root=tmp_path)
    stored = table.vectors()
    assert isinstance(stored, np.memmap)
    assert (stored.dtype, stored.shape, table.width) == (np.float16, (7, 24), 24)
    rows = table.rows(TEXTS)
    assert rows.dtype == np.int64
    assert rows[0] == rows[3]
    expected = np.concatenate([tower.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(stored[rows], expected, atol=2e-3, rtol=1e-3)  # half precision keeps 11 bits
    assert table.counts == {"texts": 7, "truncated": 2, "chunked": 0}


def test_texts_are_encoded_once_shortest_first_and_never_again(tmp_path: Path) -> None:
    tower = Counting()
    first = extract_proxies(tower, ["bbb", "a", "bbb", "cc"], root=tmp_path)
    second = extract_proxies(tower, ["cc", "bbb", "a"], root=tmp_path)
    assert tower.seen == ["a", "cc", "bbb"]
    assert first.digest == second.digest
    np.testing.assert_array_equal(second.vectors()[second.rows(["a", "bbb"]), 0], [1, 3])


def test_tower_texts_and_overflow_make_the_identity(tmp_path: Path) -> None:
    tower = Counting()
    digests = {extract_proxies(tower, ["a"], root=tmp_path).digest}
    digests.add(extract_proxies(tower, ["a", "b"], root=tmp_path).digest)
    digests.add(extract_proxies(tower, ["a"], overflow="chunk_mean", root=tmp_path).digest)
    tower.digest = "d2"
    digests.add(extract_proxies(tower, ["a"], root=tmp_path).digest)
    assert len(digests) == 4


def test_texts_apart_are_in_the_table_and_in_no_batch_of_the_others(
    tower: BatchedTower, tmp_path: Path
) -> None:
    batches: list[list[str]] = []
    encode = tower.encode_checked
    tower.encode_checked = lambda texts: batches.append(list(texts)) or encode(texts)
    table = extract_proxies(tower, ["bbb", "a"], apart=["cc", "a", "d"], root=tmp_path)
    assert batches == [["a", "bbb"], ["d", "cc"]] and len(table) == 4
    alone, together = (
        extract_proxies(tower, texts, root=tmp_path) for texts in (["bbb", "a"], ["a", "bbb", "cc", "d"])
    )
    found, expected = (t.vectors()[t.rows(["bbb", "a"])] for t in (table, alone))
    np.testing.assert_array_equal(found, expected)
    assert len({t.digest for t in (table, alone, together)}) == 3
    assert extract_proxies(tower, ["a", "bbb"], apart=["a"], root=tmp_path).digest == alone.digest


def test_an_unknown_text_is_named(tmp_path: Path) -> None:
    table = extract_proxies(Counting(), ["a", "b"], root=tmp_path)
    with pytest.raises(ArtifactError, match=r"'zebra' \(2 of 3"):
        table.rows(["a", "zebra", "q" * 1000])
    assert table.rows([]).shape == (0,)


def test_no_texts_make_an_empty_table(tmp_path: Path) -> None:
    table = extract_proxies(Counting(), [], root=tmp_path)
    assert table.vectors().shape == (0, 2)
    with pytest.raises(ArtifactError, match="'a'"):
        table.rows(["a"])


def test_one_string_is_not_a_list_of_texts(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="one string"):
        extract_proxies(Counting(), "abc", root=tmp_path)


@pytest.mark.parametrize("scale", [1e6, float("nan")])
def test_a_vector_beyond_half_precision_is_an_error_and_leaves_nothing(scale: float, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="counting"):
        extract_proxies(Counting(scale), ["abc"], root=tmp_path)
    assert not [path for path in (tmp_path / "proxies").iterdir() if path.is_dir()]


@pytest.mark.parametrize("name", ["vectors.npy", "keys.npy"])
def test_a_changed_byte_is_noticed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = extract_proxies(Counting(), ["a", "b"], root=tmp_path).folder
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    monkeypatch.setattr(artifacts, "_VERIFIED", set())  # as a new process would start
    with pytest.raises(ArtifactError, match=f"{name} does not match its checksum"):
        extract_proxies(Counting(), ["a", "b"], root=tmp_path)


def test_chunks_of_a_long_text_are_averaged_and_short_texts_are_not_touched(
    tower: BatchedTower, tmp_path: Path
) -> None:
    first, second = "one two three four five six seven eight.", "a b c d e f g h i j k l m n."
    long = f"{first} {second}"
    assert not tower.fits(long)
    table = extract_proxies(tower, [long, "a dog"], overflow="chunk_mean", root=tmp_path)
    vectors = table.vectors()[table.rows([long, "a dog"])].astype(np.float32)
    np.testing.assert_allclose(vectors[0], tower.encode([first, second]).mean(axis=0), atol=2e-3, rtol=1e-3)
    np.testing.assert_allclose(vectors[1], tower.encode(["a dog"])[0], atol=2e-3, rtol=1e-3)
    assert table.counts == {"texts": 2, "truncated": 0, "chunked": 1}


@given(st.text(alphabet="ab .!?\n", max_size=120), st.integers(1, 12))
def test_pieces_fit_and_leave_no_character_out(text: str, limit: int) -> None:
    pieces = pieces_that_fit(text, lambda piece: len(piece.split()) <= 3 and len(piece.strip()) <= limit)
    assert all(len(piece.strip()) <= limit or len(piece) < 2 for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_ten_thousand_characters_are_chunked(tower: BatchedTower, tmp_path: Path) -> None:
    texts = ["x" * 10_000, "\U0001f600" * 2500, "word " * 2000]
    table = extract_proxies(tower, texts, overflow="chunk_mean", root=tmp_path)
    assert table.counts["chunked"] == 3
    assert np.isfinite(table.vectors()).all()


def test_progress_ends_at_the_number_of_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "SPAN", 2)
    calls: list[tuple[str, int, int]] = []
    extract_proxies(
        Counting(), ["a", "b", "c"], root=tmp_path, progress=lambda *arguments: calls.append(arguments)
    )
    assert [done for _, done, _ in calls] == [2, 3]
    assert {total for *_, total in calls} == {3}


def test_keys_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ArtifactError, match="cannot tell"):
        key_order(np.array([[7, 1], [3, 1], [7, 2]], dtype=np.uint64))


@given(st.lists(st.text(), unique=True))
def test_keys_are_unique_and_sortable(texts: list[str]) -> None:
    keys = text_keys(texts)[key_order(text_keys(texts))]
    assert len({tuple(key) for key in keys.tolist()}) == len(texts)
    assert keys[:, 0].tolist() == sorted(keys[:, 0].tolist())


def test_what_a_killed_run_left_is_removed_and_other_artifacts_are_not(tmp_path: Path) -> None:
    folder = extract_proxies(Counting(), ["a"], root=tmp_path).folder
    for name in (f".{folder.name}.killed", ".another.running"):
        (tmp_path / "proxies" / name).mkdir()
    shutil.rmtree(folder)
    extract_proxies(Counting(), ["a"], root=tmp_path)
    assert {path.name for path in folders(tmp_path)} == {folder.name, ".another.running"}


def test_two_threads_build_once(tmp_path: Path) -> None:
    tower, barrier = Counting(), threading.Barrier(2)

    def extract(_: int) -> str:
        barrier.wait(timeout=30)
        return extract_proxies(tower, ["a", "b"], root=tmp_path).digest

    with ThreadPoolExecutor(2) as pool:
        digests = list(pool.map(extract, range(2)))
    assert digests[0] == digests[1]
    assert tower.seen == ["a", "b"]


def start(root: Path, log: Path, wait: float) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SCRIPT), str(root), str(log), str(wait)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def folders(root: Path) -> list[Path]:
    return [path for path in (root / "proxies").iterdir() if path.is_dir()]


def extracted_here(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Extract the script's texts in this process; return the digest and the bytes of the vectors."""
    monkeypatch.setattr(extraction, "SPAN", 4)
    texts = [
        f"{colour} {thing} number {n}"
        for colour in ("red", "blue")
        for thing in ("ball", "drum")
        for n in range(5)
    ]
    table = extract_proxies(load_tower("embedded-image"), texts, root=root)
    return table.digest, table.vectors()[table.rows(texts)].tobytes().hex()


@pytest.mark.slow
def test_two_processes_build_once_and_see_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    processes = [start(store, log, 0.1) for _ in range(2)]
    outputs = [process.communicate(timeout=100)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert log.read_text().split() == ["4"] * 5
    assert outputs[0] == outputs[1]
    assert tuple(outputs[0].split()) == extracted_here(tmp_path / "other", monkeypatch)
    assert len(folders(store)) == 1


@pytest.mark.slow
def test_a_killed_extraction_leaves_nothing_whole_and_the_next_run_redoes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    process = start(store, log, 0.5)
    deadline = time.monotonic() + 100
    while not log.exists() or len(log.read_text().split()) < 2:  # one span is written, the next has begun
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=100)
    debris = folders(store)
    assert len(debris) == 1
    assert (debris[0] / "vectors.npy").exists()
    assert not (debris[0] / artifacts.MANIFEST).exists()
    with pytest.raises(ArtifactError):
        ProxyTable.open(debris[0])
    assert extracted_here(store, monkeypatch) == extracted_here(tmp_path / "other", monkeypatch)
    (whole,) = folders(store)
    manifest = json.loads((whole / artifacts.MANIFEST).read_text())
    assert (whole.name, manifest["counts"]["texts"]) == (manifest["digest"], 20)
