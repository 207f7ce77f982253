"""The region stream: attention over regions, a planted signal that only they carry, every method."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mase.data.regions import region_paths
from mase.em.allocation import normalised_information
from mase.em.estep import answers, estimate
from mase.errors import DataError
from mase.families import family_of
from mase.methods import trainable_parameters
from mase.model.inference import predict
from mase.model.region_attention import RegionAttention, RegionBatch
from mase.model.vqa import VqaModel, VqaOutput
from mase.params import Params, load_params
from mase.prediction import Predictor
from mase.pretrained import load_pretrained
from mase.training import assemble
from mase.units import Unit, train

COLOURS = ("red", "blue", "green")
WIDTH = 8
THINGS = "cup hat kite bike ball dress".split()


def regions_of(batch: int, most: int, seed: int = 0) -> RegionBatch:
    generator = torch.Generator().manual_seed(seed)
    features, boxes = (torch.randn(batch, most, n, generator=generator) for n in (WIDTH, 4))
    mask = torch.ones(batch, most, dtype=torch.bool)
    mask[0, most // 2 :] = False
    return RegionBatch(features, boxes, mask)


def test_the_order_of_regions_and_what_is_padded_do_not_count() -> None:
    torch.manual_seed(0)
    look, question, regions = RegionAttention(5, WIDTH, 6), torch.randn(3, 5), regions_of(3, 6)
    expected = look(question, regions)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    permuted = RegionBatch(regions.features[:, order], regions.boxes[:, order], regions.mask[:, order])
    torch.testing.assert_close(look(question, permuted), expected)
    noise = torch.where(regions.mask[..., None], regions.features, 77.0)
    torch.testing.assert_close(look(question, RegionBatch(noise, regions.boxes, regions.mask)), expected)
    changed = regions.features.clone()
    changed[1, 2, 0] += 1.0
    assert not torch.allclose(
        look(question, RegionBatch(changed, regions.boxes, regions.mask))[1], expected[1]
    )


def test_the_question_decides_which_region_is_seen() -> None:
    """By hand: with one region the softmax is 1 and the answer is f_q(q) * f_v(v)."""
    torch.manual_seed(0)
    look, question = RegionAttention(5, WIDTH, 6), torch.randn(2, 5)
    features, boxes = torch.randn(2, 1, WIDTH), torch.rand(2, 1, 4)
    one = RegionBatch(features, boxes, torch.ones(2, 1, dtype=torch.bool))
    seen = torch.cat([torch.nn.functional.layer_norm(features[:, 0], (WIDTH,)), boxes[:, 0]], dim=1)
    by_hand = torch.tanh(look.question.value(question)) * torch.sigmoid(look.question.gate(question))
    by_hand = by_hand * torch.tanh(look.image.value(seen)) * torch.sigmoid(look.image.gate(seen))
    torch.testing.assert_close(look(question, one), by_hand)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write questions whose answer only a region of the picture tells: one region has the thing's colour."""
    root = tmp_path_factory.mktemp("vqa")
    (root / "vqa_v2").mkdir()
    generator = np.random.default_rng(0)
    features, counts, images = [], [], []
    for split, count in (("train", 420), ("val", 120)):
        asked, told = [], []
        for _ in range(count):
            image, colour = len(images) + 1, int(generator.integers(len(COLOURS)))
            number = image * 1000
            regions = generator.normal(0.0, 0.3, (int(generator.integers(2, 5)), WIDTH))
            regions[generator.integers(len(regions)), colour] += 3.0
            features.append(regions)
            counts.append(len(regions))
            images.append(image)
            thing = THINGS[int(generator.integers(len(THINGS)))]
            text = f"What colour is the {thing}{' over there' * int(generator.integers(3))}?"
            asked.append({"question_id": number, "image_id": image, "question": text})
            listed = [{"answer": COLOURS[colour]}] * 9 + [{"answer": "unsure"}]
            told.append({"question_id": number, "image_id": image, "answer_type": "other", "answers": listed})
        base = root / "vqa_v2"
        (base / f"v2_OpenEnded_mscoco_{split}2014_questions.json").write_text(
            json.dumps({"questions": asked})
        )
        (base / f"v2_mscoco_{split}2014_annotations.json").write_text(json.dumps({"annotations": told}))
    np.savez(
        root / "vqa_v2" / "regions.npz",
        image_ids=np.array(images),
        features=np.concatenate(features).astype(np.float32),
        counts=np.array(counts),
    )
    return root


