"""The splits that ViLBERT and ConceptBert used, and the warning that comes with them."""

import json
from pathlib import Path

import pytest

from mase.data import prepare
from mase.errors import DataError
from mase.params import Params, load_params
from mase.units import Unit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("splits")
    (root / "vqa_v2").mkdir()
    for split, numbers in (("train", range(100, 140)), ("val", range(29, 9, -1))):
        asked = [{"question_id": n, "image_id": n, "question": f"what is thing {n}"} for n in numbers]
        told = [
            {"question_id": n, "image_id": n, "answer_type": "other", "answers": [{"answer": "yes"}]}
            for n in numbers
        ]
        base = root / "vqa_v2"
        (base / f"v2_OpenEnded_mscoco_{split}2014_questions.json").write_text(
            json.dumps({"questions": asked})
        )
        (base / f"v2_mscoco_{split}2014_annotations.json").write_text(json.dumps({"annotations": told}))
    return root


def params_of(folder: Path, split: str, minval: int = 4) -> Params:
    chosen = (
        "data.source=files",
        f"data.dir={folder}",
        f"task.vqa.split={split}",
        f"task.vqa.minval={minval}",
    )
    chosen += ("data.max_train_rows=null", "data.max_eval_rows=null", "data.internal_test=0")
    return load_params("vqa_v2", profile="smoke", overlays=("methods/text",), overrides=chosen)


def split_of(folder: Path, split: str) -> tuple[set[int], set[int]]:
    params = params_of(folder, split)
    data = prepare(params.task, params.data)
    learned = {*data.train.ids, *data.slice.ids}
    return {int(name) for name in learned}, {int(name) for name in data.evaluation.ids}


def test_the_official_split_says_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert split_of(folder, "official") == (set(range(100, 140)), set(range(10, 30)))
    assert not caplog.records


def test_minval_keeps_its_questions_out_of_training(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    learned, asked = split_of(folder, "minval")
    assert asked == {26, 27, 28, 29} and learned == {*range(100, 140), *range(10, 26)}
    assert "does not compare with rows on the whole of val" in caplog.text


def test_the_contaminated_split_prints_its_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    learned, asked = split_of(folder, "contaminated")
    assert asked == set(range(10, 30)) and len(learned & asked) == 16
    assert "CONTAMINATED: 16 of the 20 questions that it is scored on are trained on" in caplog.text


def test_splits_are_other_units_and_too_few_questions_are_refused(folder: Path) -> None:
    digests = {
        Unit(params_of(folder, split), split).digest for split in ("official", "minval", "contaminated")
    }
    assert len(digests) == 3
    assert Unit(params_of(folder, "official", 7), "a").digest in digests  # it has no say there
    params = params_of(folder, "minval", 20)
    with pytest.raises(DataError, match="takes the last 20 questions of val aside, which has 20"):
        prepare(params.task, params.data)
