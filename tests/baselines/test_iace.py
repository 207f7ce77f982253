"""iACE: the fusion head's formula, epochs that alternate, a user's features, the faults not copied."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mase.baselines.iace import NAME, FusionHead, ImaginationModel, SentenceBatch
from mase.data import Rows
from mase.em.loop import Trainer
from mase.errors import DataError, ParamsError
from mase.identity import task_data
from mase.methods import build_model, trainable_parameters
from mase.model.backbone import load_tokenizer
from mase.model.preparation import align, build_inputs, extract_all, fit
from mase.params import IaceParams, Params, load_params
from mase.reading import predict_texts
from mase.training import Assembled, assemble
from mase.units import Unit
from tests.baselines.saving import saved_and_loaded
from tests.planted import predict_logits

FAST = ("training.lr_new=0.01", "training.lr_backbone=0.01", "allocation.iterations=2")


def iace_params(*overrides: str, task: str = "looks") -> Params:
    return load_params(task, profile="smoke", overlays=("methods/iace",), overrides=(*FAST, *overrides))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("iace")


def features_file(folder: Path, informative: bool, width: int = 8) -> Path:
    """Write image features of every sentence of `looks`; one number of them is the label, or none."""
    params, generator = iace_params("data.max_train_rows=120"), np.random.default_rng(0)
    data = task_data(params.task, params.data)
    texts: list[str] = []
    rows: list[np.ndarray] = []
    for part in (data.train, data.slice, data.evaluation):
        for text, label in zip(part.texts_a, part.labels, strict=True):
            vector = generator.normal(size=width)
            vector[0] += 6 * (label - 0.5) * informative
            texts.append(text)
            rows.append(vector)
    path = folder / f"features-{informative}-{width}.npz"
    np.savez(path, texts=np.array(texts), features=np.array(rows, np.float16))
    return path


def trainer_of(run: Assembled, params: Params, **settings) -> Trainer:
    return Trainer(params, run.model, run.train, run.estimation, digest="iace", **settings)


def test_the_fusion_head_is_the_formula():
    head = FusionHead(5, 2, IaceParams(hidden=4, tanh=True)).eval()
    image, text = torch.randn(3, 2), torch.randn(3, 3)
    joined = torch.cat([image.clamp_min(0), text.clamp_min(0)], 1)
    hidden = (joined @ head.fusion.weight.T + head.fusion.bias).clamp_min(0)
    dense = hidden @ head.dense.weight.T + head.dense.bias
    expected = torch.tanh(dense @ head.output.weight.T + head.output.bias)
    assert torch.allclose(head(image, text), expected, atol=1e-6)
    head.tanh = False
    assert torch.allclose(head(image, text).tanh(), expected, atol=1e-6)


def pair_run(*overrides: str, task: str = "mrpc") -> tuple[ImaginationModel, object, Params]:
    """Return a model of a pair task, and inputs of three pairs."""
    params = iace_params("data.source=files", "data.dir=unread", *overrides, task=task)
    regression = params.task.family == "regression"
    labels = np.array([0.5, 2, 5], np.float32) if regression else np.array([0, 1, 1])
    rows = Rows(("1", "2", "3"), ("a lamp", "a dog", "rain"), ("a cup", "a cat", "snow"), labels)
    tables = extract_all(params, [rows], None, model=ImaginationModel)
    tokenizer = load_tokenizer(params.backbone)
    aligned = align(params, tables, rows, tokenizer)
    fitted = fit(params, tables, rows, aligned)
    inputs = build_inputs(params, fitted, tables, rows, tokenizer, aligned, ImaginationModel)
    model = build_model(params, fitted).eval()
    assert isinstance(model, ImaginationModel)
    return model, inputs, params


@pytest.mark.parametrize("pair_mode", ["siamese", "joined"])
def test_a_pair_is_asked_twice_with_the_arguments_swapped_and_logits_are_averaged(pair_mode):
    model, inputs, _ = pair_run(f"proxies.pair_mode={pair_mode}")
    batch = inputs.batch(np.arange(3))
    part = batch.extras[NAME]
    assert isinstance(part, SentenceBatch) and part.image.shape[1] == 2
    part = SentenceBatch(torch.randn_like(part.image), part.text)  # images of their own
    output = model(type(batch)(**{**vars(batch), "extras": {NAME: part}}))
    first = model.fusion(part.image[:, 0], part.text[:, 0])
    second = model.fusion(part.text[:, 1], part.image[:, 1])
    assert output.visual[0].equal(first) and output.visual[1].equal(second)
    assert torch.allclose(output.logits, (output.language + (first + second) / 2) / 2, atol=1e-6)
    assert not part.text[:, 0].equal(part.text[:, 1])


def test_tanh_reaches_the_whole_range_of_a_score():
    model, inputs, params = pair_run(task="stsb")
    batch = inputs.batch(np.arange(3))
    with torch.no_grad():
        model.fusion.output.bias.fill_(50.0)
        assert all(v.max() == 5.0 for v in model(batch).visual)
        model.fusion.output.bias.fill_(-50.0)
        assert all(v.min() == 0.0 for v in model(batch).visual)
    labels = torch.tensor([0.5, 2.0, 5.0])
    assert model.task_loss(model(batch), labels).ndim == 0 and params.task.label_range == (0.0, 5.0)


def test_epochs_alternate_and_the_part_that_rests_has_no_gradient():
    params = iace_params("training.epochs=3")
    run = assemble(params)
    assert isinstance(run.model, ImaginationModel)
    seen: list[tuple[int, set[str], set[str]]] = []
    before = {n: p.detach().clone() for n, p in run.model.named_parameters()}

    def advance(_step: int, _total: int) -> None:
        nonlocal before
        now = dict(run.model.named_parameters())
        moved = {n.split(".")[0] for n, p in now.items() if not p.equal(before[n])}
        graded = {n.split(".")[0] for n, p in now.items() if p.grad is not None}
        seen.append((run.model.epoch, moved, graded))
        before = {n: p.detach().clone() for n, p in now.items()}

    trainer_of(run, params, advance=advance).run()
    assert {epoch for epoch, _, _ in seen} == {0, 1, 2}
    for epoch, moved, graded in seen:
        assert moved == graded == ({"backbone", "head"} if epoch % 2 else {"fusion"}), epoch
    assert set(trainable_parameters(run.model)) == {"total", "backbone", "head", "fusion"}


def test_both_parts_can_train_in_every_step():
    run = assemble(iace_params("iace.alternate=never"))
    run.model.train()
    run.model.task_loss(run.model(run.train.batch(np.arange(4))), run.train.labels[:4]).backward()
    assert all(p.grad is not None for p in run.model.parameters())


class Stop(Exception):
    pass


def test_a_run_stopped_inside_either_epoch_resumes_bit_for_bit(tmp_path):
    params = iace_params("training.epochs=2", "allocation.iterations=4")

    def logits(stop_at: int | None, folder: Path | None) -> torch.Tensor:
        def advance(step: int, _total: int) -> None:
            if step == stop_at:
                raise Stop

        run = assemble(params)
        trainer_of(run, params, advance=advance, state=folder).run()
        return predict_logits(run.model, run.evaluation, 16)

    whole = logits(None, None)
    for stop_at in (2, 5):
        folder = tmp_path / str(stop_at)
        with pytest.raises(Stop):
            logits(stop_at, folder)
        assert logits(None, folder).equal(whole)


def accuracy(params: Params) -> float:
    run = assemble(params)
    trainer_of(run, params).run()
    logits = predict_logits(run.model, run.evaluation, 16)
    return float((logits.argmax(1).numpy() == run.data.evaluation.labels).mean())


def test_a_signal_in_the_images_is_learned_and_noise_is_not(home):
    quiet = (
        "training.epochs=8",
        "training.lr_backbone=1e-5",
        "training.lr_new=0.002",
        "data.max_train_rows=120",
    )
    planted = iace_params(f"iace.features={features_file(home, True)}", *quiet)
    assert accuracy(planted) > 0.85
    assert (
        accuracy(iace_params("proxies.shuffle=true", f"iace.features={features_file(home, True)}", *quiet))
        < 0.7
    )
    assert accuracy(iace_params(f"iace.features={features_file(home, False)}", *quiet)) < 0.7


def test_predictions_do_not_depend_on_batches():
    run = assemble(iace_params())
    whole = predict_logits(run.model, run.evaluation, 48)
    assert torch.allclose(predict_logits(run.model, run.evaluation, 5), whole, atol=1e-5)
    order = np.random.default_rng(0).permutation(48)
    run.model.eval()
    assert torch.allclose(run.model(run.evaluation.batch(order)).logits, whole[order], atol=1e-5)


def test_a_saved_model_has_its_fusion_head_and_predicts_the_same(tmp_path, home):
    params = iace_params(f"iace.features={features_file(home, True)}", "training.epochs=2")
    run = assemble(params)
    trainer_of(run, params).run()
    loaded, read = saved_and_loaded(run, params, tmp_path / "model", texts=6, tolerance=1e-2)
    with pytest.raises(DataError, match="no features of 1 sentences, the first of them 'a new one'"):
        predict_texts(loaded, read, ["a new one"])


def test_without_a_file_the_tower_s_proxies_stand_in_for_the_images():
    run = assemble(iace_params())
    part = run.train.batch(np.arange(4)).extras[NAME]
    assert isinstance(part, SentenceBatch) and part.image.equal(part.text)


@pytest.mark.parametrize(
    ("arrays", "wanted"),
    [
        ({"texts": ["a"]}, "expected an npz file with texts"),
        ({"texts": ["a", "b"], "features": np.zeros((1, 2))}, r"texts \(2,\) and features \(1, 2\)"),
        ({"texts": ["a"], "features": np.full((1, 2), np.nan)}, "not finite"),
        ({"texts": ["a"], "features": np.zeros((1, 2))}, "no features of"),
    ],
)
def test_a_broken_feature_file_is_an_error(tmp_path, arrays, wanted):
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(DataError, match=wanted):
        assemble(iace_params(f"iace.features={tmp_path / 'f.npz'}"))


def test_the_feature_file_counts_by_its_bytes(tmp_path):
    path = tmp_path / "f.npz"
    with pytest.raises(DataError, match="is not there"):
        Unit(iace_params(f"iace.features={path}"), "").digest  # noqa: B018 - it is computed
    np.savez(path, texts=["a"], features=np.zeros((1, 2)))
    before = Unit(iace_params(f"iace.features={path}"), "").digest
    np.savez(path, texts=["a"], features=np.ones((1, 3)))
    assert Unit(iace_params(f"iace.features={path}"), "").digest != before
    plain = load_params("looks", profile="smoke", overlays=("methods/mpb_image",))
    other = plain.model_copy(update={"iace": IaceParams(tanh=False)})
    assert Unit(other, "").digest == Unit(plain, "").digest


def test_iace_takes_text_and_image():
    with pytest.raises(ParamsError, match="modalities text and image"):
        iace_params("modalities=[text, audio]")
