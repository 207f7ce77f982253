"""Cloze: hidden words are learned, labels are ranked at blanks; and the supervised twin on vectors."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from mase.data import Rows
from mase.em.estep import answers
from mase.errors import ParamsError
from mase.evaluation.metrics import score
from mase.families import Answered, family_of
from mase.families.cloze import IGNORED
from mase.model import hidden_words
from mase.params import Params, load_params
from mase.prediction import Predictor
from mase.training import assemble
from mase.units import Unit, train
from tests.tiny_backbones import save_checkpoint

COLOURS = {"bus": "red", "dog": "wet", "lake": "quiet", "boat": "two"}  # of the tiny vocabulary
LEARN = (
    "training.epochs=6",
    "training.batch_size=8",
    "training.lr_new=0.003",
    "training.lr_backbone=0.003",
    "graph=null",
)


def write(folder: Path, content: dict[str, object]) -> Path:
    path = folder / f"{content['name']}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write texts that name an object and its colour, and a probe that asks for the colour."""
    folder = tmp_path_factory.mktemp("cloze")
    things = list(COLOURS)
    texts = [
        # pictures of their own: equal texts without a picture are never parted by a split
        json.dumps({"text": f"{things[i % len(things)]} {COLOURS[things[i % len(things)]]}", "image_id": i})
        for i in range(400)
    ]
    (folder / "texts.jsonl").write_text("\n".join(texts))
    long = "a {} bus near two wet dogs waits for {} men who fish from a red boat on the {} lake"
    lines = [json.dumps({"text": long.format(i, i + 1, i + 2)}) for i in range(80)]
    (folder / "long.jsonl").write_text("\n".join(lines))
    probe = [json.dumps({"thing": thing, "colour": colour}) for thing, colour in COLOURS.items()]
    (folder / "probe.jsonl").write_text("\n".join(probe))
    files = {
        "train": "texts.jsonl", "columns": {"text_a": "text", "label": "text"},
        "dev": "probe.jsonl", "dev_columns": {"text_a": "thing", "label": "colour"},
    }  # fmt: skip
    return write(
        folder,
        {
            "name": "things",
            "title": "Things",
            "family": "cloze",
            "labels": sorted(COLOURS.values()),
            "templates": ["[object] [blank]", "is [object] [blank]?"],
            "metrics": ["accuracy", "template_sd", "best_template", "majority", "chance"],
            "main_metric": "accuracy",
            "files": files,
        },
    )


def params_of(task: Path, *overrides: str, overlay: str = "methods/mase", **settings: object) -> Params:
    chosen = ("data.source=files", "data.max_train_rows=320", *overrides)
    return load_params(str(task), profile="smoke", overlays=(overlay,), overrides=chosen, **settings)  # type: ignore[arg-type]