def params_of(folder: Path, *overrides: str, task: str = "vqa_v2_regions", method: str = "mase") -> Params:
    chosen = ("data.source=files", f"data.dir={folder}", "data.max_train_rows=300", "data.max_eval_rows=120")
    if task == "vqa_v2_regions":
        chosen += ("data.regions=[regions.npz]", f"task.vqa.region_width={WIDTH}")
    return load_params(
        task, profile="smoke", overlays=(f"methods/{method}",), overrides=(*chosen, *overrides)
    )


FAST = ("training.lr_new=0.01", "training.epochs=3")


def test_a_signal_that_only_regions_carry_is_learnt_with_them_and_not_without(folder: Path) -> None:
    seen = train(Unit(params_of(folder, *FAST, method="text"), "regions"), keep_model=True)
    blind = train(Unit(params_of(folder, *FAST, method="text", task="vqa_v2"), "question only"))
    assert seen.metrics["vqa_accuracy"] > 0.9
    assert blind.metrics["vqa_accuracy"] < 0.55
    assert seen.metrics["other"] == seen.metrics["vqa_accuracy"]
    frame = pd.read_parquet(seen.folder / "predictions.parquet")
    written = json.loads((seen.folder / "vqa_results.json").read_text())
    assert [(each["question_id"], each["answer"]) for each in written] == [
        (int(name), answer) for name, answer in zip(frame["id"], frame["prediction"], strict=True)
    ]
    with pytest.raises(
        DataError, match="was trained with region features, which a question alone does not have"
    ):
        Predictor.load(seen.folder).predict(["What colour is the cup?"])


@pytest.mark.parametrize("method", ["mase", "mpb", "mc_ptm_image", "mc_ptm_image_tuned", "text"])
def test_every_method_reads_regions_and_training_moves_what_reads_them(folder: Path, method: str) -> None:
    params = params_of(folder, "training.max_steps=2", "data.max_train_rows=60", method=method)
    run = assemble(params)
    batch = run.train.batch(np.arange(4))
    run.model.train()
    run.model.task_loss(run.model(batch), run.train.labels_of(np.arange(4))).backward()
    look = run.model.look
    assert isinstance(look, RegionAttention)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in look.parameters())
    assert trainable_parameters(run.model)["look"] > 0
    assert not batch.extras["regions"].features.requires_grad  # type: ignore[attr-defined]


def test_batches_and_their_order_change_no_answer(folder: Path) -> None:
    run = assemble(params_of(folder, "data.max_train_rows=60"))
    one, other = (predict(run.model, run.evaluation, size) for size in (1, 50))
    np.testing.assert_allclose(one["confidence"], other["confidence"], atol=1e-6)
    assert np.array_equal(one["answer"], other["answer"])
    held = [answers(run.model, run.estimation, size) for size in (3, 20)]  # type: ignore[arg-type]
    torch.testing.assert_close(held[0].post, held[1].post, atol=1e-5, rtol=1e-5)
    assert held[0].post.shape == (len(run.estimation), 4, len(run.fitted.labels), 2)


def test_each_modality_alone_looks_at_the_regions(folder: Path) -> None:
    run = assemble(params_of(folder, "data.max_train_rows=60", "fusion.proxy_gate=none"))
    run.model.eval()
    indices = np.arange(6)
    with torch.no_grad():
        output = run.model(run.estimation.batch(indices))
        _, _, post = run.model.answers(output, run.estimation.labels_of(indices))  # type: ignore[attr-defined]
        for place in range(4):
            run.model.allocation.copy_(torch.eye(4)[place])
            torch.testing.assert_close(run.model(run.estimation.batch(indices)).logits, post[:, place, :, 0])


