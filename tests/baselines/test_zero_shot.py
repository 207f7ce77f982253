"""The zero-shot ensemble: what pictures know is told, the weight decides, nothing trains."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mase.data.probes import filled
from mase.errors import DataError, ParamsError
from mase.model.inference import predict
from mase.params import Params, load_params
from mase.pretrained import load_pretrained
from mase.proxies import build_tower
from mase.training import assemble
from mase.units import Unit, UnitResult, train

COLOURS = {
    "lemon": "yellow",
    "coal": "black",
    "cherry": "red",
    "grass": "green",
    "milk": "white",
    "sky": "blue",
}
TEMPLATES = ("the color of [object] is [blank] .", "most [object] would look [blank] .")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zero")
    captions = [json.dumps({"text": f"a picture of thing {i} on a table"}) for i in range(90)]
    (folder / "texts.jsonl").write_text("\n".join(captions))
    probe = [json.dumps({"thing": thing, "colour": colour}) for thing, colour in COLOURS.items()]
    (folder / "probe.jsonl").write_text("\n".join(probe))
    content = {
        "name": "colours", "title": "Colours", "family": "cloze", "labels": list(COLOURS.values()),
        "templates": list(TEMPLATES), "metrics": ["accuracy", "ensemble"], "main_metric": "accuracy",
        "files": {
            "train": "texts.jsonl", "columns": {"text_a": "text", "label": "text"},
            "dev": "probe.jsonl", "dev_columns": {"text_a": "thing", "label": "colour"},
        },
    }  # fmt: skip
    path = folder / "colours.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def params_of(task: Path, *overrides: str) -> Params:
    chosen = ("data.source=files", *overrides)
    return load_params(str(task), profile="smoke", overlays=("methods/zero_shot",), overrides=chosen)


@pytest.fixture(scope="module")
def pictures(task: Path) -> Path:
    """Write as "pictures" of a colour what the tower says of the sentences about the thing that has it."""
    tower = build_tower(params_of(task).towers["image"])
    texts, features = [], []
    for thing, colour in COLOURS.items():
        vectors = tower.encode([filled(template, thing, "      ") for template in TEMPLATES])
        texts += [colour] * len(vectors)
        features += list(7.0 * vectors)
    path = task.with_name("pictures.npz")
    np.savez(path, texts=np.array(texts), features=np.array(features))
    return path


def scored(params: Params) -> tuple[UnitResult, pd.DataFrame]:
    result = train(Unit(params, "zero shot"))
    return result, pd.read_parquet(result.folder / "predictions.parquet")


def test_pictures_that_know_decide_and_shuffled_ones_do_not(task: Path, pictures: Path) -> None:
    told, _ = scored(params_of(task, f"zero_shot.images={pictures}", "zero_shot.weight=0"))
    assert told.metrics["accuracy"] == 1.0
    assert told.counts["steps"] == 0 and told.counts["parameters"] == 0
    chance, _ = scored(
        params_of(task, f"zero_shot.images={pictures}", "zero_shot.weight=0", "proxies.shuffle=true")
    )
    assert chance.metrics["accuracy"] < 0.5


def test_shares_are_the_weighed_sum_of_both_softmaxes(task: Path, pictures: Path) -> None:
    """By hand, from the two halves alone: averaged over templates in logarithms, as every probe is."""
    images = f"zero_shot.images={pictures}"
    run = assemble(params_of(task, images, "zero_shot.weight=0.25", "zero_shot.scale=3"))
    found = predict(run.model, run.evaluation, 4)
    shares = found["scores"].astype(np.float64).reshape(len(COLOURS), len(TEMPLATES), -1, len(COLOURS))
    language = np.exp(np.nanmax(shares, axis=2))
    language /= language.sum(-1, keepdims=True)
    beside = found["beside"].reshape(len(COLOURS), len(TEMPLATES), -1, len(COLOURS))[:, :, 0]
    np.testing.assert_allclose(beside.sum(-1), 0.75)
    expected = np.log(0.25 * language + beside).mean(1)
    expected = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    _, frame = scored(params_of(task, images, "zero_shot.weight=0.25", "zero_shot.scale=3"))
    probabilities = frame[[f"probability_{k}" for k in range(len(COLOURS))]].to_numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_with_all_weight_on_the_language_model_pictures_do_not_count(task: Path, pictures: Path) -> None:
    frames = [
        scored(params_of(task, "zero_shot.weight=1", *more))[1]
        for more in ((), (f"zero_shot.images={pictures}",))
    ]
    pd.testing.assert_frame_equal(*frames)


def test_batches_change_no_answer_and_a_kept_model_answers_as_before(task: Path) -> None:
    params = params_of(task)
    result = train(Unit(params, "kept"), keep_model=True)
    kept, loaded = load_pretrained(result.folder / "model")
    run = assemble(loaded)
    one, other, again = (
        predict(model, run.evaluation, size)
        for model, size in ((run.model, 1), (run.model, 50), (kept.model, 50))
    )
    for name in ("scores", "beside"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-5)
        np.testing.assert_allclose(again[name], other[name], atol=1e-6)


def test_what_cannot_be_scored_is_refused_in_words(task: Path, pictures: Path) -> None:
    with pytest.raises(ParamsError, match="has no head for hidden words"):
        chosen = {"overlays": ("methods/zero_shot",), "overrides": ("data.source=files",)}
        assemble(load_params(str(task), profile="smoke", backbone="minilm", **chosen))
    few = task.with_name("few.npz")
    with np.load(pictures) as content:
        np.savez(few, texts=content["texts"][2:], features=content["features"][2:])
    with pytest.raises(DataError, match="no picture of yellow"):
        assemble(params_of(task, f"zero_shot.images={few}"))
    with pytest.raises(ParamsError, match="method zero_shot cannot do looks"):
        train(Unit(load_params("looks", profile="smoke", overlays=("methods/zero_shot",)), "x"))
