"""A table of vectors in a tower's place."""

from pathlib import Path

import numpy as np
import pytest

from mase.errors import CheckpointFormatError, MissingWeightsError
from mase.identity import identity
from mase.params import Params, TowerParams, load_params
from mase.proxies import build_tower, extract_proxies, load_tower
from mase.proxies.vectors import VectorTable


def table(folder: Path, name: str, names: list[str], width: int = 3, start: float = 1.0) -> None:
    folder.mkdir(exist_ok=True)
    rows = start + np.arange(len(names) * width, dtype=np.float16).reshape(-1, width)
    np.save(folder / f"{name}.npy", rows.astype(np.float16))
    (folder / f"{name}.names.txt").write_text("\n".join(names) + "\n")


def params_of(folder: Path | str, width: int = 3) -> TowerParams:
    return TowerParams(name="seen", modality="image", format="vectors", ref=str(folder), output_width=width)


def described(folder: Path) -> Path:
    """Write the tower's YAML beside the table."""
    path = folder / "seen.yaml"
    path.write_text("{name: seen, modality: image, format: vectors, ref: t, output_width: 3}")
    return path


@pytest.fixture
def tower(tmp_path: Path) -> VectorTable:
    table(
        tmp_path / "t",
        "a",
        ["Sea turtle", "turtle", "mouse_(computer_equipment)", "cherry tomato", "glasses"],
    )
    table(tmp_path / "t", "b", ["turtles", "computer"], start=100.0)
    built = build_tower(params_of(tmp_path / "t"))
    assert isinstance(built, VectorTable)
    return built


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sea turtle", "sea turtle"),
        ("Two Sea Turtles swim.", "sea turtle"),
        ("a photo of a turtle", "turtle"),
        ("the sea, a turtle", "turtle"),
        ("a computer mouse", "mouse"),  # of equally long names the last
        ("a mouse at the computer", "computer"),
        ("some cherry tomatoes and a mouse", "cherry tomato"),
        ("a pair of glasses", "glass"),
        ("a turtleneck", None),
        ("", None),
    ],
)
def test_a_text_gets_the_vector_of_its_longest_known_name(
    text: str, name: str | None, tower: VectorTable
) -> None:
    assert tower.known(text) == (None if name is None else tuple(name.split()))
    expected = np.zeros(3) if name is None else tower.vectors[tuple(name.split())]
    assert tower.encode([text])[0].tolist() == expected.tolist()


def test_of_two_spellings_the_first_file_counts(tower: VectorTable) -> None:
    assert tower.encode(["turtles", "computer"]).tolist() == [[4, 5, 6], [103, 104, 105]]
    assert tower.encode([]).shape == (0, 3)


def test_a_table_is_stored_and_named_like_a_tower(tmp_path: Path, tower: VectorTable) -> None:
    stored = extract_proxies(tower, ["a turtle", "nothing"], root=tmp_path / "store")
    assert stored.vectors()[stored.rows(["nothing", "a turtle"])].tolist() == [[0, 0, 0], [4, 5, 6]]
    again = load_tower(str(described(tmp_path)))
    assert again.digest == tower.digest
    table(tmp_path / "t", "b", ["turtles", "computer"], start=101.0)
    assert build_tower(params_of(tmp_path / "t")).digest != tower.digest


def run_of(folder: Path) -> Params:
    overrides = ("towers.image=clip-vectors", f"towers.image.ref={folder}", "towers.image.output_width=3")
    return load_params("looks", profile="smoke", overlays=("methods/mc_ptm_image",), overrides=overrides)


def test_a_unit_is_named_by_the_bytes_of_the_table(tmp_path: Path, tower: VectorTable) -> None:
    before = identity(run_of(tmp_path / "t"))
    (tmp_path / "t").rename(tmp_path / "moved")
    assert identity(run_of(tmp_path / "moved")) == before
    table(tmp_path / "moved", "b", ["turtles", "computer"], start=101.0)
    assert identity(run_of(tmp_path / "moved")) != before


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="nowhere"):
        build_tower(params_of("nowhere"))
    (tmp_path / "t").mkdir()
    with pytest.raises(MissingWeightsError, match=r"no NAME\.names\.txt"):
        build_tower(params_of(tmp_path / "t"))
    table(tmp_path / "t", "a", ["cup", "pot"])
    with pytest.raises(CheckpointFormatError, match="output_width"):
        build_tower(params_of(tmp_path / "t", width=4))
    (tmp_path / "t" / "a.names.txt").write_text("cup\n")
    with pytest.raises(CheckpointFormatError, match="1 names"):
        build_tower(params_of(tmp_path / "t"))
    (tmp_path / "t" / "a.npy").unlink()
    with pytest.raises(CheckpointFormatError, match="no readable table"):
        build_tower(params_of(tmp_path / "t"))


def test_real_vectors_of_clip_reach_the_probes_objects(shared_data: Path) -> None:
    built = build_tower(params_of(shared_data / "clip_text_vectors", width=512))
    assert isinstance(built, VectorTable) and len(built.vectors) > 1400
    dog, puppy, newspaper = built.encode(["the dog", "two puppies", "a newspaper"])
    cosine = [float(dog @ v / np.linalg.norm(dog) / np.linalg.norm(v)) for v in (puppy, newspaper)]
    assert cosine == pytest.approx([0.945, 0.838], abs=2e-3)  # as the data's README has them
    assert built.known("the computer monitor") == ("computer", "monitor")
