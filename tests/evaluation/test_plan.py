from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mase.errors import DataError, ParamsError
from mase.evaluation.declaration import TableParams, load_table, task_of
from mase.evaluation.plan import (
    Cell,
    _out_of_reach,
    lacking,
    plan,
    shown_columns,
    unique_units,
    with_data,
    work,
)
from mase.params import available, load_params
from mase.units import Unit


def test_the_demo_table_is_eight_rows_by_four_tasks_with_one_unit_a_seed() -> None:
    cells = plan(load_table("demo"), profile="smoke", seeds=[0, 1])
    assert len(cells) == 8 * 4
    assert all([unit.params.seed for unit in cell.units] == [0, 1] for cell in cells)
    full = next(cell for cell in cells if (cell.row, cell.column) == ("Full MASE", "sounds"))
    assert full.units[0].params.method == "mase"
    assert full.units[0].params.task.name == "sounds"
    assert full.units[0].label == "Full MASE / sounds / seed 0"


@pytest.mark.parametrize("name", available("tables"))
def test_every_shipped_table_can_be_planned(name: str) -> None:
    source = [] if name == "demo" else ["data.source=files", "data.dir=nowhere"]
    table = load_table(name)
    cells = plan(table, profile="local" if source else "smoke", seeds=[0], overrides=source)
    without = {(row.label, task) for row in table.rows for task in row.without}
    for cell in cells:
        row = table.row(cell.row)
        expected = row.available and not row.backbones and (cell.row, task_of(cell.column)) not in without
        assert bool(cell.units) == expected
    for column in table.columns:
        of_column = [c for c in cells if c.column == column and c.units and c.ensemble == 1]
        mine = [c.units[0].params.model_dump_json() for c in of_column]
        assert len(set(mine)) == len(mine)  # no two rows are the same run


def test_rows_differ_from_full_mase_in_what_they_claim() -> None:
    cells = plan(load_table("6"), profile="local", seeds=[0], tasks=["mrpc"], overrides=["data.dir=nowhere"])
    params = {cell.row: cell.units[0].params for cell in cells if cell.units}
    assert len(params) == 20
    assert params.pop("Text only, two seeds averaged") == params["Text only"]
    assert params["w/o contrastive loss"].contrastive.alpha == 0
    assert params["w/o self-balancing"].allocation.mode == "fixed"
    assert params["w/o entity-level injection"].graph is None
    assert params["Text only"].modalities == ("text",)
    assert params["Text only, slice returned"].data.slice_max == 16
    assert params["Shuffled proxies"].proxies.shuffle
    assert params["MPB, image"].modalities == ("text", "image")
    assert params["CLIP +None"].method == "mc_ptm"
    assert params["CLIP +None, tuned"].method == "mc_ptm_tuned"
    assert len({p.model_dump_json() for p in params.values()}) == len(params)


def test_a_row_that_is_not_available_has_cells_without_units() -> None:
    cells = plan(load_table("6"), profile="local", seeds=[0], tasks=["stsb"], overrides=["data.dir=nowhere"])
    assert [cell.row for cell in cells if not cell.units] == [
        "MPB + prompt learning",
        "MASE + prompt learning",
    ]


def test_tasks_keep_the_tables_order_and_must_be_its_columns() -> None:
    assert shown_columns(load_table("demo"), ["says", "looks"]) == ["looks", "says"]
    with pytest.raises(ParamsError, match="no column 'mrpc'"):
        plan(load_table("demo"), profile="smoke", seeds=[0], tasks=["mrpc"])


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_must_be_distinct(seeds: list[int]) -> None:
    with pytest.raises(ParamsError, match="seeds must be distinct"):
        plan(load_table("demo"), profile="smoke", seeds=seeds)


def test_overrides_lie_over_every_row_and_a_wrong_one_is_refused() -> None:
    table = load_table("demo")
    cells = plan(table, profile="smoke", seeds=[0], tasks=["looks"], overrides=["contrastive.tau=0.5"])
    assert {cell.units[0].params.contrastive.tau for cell in cells} == {0.5}
    with pytest.raises(ParamsError, match=r"contrastive\.tua"):
        plan(table, profile="smoke", seeds=[0], tasks=["looks"], overrides=["contrastive.tua=0.5"])


