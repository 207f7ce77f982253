"""Multiple choice: choices are grouped by question everywhere, and a planted answer is learnt."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from mase.em.estep import answers
from mase.errors import DataError, ParamsError
from mase.model.heads import Head
from mase.params import HeadParams, Params, load_params
from mase.prediction import Predictor
from mase.training import assemble
from mase.units import Unit, train
from tests.planted import predict_logits

PLACES = ["shop", "park", "house at the lake", "long grey street behind the station"]
THINGS = ["bell", "dog", "lamp", "bus", "apple", "cat", "boat", "train"]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write questions whose right choice is the small thing; lengths vary, so that order matters."""
    folder = tmp_path_factory.mktemp("choices")
    generator = np.random.default_rng(0)
    for name, count in (("train.jsonl", 320), ("dev.jsonl", 60)):
        lines = []
        for row in range(count):
            right = int(generator.integers(3))
            things = generator.choice(THINGS, size=3, replace=False)
            choices = [f"the {'small' if i == right else 'huge'} {thing}" for i, thing in enumerate(things)]
            question = f"What is at the {PLACES[row % len(PLACES)]}?"
            lines.append(json.dumps({"question": question, "choices": choices, "right": "ABC"[right]}))
        (folder / name).write_text("\n".join(lines) + "\n")
    content = {
        "name": "small_things", "title": "Small things", "family": "multiple_choice", "options": 3,
        "labels": ["A", "B", "C"], "metrics": ["accuracy"], "main_metric": "accuracy",
        "files": {
            "train": "train.jsonl", "dev": "dev.jsonl",
            "columns": {"text_a": "question", "choices": "choices", "label": "right"},
        },
    }  # fmt: skip
    path = folder / "small_things.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def params_of(task: Path, *overrides: str, overlay: str = "methods/mase", **settings: object) -> Params:
    chosen = ("data.source=files", "data.max_train_rows=320", "data.max_eval_rows=60", *overrides)
    return load_params(str(task), profile="smoke", overlays=(overlay,), overrides=chosen, **settings)  # type: ignore[arg-type]


def test_a_head_gives_the_scores_of_a_questions_choices_together() -> None:
    head = Head(4, 1, HeadParams(dropout=0.0), options=3)
    single = Head(4, 1, HeadParams(dropout=0.0))
    single.load_state_dict(head.state_dict())
    features = torch.randn(6, 2, 4)  # two questions of three choices, two modalities
    for i, j in ((0, 0), (1, 1), (0, 1)):
        expected = [single(features[3 * i + k, j]).item() for k in range(3)]
        assert head(features)[i, j].tolist() == pytest.approx(expected)
    assert head(features[:, 0]).shape == (2, 3)
    assert torch.allclose(head.examples(features)[1], features[3:].mean(0))


def test_answers_do_not_depend_on_batches_and_have_a_row_per_question(task: Path) -> None:
    run = assemble(params_of(task))
    assert len({len(t) for t in run.data.evaluation.texts_a}) > 1
    torch.nn.init.normal_(run.model.head.output.weight)
    whole = predict_logits(run.model, run.evaluation, 64)
    assert whole.shape == (60, 3)
    for size in (1, 7):
        assert torch.allclose(predict_logits(run.model, run.evaluation, size), whole, atol=1e-4)
    found = answers(run.model, run.estimation, 5)  # type: ignore[arg-type]
    assert found.post.shape == (len(run.estimation), 4, 3)
    one = run.evaluation.batch(np.array([11]))
    assert torch.allclose(run.model(one).logits[0], whole[11], atol=1e-4)


def test_other_choices_of_a_question_are_no_negatives(task: Path) -> None:
    batch = assemble(params_of(task, "proxies.pair_mode=joined")).evaluation.batch(np.array([0, 1]))
    assert len(batch.keys) == 6
    assert all(set(batch.keys[0]) & set(batch.keys[k]) for k in (1, 2))
    assert not set(batch.keys[0]) & set(batch.keys[3])


@pytest.mark.parametrize("preset", ["sound", "em"])
def test_a_planted_answer_is_learnt_and_served(task: Path, preset: str) -> None:
    fast = (
        "training.max_steps=60",
        "training.epochs=10",
        "training.lr_backbone=2e-3",
        "allocation.iterations=3",
    )
    unit = Unit(params_of(task, *fast, preset=preset), "planted")
    result = train(unit, keep_model=True)
    assert result.metrics["accuracy"] > 0.8
    frame = pd.read_parquet(result.folder / "predictions.parquet")
    assert list(frame.columns) == [
        "id",
        "label",
        "prediction",
        "probability_0",
        "probability_1",
        "probability_2",
    ]
    choices = ["the huge bell", "the huge dog", "the small lamp"]
    (served,) = Predictor.load(result.folder).predict(["What is at the shop?"], choices)
    assert served.label == "C" and list(served.probabilities) == ["A", "B", "C"]
    with pytest.raises(DataError, match="a question needs 3 choices"):
        Predictor.load(result.folder).predict(["What is at the shop?"], choices[:2])


def test_a_probe_is_refused_before_anything_is_trained(task: Path) -> None:
    with pytest.raises(ParamsError, match="probe has no class to learn"):
        params_of(task, "allocation.head=probe")