def planted_questions(count: int, width: int) -> tuple[torch.Tensor, RegionBatch, torch.Tensor]:
    """Return h, regions and answers: regions tell one of three, the text which of two, the others nothing."""
    colour, side = torch.randint(3, (count,)), torch.randint(2, (count,))
    features = torch.randn(count, 1, WIDTH) * 0.3 + 3.0 * torch.eye(WIDTH)[colour][:, None]
    h = torch.randn(count, 4, width) + 1.0
    h[:, 0, 0] += 6.0 * side - 3.0
    mask = torch.ones(count, 1, dtype=torch.bool)
    return h, RegionBatch(features, torch.zeros(count, 1, 4), mask), 2 * colour + side


def test_what_only_regions_tell_is_no_reason_to_weigh_a_modality(folder: Path) -> None:
    torch.manual_seed(0)
    model = assemble(params_of(folder, "data.max_train_rows=60", "fusion.proxy_gate=none")).model
    assert isinstance(model, VqaModel) and isinstance(model.look, RegionAttention)
    width = model.questions.value.shape[2]
    model.head = torch.nn.Linear(width, 6)
    optimiser = torch.optim.Adam([*model.look.parameters(), *model.head.parameters()], 0.01)

    def output_of(count: int) -> tuple[VqaOutput, torch.Tensor]:
        h, regions, answer = planted_questions(count, width)
        logits = model.head(model.look(model.sum(h, model.allocation), regions))  # type: ignore[union-attr]
        return VqaOutput(logits, h, h, h, regions=regions), answer[:, None].expand(-1, 10)

    for _ in range(250):
        output, labels = output_of(64)
        optimiser.zero_grad()
        family_of(model.task).loss(output.logits, labels, None).backward()
        optimiser.step()
        model.questions.update(torch.stack([output.pre, output.post]).mean(1))
    with torch.no_grad():
        output, labels = output_of(400)
        _, _, post = model.answers(output, labels)
    prior = family_of(model.task).prior(model.task, labels)
    old = information(model, post[..., 0], labels, prior)
    new = information(model, post, labels, prior)
    assert min(old) > 0.3 and normalised_information(torch.tensor(old))[0] < 0.6, (old, new)
    assert new[0] > 0.4 and max(new[1:]) < 0.03, new
    assert normalised_information(torch.tensor(new))[0] > 0.9


def information(model: VqaModel, logits: torch.Tensor, labels: torch.Tensor, prior: Any) -> list[float]:
    return [i.value for i in estimate(model.params, logits, labels, prior).values()]


def test_the_mean_question_moves_in_training_alone_and_reads_no_label(folder: Path) -> None:
    run = assemble(params_of(folder, "data.max_train_rows=60"))
    model, batch = run.model, run.train.batch(np.arange(8))
    assert isinstance(model, VqaModel)
    model.eval()(batch)
    assert not model.questions.value.any()
    output = model.train()(batch)
    expected = torch.stack([output.pre.mean(0), output.post.mean(0)])
    torch.testing.assert_close(model.questions.value, expected.detach())
    other = model(run.train.batch(np.arange(8, 16)))
    expected = (expected + torch.stack([other.pre.mean(0), other.post.mean(0)])) / 2
    torch.testing.assert_close(model.questions.value, expected.detach())
    assert {"questions.value", "questions.batches"} <= set(model.state_dict())


def test_a_head_starts_at_the_training_answers_log_odds(folder: Path) -> None:
    run = assemble(params_of(folder, "data.max_train_rows=60", task="vqa_v2"))
    shares = torch.tensor(run.fitted.label_shares)
    assert shares.sum() > 0.9 and run.fitted.labels[0] in COLOURS
    torch.testing.assert_close(run.model.head.output.bias.sigmoid(), shares)  # type: ignore[attr-defined]