def test_a_planted_word_is_learned_and_asked_zero_shot(task: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backbone"
    save_checkpoint("bert", folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    small = ("backbone.source=path", f"backbone.ref={folder}", "backbone.max_length=24")
    params = params_of(task, *LEARN, *small, overlay="methods/text")
    kept = train(Unit(params, "planted"), keep_model=True)
    frame = pd.read_parquet(kept.folder / "predictions.parquet")
    assert (frame.template_1 == frame.label).all() and kept.metrics["best_template"] == 1.0
    assert kept.metrics["majority"] == kept.metrics["chance"] == 0.25
    assert score(params.task, frame) == kept.metrics
    said = Predictor.load(kept.folder).predict(list(COLOURS))  # what is served is what was evaluated
    assert [one.label for one in said] == [params.task.labels[k] for k in frame.prediction]
    assert set(said[0].probabilities) == set(COLOURS.values())


def test_an_untrained_model_does_not_know_the_word(task: Path) -> None:
    params = params_of(task, "training.max_steps=1", "graph=null", overlay="methods/text")
    assert train(Unit(params, "untrained")).metrics["best_template"] < 1.0


def test_what_the_e_step_judges_is_what_the_loss_is_of(task: Path) -> None:
    long = ("task.files.train=long.jsonl", "data.max_train_rows=60", "contrastive.alpha=0")
    run = assemble(params_of(task, *long))
    found = answers(run.model, run.estimation, 7)  # type: ignore[arg-type]
    labels = run.estimation.labels
    kept = labels != IGNORED
    assert kept.sum(1).min() >= 3  # of 20 words
    assert found.logits.shape == labels.shape and found.post.shape == (len(labels), 4, labels.shape[1])
    assert (found.logits[~kept] == 0).all() and (found.logits[kept] < 0).all()
    batch = run.estimation.batch(np.arange(len(labels)))
    loss = run.model.eval().task_loss(run.model(batch), labels)
    assert loss.item() == pytest.approx(-float(found.logits[kept].mean()), abs=1e-5)
    family = family_of(run.model.task)
    whole = family.log_likelihood(found.logits, labels, None)
    assert torch.allclose(whole, found.logits.double().sum(1))


def test_all_methods_share_the_rows_and_a_tower_has_no_vocabulary(task: Path) -> None:
    quick = ("training.max_steps=2", "allocation.iterations=2", "data.max_train_rows=60")
    for overlay in ("methods/mase", "methods/mpb", "methods/text"):
        found = train(Unit(params_of(task, *quick, overlay=overlay), overlay))
        assert found.counts["evaluation"] == 4
    with pytest.raises(ParamsError, match="method mc_ptm cannot do things, a cloze task"):
        train(Unit(params_of(task, *quick, overlay="methods/mc_ptm_image"), "none"))
    for refused in ("data.evaluate_on=internal_test", "data.folds=3", "head.hidden=8"):
        with pytest.raises(ParamsError, match=r"folds to null|language model's own"):
            train(Unit(params_of(task, *quick, refused), refused))


def test_templates_name_the_unit(task: Path) -> None:
    names = {
        Unit(params_of(task, *o), "x").digest for o in ((), ("task.templates=['see [object] [blank]']",))
    }
    assert len(names) == 2


def test_no_proxy_is_made_of_a_hidden_word(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mase.model import preparation

    read: list[str] = []
    extract = preparation.extract_proxies

    def spied(tower, texts, **settings):
        texts = list(texts)
        read.extend(texts)
        return extract(tower, texts, **settings)

    monkeypatch.setattr(preparation, "extract_proxies", spied)
    run = assemble(params_of(task, "data.max_train_rows=60", "modalities=[text, image]"))
    hidden = run.train.inputs.rows
    assert hidden.references is not None and read
    for text, words in zip(hidden.texts_a, hidden.references, strict=True):
        left = hidden_words.without_blanks(text)
        assert left in read and not set(words) & set(left.split())
    # Each text is a thing and its colour, one of them hidden: no text that a tower reads holds both.
    found = [set(text.split()) for text in read]
    assert not [words for words in found if words & set(COLOURS) and words & set(COLOURS.values())]


def scores(*rows: list[float]) -> np.ndarray:
    return np.array(rows)


def test_the_frame_by_hand(task: Path) -> None:
    params = params_of(task)
    rows = Rows(("a", "b"), ("x", "y"), None, np.array([3, 0]), references=(("wet",), ("quiet",)))
    nan = np.nan
    told = scores(  # two objects, two templates, one and two blanks; "wet" has two tokens
        [-1, -2, -3, nan], [nan, nan, nan, -0.5],
        [-1, -2, -3, nan], [nan, nan, nan, -2.5],
        [-1, -2, -3, nan], [nan, nan, nan, -4.0],
        [-3, -2, -1, nan], [nan, nan, nan, -4.0],
    )  # fmt: skip
    frame = family_of(params.task).frame(params.task, Answered(rows, rows, {"scores": told}))
    assert frame.prediction.tolist() == [0, 0] and frame.label.tolist() == [3, 0]
    assert frame.template_1.tolist() == [3, 0] and frame.template_2.tolist() == [0, 2]
    assert frame.correct.tolist() == [0.5, 0.5] and frame.hits.tolist() == [1, 1]
    assert frame.ensemble.tolist() == [0.0, 1.0]  # of equal averages the first label counts
    told[0] = np.nan
    with pytest.raises(ParamsError, match="max_length"):
        family_of(params.task).frame(params.task, Answered(rows, rows, {"scores": told}))


def test_information_is_over_the_training_words_frequency(task: Path) -> None:
    family = family_of(params_of(task).task)
    trained = torch.tensor([[5, 5, IGNORED], [5, 7, IGNORED], [5, IGNORED, IGNORED]])
    prior = family.prior(params_of(task).task, trained)
    assert prior is not None and len(prior) == 9
    assert prior[5] == pytest.approx(5 / 14) and prior[7] == pytest.approx(2 / 14) and prior[8] == 1 / 14
    labels = torch.tensor([[5, IGNORED], [7, 99], [IGNORED, IGNORED]])
    told = torch.log(torch.tensor([[0.5, 1.0], [0.2, 0.1], [1.0, 1.0]]))
    expected = np.mean(np.log([0.5, 0.2, 0.1]) - np.log([5 / 14, 2 / 14, 1 / 14]))
    found = family.information(told, labels, calibrate=False, prior=prior)
    assert found.raw == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Write objects of unheard names whose colour only a table of vectors tells; return task and table."""
    folder = tmp_path_factory.mktemp("objects")
    generator = np.random.default_rng(0)
    names = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("n", "p", "rt")][:100]
    warm = generator.integers(0, 2, len(names))
    lines = [f"{name},{('cool', 'warm')[k]}" for name, k in zip(names, warm, strict=True)]
    (folder / "objects.csv").write_text("\n".join(["object,colour", *lines]))
    vectors = generator.normal(size=(len(names), 12)).astype(np.float16)
    vectors[:, 3] += (4 * warm - 2).astype(np.float16)
    (folder / "table").mkdir()
    np.save(folder / "table" / "seen.npy", vectors)
    (folder / "table" / "seen.names.txt").write_text("\n".join(names))
    content = {
        "name": "warmth_supervised", "title": "Warmth", "family": "classification",
        "labels": ["cool", "warm"],
        "templates": ["look at the [object]"], "metrics": ["accuracy"], "main_metric": "accuracy",
        "files": {"train": "objects.csv", "columns": {"text_a": "object", "label": "colour"}},
    }  # fmt: skip
    return write(folder, content), folder / "table"


@pytest.mark.parametrize(
    ("overlay", "more", "low", "high"),
    [
        ("methods/mc_ptm_image", (), 0.85, 1.0),
        ("methods/mase", (), 0.85, 1.0),
        ("methods/mase", ("proxies.shuffle=true",), 0.1, 0.8),
        ("methods/text", (), 0.1, 0.8),
    ],
)
def test_a_colour_that_only_vectors_tell_is_learned_from_them(
    overlay: str, more: tuple[str, ...], low: float, high: float, coloured: tuple[Path, Path]
) -> None:
    task, table = coloured
    tower = ("towers.image=clip-vectors", f"towers.image.ref={table}", "towers.image.output_width=12")
    only = ("modalities=[text, image]",) if overlay == "methods/mase" else ()
    fast = ("training.epochs=20", "training.lr_new=0.02", "graph=null", "data.folds=4", "data.slice_min=10")
    params = params_of(task, *tower, *only, *fast, *more, overlay=overlay)
    assert low <= train(Unit(params, "coloured")).metrics["accuracy"] <= high
