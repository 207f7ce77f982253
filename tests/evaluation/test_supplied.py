"""Rows of someone else's answers: scored like every row, paired with them, refused in words."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mase.errors import DataError
from mase.evaluation.declaration import RowParams, TableParams
from mase.evaluation.evidence import Evidence, gather
from mase.evaluation.plan import plan, unique_units, with_data
from mase.evaluation.render import to_markdown
from mase.evaluation.tables import build_table
from mase.units import train

ANSWERS = ("yes", "no", "red", "2")
KINDS = {"yes": "yes/no", "no": "yes/no", "red": "other", "2": "number"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("supplied")
    (root / "vqa_v2").mkdir()
    generator = np.random.default_rng(0)
    for first, split, count in ((1000, "train", 120), (5000, "val", 60)):
        asked, told = [], []
        for number in range(first, first + count):
            answer = ANSWERS[int(generator.integers(4))]
            asked.append(
                {"question_id": number, "image_id": number, "question": f"what about thing {number}"}
            )
            listed = [{"answer": answer}] * 7 + [{"answer": "purple"}] * 3
            kind = KINDS[answer]
            told.append({"question_id": number, "image_id": number, "answer_type": kind, "answers": listed})
        base = root / "vqa_v2"
        (base / f"v2_OpenEnded_mscoco_{split}2014_questions.json").write_text(
            json.dumps({"questions": asked})
        )
        (base / f"v2_mscoco_{split}2014_annotations.json").write_text(json.dumps({"annotations": told}))
    return root


def results(folder: Path, name: str, answer: Callable[[int, str], str | None]) -> Path:
    told = json.loads((folder / "vqa_v2" / "v2_mscoco_val2014_annotations.json").read_text())["annotations"]
    said = [(each["question_id"], answer(i, each["answers"][0]["answer"])) for i, each in enumerate(told)]
    path = folder / name
    listed = [{"question_id": number, "answer": text} for number, text in said if text is not None]
    path.write_text(json.dumps([*listed, {"question_id": 1, "answer": "of another split"}]))
    return path


def table_of(path: Path) -> TableParams:
    rows = (
        RowParams(label="None", group="reference", overlays=("methods/text",)),
        RowParams(label="Theirs", group="method", predictions={"vqa_v2": str(path)}),
    )
    columns = ("vqa_v2", "vqa_v2:number")
    return TableParams(
        name="t", title="T", columns=columns, averages={}, reference="None", primary="Theirs", rows=rows
    )


def planned(folder: Path, path: Path) -> list:
    overrides = ("data.source=files", f"data.dir={folder}", "data.max_eval_rows=60", "training.max_steps=1")
    return plan(table_of(path), profile="smoke", seeds=(3,), overrides=overrides)


def test_a_file_is_scored_officially_and_becomes_the_row(folder: Path) -> None:
    """Right, "purple" as three of ten say (.9), wrong, and numbers always right as a word."""
    kinds = ("{}", "Purple.", "nothing of the kind")
    path = results(folder, "theirs.json", lambda i, a: "two" if a == "2" else kinds[i % 3].format(a))
    cells = with_data(planned(folder, path))
    assert [cell.supplied is not None for cell in cells] == [False, False, True, True]
    assert {unit.label for unit in unique_units(cells)} == {"None / vqa_v2 / seed 3"}
    for unit in unique_units(cells):
        train(unit)
    found = [gather(cell, lambda unit: None) for cell in cells[2:]]
    told = json.loads((folder / "vqa_v2" / "v2_mscoco_val2014_annotations.json").read_text())["annotations"]
    worth = [1.0 if t["answers"][0]["answer"] == "2" else (1.0, 0.9, 0.0)[i % 3] for i, t in enumerate(told)]
    assert isinstance(found[0], Evidence) and isinstance(found[1], Evidence)
    assert found[0].main_scores == [pytest.approx(np.mean(worth))]
    assert found[1].main_scores == [1.0] and found[0].seeds == (3,) and len(found[0].digests) == 1
    built = build_table(table_of(path), cells, resamples=200)
    cell = built.cells["Theirs", "vqa_v2"]
    assert cell.comparison is not None and (cell.n, cell.asked) == (1, 1)  # paired with the trained row
    assert f"{100 * np.mean(worth):.1f}" in to_markdown(built)


def test_a_file_that_does_not_answer_is_no_row(folder: Path) -> None:
    few = results(folder, "few.json", lambda i, a: None if i == 5 else a)
    cells = with_data(planned(folder, few))
    assert all(cell.supplied is None and "answers 59 of 60 questions" in cell.reason for cell in cells[2:])
    for name, content, said in (
        ("object.json", "{}", "expected a list of"),
        (
            "twice.json",
            '[{"question_id": 1, "answer": "a"}, {"question_id": "1", "answer": "b"}]',
            "answered twice",
        ),
        ("number.json", '[{"question_id": 1, "answer": 2}]', "no answer in words"),
    ):
        (folder / name).write_text(content)
        with pytest.raises(DataError, match=said):
            planned(folder, folder / name)[2].supplied.frame()


def test_a_row_either_trains_or_is_supplied() -> None:
    with pytest.raises(ValueError, match="has predictions, so it is available and takes no overlays"):
        RowParams(label="x", group="method", predictions={"vqa_v2": "a"}, overlays=("methods/text",))
    with pytest.raises(ValueError, match="predictions of row 'x' names 'sst2'"):
        rows = (
            RowParams(label="None", group="reference", overlays=("methods/text",)),
            RowParams(label="x", group="method", predictions={"sst2": "a.json"}),
        )
        TableParams(name="t", title="T", columns=("vqa_v2",), reference="None", primary="None", rows=rows)