def test_a_kept_model_answers_as_before(folder: Path) -> None:
    params = params_of(folder, "training.max_steps=3", "data.max_train_rows=60")
    result = train(Unit(params, "kept"), keep_model=True)
    frame = pd.read_parquet(result.folder / "predictions.parquet")
    kept, loaded = load_pretrained(result.folder / "model")
    assert set(kept.fitted.labels) == set(COLOURS)
    run = assemble(loaded)
    found = predict(kept.model, run.evaluation, 64)
    assert [kept.fitted.labels[i] for i in found["answer"]] == frame["prediction"].tolist()
    np.testing.assert_allclose(found["confidence"], frame["confidence"], atol=1e-6)


def test_a_question_only_model_answers_new_questions(folder: Path) -> None:
    params = params_of(folder, "training.max_steps=2", "data.max_train_rows=60", task="vqa_v2", method="text")
    result = train(Unit(params, "kept"), keep_model=True)
    found = Predictor.load(result.folder).predict(["What colour is the cup?", "Which colour?"])
    assert all(one.label in COLOURS and not one.probabilities for one in found)


def test_an_image_without_features_ends_the_run_before_it_starts(folder: Path) -> None:
    few = folder / "vqa_v2" / "few.npz"
    np.savez(few, image_ids=np.array([1]), features=np.zeros((1, 2, WIDTH), np.float32))
    with pytest.raises(DataError, match=r"few\.npz: no region features of \d+ of \d+ images"):
        assemble(params_of(folder, "data.regions=[few.npz]"))
    with pytest.raises(DataError, match=r"gone\.npz not found"):
        assemble(params_of(folder, "data.regions=[gone.npz]"))


def test_a_unit_is_another_one_with_other_features_and_the_same_under_another_name(folder: Path) -> None:
    original = Unit(params_of(folder), "a").digest
    content = (folder / "vqa_v2" / "regions.npz").read_bytes()
    (folder / "vqa_v2" / "copy.npz").write_bytes(content)
    assert Unit(params_of(folder, "data.regions=[copy.npz]"), "b").digest == original
    (folder / "vqa_v2" / "other.npz").write_bytes(content[:-1] + b"x")
    assert Unit(params_of(folder, "data.regions=[other.npz]"), "c").digest != original
    assert Unit(params_of(folder, "task.vqa.answers_at_least=4"), "d").digest != original


def test_the_matched_head_does_not_count_the_region_stream_twice(folder: Path) -> None:
    matched = ("head.match_parameters_of=mase", "modalities=[text]", "data.max_train_rows=60")
    full, alone = (assemble(params_of(folder, *o)).model for o in (("data.max_train_rows=60",), matched))
    sizes = [trainable_parameters(model)["total"] for model in (full, alone)]
    assert abs(sizes[0] - sizes[1]) < 64  # less than two hidden units; the region stream has thousands
    assert trainable_parameters(alone)["look"] == trainable_parameters(full)["look"] > 1000


def test_named_files_do_not_turn_a_question_only_task_into_another(folder: Path) -> None:
    plain = params_of(folder, task="vqa_v2")
    named = params_of(folder, "data.regions=[regions.npz]", "task.vqa.region_width=8", task="vqa_v2")
    assert Unit(named, "named").digest == Unit(plain, "plain").digest
    assert not assemble(named).train.inputs.extras


def test_named_files_that_a_task_does_not_read_are_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    params = params_of(folder, "data.regions=[regions.npz]", task="vqa_v2")
    task = params.task.model_copy(update={"name": "questions"})
    assert region_paths(task, params.data) == region_paths(task, params.data) == []
    said = [record.getMessage() for record in caplog.records]
    assert [
        text for text in said if "questions: data.regions is read by tasks with task.vqa.regions" in text
    ] == said
    assert len(said) == 1