def test_a_rows_own_backbone_wins(declare: Callable[..., TableParams]) -> None:
    table = declare(
        ["looks"], [{"label": "A", "group": "reference", "backbone": "tiny-random"}, {"label": "B"}]
    )
    first, second = plan(table, profile="demo", backbone="minilm", seeds=[0])
    assert first.units[0].params.backbone.source == "random"
    assert second.units[0].params.backbone.source == "package"


def test_columns_of_one_task_have_the_same_units(declare: Callable[..., TableParams]) -> None:
    table = declare(["mrpc", "mrpc:accuracy", "sst2"], [{"label": "A", "group": "reference"}])
    settings = {"profile": "local", "seeds": [0, 1], "overrides": ["data.dir=nowhere"]}
    main, accuracy, other = plan(table, **settings)
    assert main.units == accuracy.units
    assert (accuracy.column, accuracy.units[0].label) == ("mrpc:accuracy", "A / mrpc / seed 0")
    assert other.units[0].params.task.name == "sst2"
    assert shown_columns(table, ["mrpc"]) == ["mrpc", "mrpc:accuracy"]
    assert shown_columns(table, ["mrpc:accuracy"]) == ["mrpc:accuracy"]


def test_a_folded_task_has_a_unit_for_each_seed_and_fold(declare: Callable[..., TableParams]) -> None:
    table = declare(["looks", "says"], [{"label": "A", "group": "reference"}], folds={"looks": 3})
    looks, says = plan(table, profile="smoke", seeds=[0, 1])
    assert [(u.params.seed, u.params.data.folds, u.params.data.fold) for u in looks.units] == [
        (0, 3, 0), (0, 3, 1), (0, 3, 2), (1, 3, 0), (1, 3, 1), (1, 3, 2),
    ]  # fmt: skip
    assert looks.units[1].label == "A / looks / seed 0 / fold 1"
    assert [len(units) for units in looks.seeds().values()] == [3, 3]
    assert [unit.params.data.folds for unit in says.units] == [None, None]


def test_overrides_of_the_table_lie_under_those_of_a_row(declare: Callable[..., TableParams]) -> None:
    rows = [
        {"label": "A", "group": "reference"},
        {"label": "B", "overrides": ("data.fraction=0.5",)},
    ]
    table = declare(["looks"], rows, overrides=("data.fraction=0.1", "data.split_seed=3"))
    first, second = plan(table, profile="smoke", seeds=[0])
    assert (first.units[0].params.data.fraction, second.units[0].params.data.fraction) == (0.1, 0.5)
    assert second.units[0].params.data.split_seed == 3


class Unreadable:
    """A unit whose data are not there."""

    @property
    def digest(self) -> str:
        raise DataError("no file\n  put it there")


def test_a_cell_without_data_says_why_and_leaves_the_others() -> None:
    lost = Cell("A", "sounds", cast(tuple[Unit, ...], (Unreadable(),)))
    kept, without = with_data([cell("A", "u"), lost])
    assert kept == cell("A", "u")
    assert (without.units, without.reason) == ((), "no file\n  put it there")
    with pytest.raises(DataError, match="no file"):
        with_data([lost, Cell("B", "looks", ())])


def cell(row: str, *digests: str) -> Cell:
    params = load_params("looks", profile="smoke")
    units = [SimpleNamespace(digest=digest, params=params) for digest in digests]
    return Cell(row, "looks", cast(tuple[Unit, ...], tuple(units)))


def test_a_unit_asked_for_twice_is_one_unit_of_work() -> None:
    cells = [cell("A", "u", "v"), cell("B", "v", "w"), cell("C")]
    assert [unit.digest for unit in unique_units(cells)] == ["u", "v", "w"]

    def load(unit: Unit) -> Any:
        return object() if unit.digest == "v" else None

    found = work(cells, load)
    assert [(w.unit.digest, w.done) for w in found] == [("u", False), ("v", True), ("w", False)]
    assert found[1].cells == (("A", "looks"), ("B", "looks"))


def test_a_row_that_needs_a_backbone_is_planned_with_it_alone() -> None:
    table = load_table("6")
    for backbone, possible in ((None, False), ("bert-base", True), ("xlnet-base", False)):
        cells = plan(
            table, profile="local", seeds=[0], tasks=["mrpc"], overrides=["data.dir=x"], backbone=backbone
        )
        assert bool(next(c for c in cells if c.row == "MASE + prompt learning").units) == possible


@pytest.mark.usefixtures("mase_home")
def test_a_row_whose_tower_is_a_file_that_is_not_there_says_so_and_leaves_the_others() -> None:
    table = load_table("gain").model_copy(update={"columns": ("looks",), "overrides": ()})
    found = {cell.row: cell for cell in with_data(plan(table, profile="smoke", seeds=[0]))}
    lost = found.pop("Text encoder, matched")
    assert not lost.units and all(cell.units and not cell.reason for cell in found.values())
    (said,) = lacking([lost])
    assert said.startswith("tower matched-image: checkpoint 'matched-image.safetensors' is not there.")


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"format": "huggingface", "ref": "nowhere.safetensors"}, True),
        ({"format": "clipvip", "ref": "nowhere.pt"}, True),
        ({"format": "vectors", "ref": "nowhere"}, True),
        ({"format": "huggingface", "ref": "nobody/nothing"}, False),
        ({"format": "open_clip", "ref": "ViT-B-32", "pretrained": "openai"}, False),
        ({"format": "random", "ref": "any"}, False),
    ],
)
@pytest.mark.usefixtures("mase_home")
def test_only_a_tower_that_nothing_could_fetch_is_missing(settings: dict[str, str], missing: bool) -> None:
    changed = [f"towers.image.{key}={value}" for key, value in settings.items()]
    table = TableParams.model_validate({
        **load_table("demo").model_dump(), "columns": ("looks",), "overrides": changed, "averages": None,
    })  # fmt: skip
    cells = with_data(plan(table, profile="smoke", seeds=[0]))
    full = next(cell for cell in cells if cell.row == table.primary)
    assert bool(full.units) != missing and ("is not there" in full.reason) == missing


def test_a_row_whose_checkpoint_is_not_there_says_so_and_leaves_the_others(shared_data: Path) -> None:
    cells = plan(
        load_table("1"), profile="local", seeds=[0], tasks=["mrpc"], overrides=[f"data.dir={shared_data}"]
    )
    found = {cell.row: cell for cell in with_data(cells)}
    assert not found["VOKEN"].units and found["None"].units
    said = lacking(found.values())
    assert "backbone voken-bert: no vlm_12L_768H_wiki, here or in $MASE_HOME/checkpoints" in said
    assert not found["+Image"].units and any("give a folder of images" in reason for reason in said)


def test_a_row_whose_model_neither_the_cache_nor_the_hub_gives_says_so_and_leaves_the_others(
    shared_data: Path,
) -> None:
    chosen = [f"data.dir={shared_data}"]
    cells = with_data(
        plan(load_table("modern"), profile="local", seeds=[0], tasks=["mrpc"], overrides=chosen)
    )
    lost = {cell.row for cell in cells if not cell.units}
    assert lost == {f"{row}, {model}" for row in ("None", "MASE") for model in ("ModernBERT", "DeBERTa")}
    first, second = lacking(cells)  # one line a model
    assert first.startswith("backbone ModernBERT-base: answerdotai/ModernBERT-base is not in the cache, and")
    assert second.startswith("backbone deberta-v3-base: ")
    adapted = next(cell for cell in cells if cell.row == "MASE, LoRA")
    assert adapted.units[0].params.backbone.adapter == "lora"


def test_a_model_that_is_in_the_cache_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declare: Callable[..., TableParams]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    revision = load_params("looks", profile="smoke", backbone="modernbert-base").backbone.revision
    folder = tmp_path / "models--answerdotai--ModernBERT-base" / "snapshots" / str(revision)
    rows = [{"label": "A", "group": "reference"}, {"label": "B", "backbone": "modernbert-base"}]
    _out_of_reach.cache_clear()
    cells = plan(declare(["looks"], rows), profile="smoke", seeds=[0])
    assert [bool(cell.units) for cell in with_data(cells)] == [True, False]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    _out_of_reach.cache_clear()
    assert [bool(cell.units) for cell in with_data(cells)] == [True, True]
    _out_of_reach.cache_clear()
