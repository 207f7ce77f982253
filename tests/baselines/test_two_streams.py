"""ViLBERT and ConceptBert: signals in regions or ConceptNet's vectors, MASE nested, the released layout."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from mase.baselines.conceptbert.fusion import TrilinearFusion
from mase.baselines.conceptbert.model import Conceptbert
from mase.baselines.vilbert.model import StreamOutput, Vilbert
from mase.em.estep import answers
from mase.errors import CheckpointFormatError, DataError, ParamsError
from mase.model.inference import predict
from mase.model.region_attention import RegionBatch
from mase.params import Params, load_params
from mase.params.streams import ConceptbertParams
from mase.pretrained import load_pretrained
from mase.training import assemble
from mase.units import Unit, train

COLOURS = ("red", "blue", "green")
WIDTH, CONCEPT = 8, 6
SMALL = tuple(
    f"vilbert.{name}={value}"
    for name, value in {
        "layers": 1,
        "width": 16,
        "heads": 2,
        "hidden": 16,
        "joint": 16,
        "joint_heads": 2,
    }.items()
)
FAST = ("training.lr_new=0.01", "training.lr_backbone=0.001", "training.epochs=4", "vilbert.head_dropout=0.1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two tasks: one region has the answer's colour, or the vector of a new word has it."""
    root = tmp_path_factory.mktemp("streams")
    generator = np.random.default_rng(0)
    for name in ("seen", "known"):
        (root / name).mkdir()
        features, images, words, vectors = [], [], [], []
        for split, count in (("train", 400), ("val", 100)):
            asked, told = [], []
            for _ in range(count):
                image, colour = len(images) + 1, int(generator.integers(len(COLOURS)))
                regions = generator.normal(0.0, 0.3, (3, WIDTH))
                vector = generator.normal(0.0, 0.3, CONCEPT)
                (regions[generator.integers(3)] if name == "seen" else vector)[colour] += 3.0
                features.append(regions)
                images.append(image)
                words.append("".join(generator.choice(list("bdgklmnprstz"), 7)))
                vectors.append(vector)
                question = f"what colour is the {words[-1]}"
                asked.append({"question_id": image, "image_id": image, "question": question})
                listed = [{"answer": COLOURS[colour]}] * 10
                told.append(
                    {"question_id": image, "image_id": image, "answer_type": "other", "answers": listed}
                )
            base = root / name
            (base / f"v2_OpenEnded_mscoco_{split}2014_questions.json").write_text(
                json.dumps({"questions": asked})
            )
            (base / f"v2_mscoco_{split}2014_annotations.json").write_text(json.dumps({"annotations": told}))
        np.savez(
            root / name / "regions.npz", image_ids=np.array(images), features=np.array(features, np.float32)
        )
        lines = [f"{len(words)} {CONCEPT}"]
        lines += [f"/c/en/{w} {' '.join(f'{x:.4f}' for x in v)}" for w, v in zip(words, vectors, strict=True)]
        (root / name / "numberbatch.txt").write_text("\n".join(lines))
    return root


def params_of(folder: Path, method: str, *overrides: str, data: str = "seen") -> Params:
    chosen = (
        "data.source=files",
        f"data.dir={folder}",
        f"task.files.folder={data}",
        "data.regions=[regions.npz]",
        f"task.vqa.region_width={WIDTH}",
        f"data.max_train_rows={300 if FAST[0] in overrides else 60}",
        "data.max_eval_rows=100",
        *SMALL,
    )
    if method.startswith("conceptbert"):
        chosen += (
            f"conceptbert.vectors={folder / data / 'numberbatch.txt'}",
            f"conceptbert.vector_width={CONCEPT}",
        )
        chosen += ("conceptbert.layers=1", "conceptbert.width=16", "conceptbert.rank=4")
    return load_params(
        "vqa_v2_regions", profile="smoke", overlays=(f"methods/{method}",), overrides=(*chosen, *overrides)
    )


@pytest.mark.parametrize("method", ["vilbert", "conceptbert"])
def test_what_only_regions_tell_is_learnt(folder: Path, method: str) -> None:
    assert train(Unit(params_of(folder, method, *FAST), "seen")).metrics["vqa_accuracy"] > 0.85


def test_what_only_concepts_tell_is_learnt_by_conceptbert_and_not_by_vilbert(folder: Path) -> None:
    """Words are new in every question, so that tokens tell nothing; regions are noise."""
    knows = train(Unit(params_of(folder, "conceptbert", *FAST, data="known"), "knows"))
    blind = train(Unit(params_of(folder, "vilbert", *FAST, data="known"), "blind"))
    assert knows.metrics["vqa_accuracy"] > 0.8
    assert blind.metrics["vqa_accuracy"] < 0.55


METHODS = ["vilbert", "vilbert_mase", "conceptbert", "conceptbert_mase"]


@pytest.mark.parametrize("method", METHODS)
def test_gradients_reach_all_that_trains_and_nothing_frozen(folder: Path, method: str) -> None:
    run = assemble(
        params_of(folder, method, "backbone.random_config.num_hidden_layers=3", "backbone.freeze_layers=1")
    )
    model = run.model.train()
    batch = run.train.batch(np.arange(8))
    if "mase" in method:  # zero gates would keep gradients from what stands behind them
        with torch.no_grad():
            model.sum.gate.fill_(0.1)  # type: ignore[union-attr]
            model.residual.gamma.fill_(0.1)  # type: ignore[union-attr]
    model.task_loss(model(batch), run.train.labels_of(np.arange(8))).backward()
    silent = [
        n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    # keys' biases cancel in a softmax, so does attention over one node; Eq. 8 is not in this loss
    known = ("key.bias", "attention_vector", "contrastive_head.")
    assert not [n for n in silent if not any(part in n for part in known)], silent
    assert all(p.grad is None for p in model.backbone.lower.parameters())  # type: ignore[union-attr]
    assert (
        isinstance(batch.extras["regions"], RegionBatch)
        and not batch.extras["regions"].features.requires_grad
    )


@pytest.mark.parametrize("method", METHODS)
def test_batches_and_the_order_of_regions_change_no_answer(folder: Path, method: str) -> None:
    run = assemble(params_of(folder, method))
    one, other = (predict(run.model, run.evaluation, size) for size in (1, 50))
    np.testing.assert_allclose(one["confidence"], other["confidence"], atol=1e-5)
    batch = run.evaluation.batch(np.arange(5))
    regions = batch.extras["regions"]
    assert isinstance(regions, RegionBatch)
    before = run.model(batch).logits
    turned = RegionBatch(regions.features.flip(1), regions.boxes.flip(1), regions.mask.flip(1))
    object.__setattr__(batch, "extras", {**batch.extras, "regions": turned})
    torch.testing.assert_close(run.model(batch).logits, before, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", ["vilbert", "conceptbert"])
def test_mase_with_closed_gates_is_the_model_without_it(folder: Path, method: str) -> None:
    plain, added = (assemble(params_of(folder, name)) for name in (method, f"{method}_mase"))
    shared = {
        k: v
        for k, v in plain.model.state_dict().items()
        if k in added.model.state_dict() and k not in ("allocation", "questions.value")
    }
    added.model.load_state_dict(shared, strict=False)
    logits = [run.model.eval()(run.evaluation.batch(np.arange(6))).logits for run in (plain, added)]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        added.model.sum.gate.fill_(0.1)  # type: ignore[union-attr]
    moved = added.model(added.evaluation.batch(np.arange(6))).logits
    assert not torch.allclose(moved, logits[0], atol=1e-4)


@pytest.mark.parametrize("method", ["vilbert_mase", "conceptbert_mase"])
def test_a_modality_alone_is_a_one_hot_allocation(folder: Path, method: str) -> None:
    run = assemble(params_of(folder, method, "fusion.proxy_gate=none"))
    held = answers(run.model, run.estimation, 7)  # type: ignore[arg-type]
    assert held.post.shape == (len(run.estimation), 4, len(run.fitted.labels), 2)
    indices = np.arange(6)
    with torch.no_grad():
        for place in range(4):
            run.model.allocation.copy_(torch.eye(4)[place])
            output = run.model(run.estimation.batch(indices))
            assert isinstance(output, StreamOutput)
            torch.testing.assert_close(output.logits, held.post[:6, place, :, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", ["vilbert_mase", "conceptbert_mase"])
def test_the_base_of_a_modality_is_the_streams_with_the_mean_question(folder: Path, method: str) -> None:
    """A modality that is always at its mean tells nothing, whatever the regions tell."""
    run = assemble(params_of(folder, method, "fusion.proxy_gate=none"))
    model, batch = run.model, run.estimation.batch(np.arange(6))
    output = model.train()(batch)
    means = torch.stack([output.pre, output.post]).mean(1)
    torch.testing.assert_close(model.questions.value, means)  # type: ignore[union-attr]
    output = model.eval()(batch)
    torch.testing.assert_close(model.questions.value, means)  # type: ignore[union-attr]
    labels = run.estimation.labels_of(np.arange(6))
    _, _, after = model.answers(output, labels)  # type: ignore[operator]
    assert not torch.allclose(after[..., 0], after[..., 1], atol=1e-4)
    typical = replace(output, pre=means[0].expand_as(output.pre), post=means[1].expand_as(output.post))
    for found in model.answers(typical, labels)[1:]:  # type: ignore[operator]
        torch.testing.assert_close(found[..., 0], found[..., 1])
    with torch.no_grad():
        torch.testing.assert_close(model.answers(typical, labels)[2][..., 0], after[..., 1])  # type: ignore[operator]


@pytest.mark.parametrize("method", ["vilbert_mase", "conceptbert"])
def test_a_kept_model_answers_as_before(folder: Path, method: str) -> None:
    params = params_of(folder, method, "training.max_steps=2")
    result = train(Unit(params, "kept"), keep_model=True)
    kept, loaded = load_pretrained(result.folder / "model")
    run = assemble(loaded)
    found = predict(kept.model, run.evaluation, 32)
    frame = pd.read_parquet(result.folder / "predictions.parquet")
    np.testing.assert_allclose(found["confidence"], frame["confidence"], atol=1e-6)


def test_the_fusion_is_the_sum_over_triples() -> None:
    """By hand on a row of 2 regions, 3 words and 2 concepts, against loops over all triples."""
    torch.manual_seed(0)
    params = ConceptbertParams(width=4, rank=2, glimpses=2, vector_width=3)
    fusion = TrilinearFusion(params, (5, 6, 7)).eval()
    sizes, widths = (2, 3, 2), (5, 6, 7)
    streams = tuple(
        (torch.randn(1, n, w), torch.ones(1, n, dtype=torch.bool)) for n, w in zip(sizes, widths, strict=True)
    )
    streams[1][1][0, 2] = False
    with torch.no_grad():
        v, q, k = (
            s(a(x)).view(-1, 2, 2)
            for s, a, (x, _) in zip(fusion.slices, fusion.attention, streams, strict=True)
        )
        jv, jq, jk = (j(x).view(-1, 2, 4) for j, (x, _) in zip(fusion.joint, streams, strict=True))
        expected = torch.zeros(2, 4)
        for g in range(2):
            triples = [(i, j, m) for i in range(2) for j in range(2) for m in range(2)]  # word 2 is padding
            scores = torch.stack(
                [
                    torch.einsum("rxyz,rx,ry,rz->", fusion.core[..., g], v[i], q[j], k[m])
                    for i, j, m in triples
                ]
            )
            for weight, (i, j, m) in zip(scores.softmax(0), triples, strict=True):
                expected[g] += weight * jv[i, g] * jq[j, g] * jk[m, g]
        torch.testing.assert_close(fusion(*streams)[0], expected.flatten())


def test_what_does_not_fit_is_refused_in_words(folder: Path) -> None:
    with pytest.raises(ParamsError, match=r"reads regions, and task vqa_v2 has none; take vqa_v2_regions"):
        overrides = ("data.source=files", f"data.dir={folder}")
        load_params("vqa_v2", profile="smoke", overlays=("methods/vilbert",), overrides=overrides)
    with pytest.raises(ParamsError, match=r"vilbert\.layers: 2, but the language model has 2 layers"):
        assemble(params_of(folder, "vilbert", "vilbert.layers=2"))
    with pytest.raises(DataError, match=r"conceptbert\.vectors: .*gone\.txt is not there"):
        Unit(params_of(folder, "conceptbert", f"conceptbert.vectors={folder / 'gone.txt'}"), "x").digest  # noqa: B018


def released(run_model: Vilbert, answers_of_theirs: int) -> dict[str, Tensor]:
    """Return a state dict of the released layout, written out from its description, in the model's sizes."""
    text, visual, joint, inner, regions = run_model.backbone.width, 16, 16, 64, WIDTH
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        shapes.update({f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)})

    def norm(name: str, width: int) -> None:
        shapes.update({f"{name}.weight": (width,), f"{name}.bias": (width,)})

    def layer(name: str, width: int, hidden: int) -> None:
        for part in ("query", "key", "value"):
            linear(f"{name}.attention.self.{part}", width, width)
        linear(f"{name}.attention.output.dense", width, width)
        norm(f"{name}.attention.output.LayerNorm", width)
        linear(f"{name}.intermediate.dense", hidden, width)
        linear(f"{name}.output.dense", width, hidden)
        norm(f"{name}.output.LayerNorm", width)

    embeddings = run_model.backbone.encoder.embeddings
    for table in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        shapes[f"bert.embeddings.{table}.weight"] = tuple(getattr(embeddings, table).weight.shape)
    norm("bert.embeddings.LayerNorm", text)
    linear("bert.v_embeddings.image_embeddings", visual, regions)
    linear("bert.v_embeddings.image_location_embeddings", visual, 5)
    norm("bert.v_embeddings.LayerNorm", visual)
    for number in range(2):
        layer(f"bert.encoder.layer.{number}", text, inner)
    layer("bert.encoder.v_layer.0", visual, 16)
    bridge = "bert.encoder.c_layer.0"
    for part in ("query", "key", "value"):
        linear(f"{bridge}.biattention.{part}1", joint, visual)
        linear(f"{bridge}.biattention.{part}2", joint, text)
    for number, width in ((1, visual), (2, text)):
        linear(f"{bridge}.biOutput.dense{number}", width, joint)
        norm(f"{bridge}.biOutput.LayerNorm{number}", width)
        linear(f"{bridge}.biOutput.q_dense{number}", width, joint)
    for letter, width, hidden in (("v", visual, 16), ("t", text, inner)):
        linear(f"{bridge}.{letter}_intermediate.dense", hidden, width)
        linear(f"{bridge}.{letter}_output.dense", width, hidden)
        norm(f"{bridge}.{letter}_output.LayerNorm", width)
    linear("bert.t_pooler.dense", joint, text)
    linear("bert.v_pooler.dense", joint, visual)
    for number, outputs, inputs in ((0, 2 * joint, joint), (3, answers_of_theirs, 2 * joint)):
        name = f"vil_prediction.main.{number}"
        shapes.update(
            {f"{name}.weight_g": (), f"{name}.weight_v": (outputs, inputs), f"{name}.bias": (outputs,)}
        )
    linear("cls.predictions.transform.dense", text, text)
    linear("vil_logit", 1, joint)
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> tuple[Path, Path, dict[str, Tensor]]:
    model = assemble(params_of(folder, "vilbert")).model
    assert isinstance(model, Vilbert)
    state = released(model, 4)
    path, listed = folder / "pytorch_model_9.bin", folder / "answers.json"
    torch.save(state, path)
    listed.write_text(json.dumps(["yes", "green", "red", "2"]))
    return path, listed, state


def test_a_file_of_the_released_layout_fills_the_model(folder: Path, checkpoint: tuple, caplog) -> None:
    path, listed, state = checkpoint
    chosen = (f"vilbert.checkpoint={path}", f"vilbert.answers={listed}")
    run = assemble(params_of(folder, "vilbert_mase", *chosen))
    model = run.model
    assert isinstance(model, Vilbert)
    bridge, layer = model.streams.bridges[0], model.backbone.parts[0].encoder.layer[0]
    for tensor, name in (
        (model.backbone.encoder.embeddings.word_embeddings.weight, "bert.embeddings.word_embeddings.weight"),
        (
            model.backbone.encoder.encoder.layer[0].output.dense.weight,
            "bert.encoder.layer.0.output.dense.weight",
        ),
        (layer.attention.self.key.weight, "bert.encoder.layer.1.attention.self.key.weight"),
        (bridge.visual.query.weight, "bert.encoder.c_layer.0.biattention.query1.weight"),
        (bridge.text.value.bias, "bert.encoder.c_layer.0.biattention.value2.bias"),
        (bridge.text_mixed.norm.weight, "bert.encoder.c_layer.0.biOutput.LayerNorm2.weight"),
        (bridge.text_feed.inner.weight, "bert.encoder.c_layer.0.t_intermediate.dense.weight"),
        (model.streams.visual[0].feed.outer.norm.bias, "bert.encoder.v_layer.0.output.LayerNorm.bias"),
        (model.streams.embeddings.place.weight, "bert.v_embeddings.image_location_embeddings.weight"),
        (model.text_pooler.weight, "bert.t_pooler.dense.weight"),
    ):
        torch.testing.assert_close(tensor.detach(), state[name])
    direction = state["vil_prediction.main.3.weight_v"]
    weight = state["vil_prediction.main.3.weight_g"] * direction / direction.norm()
    last = model.head.main[3]
    for answer, row in (("green", 1), ("red", 2)):
        place = run.fitted.labels.index(answer)
        torch.testing.assert_close(last.weight[place].detach(), weight[row])
        torch.testing.assert_close(last.bias[place].detach(), state["vil_prediction.main.3.bias"][row])
    assert "cls.*" in caplog.text and "2 of 3 answers" in caplog.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: s.pop("bert.encoder.c_layer.0.biattention.key1.bias"),
            r"lacks bert\.encoder\.c_layer\.0\.biattention\.key1\.bias",
        ),
        (lambda s: s.update({"bert.extra.weight": torch.zeros(1)}), r"has the unknown bert\.extra\.weight"),
        (
            lambda s: s.update({"bert.t_pooler.dense.bias": torch.zeros(3)}),
            r"bert\.t_pooler\.dense\.bias \(3,\), but the params say \(16,\)",
        ),
    ],
)
def test_other_keys_and_shapes_are_refused_by_name(
    folder: Path, checkpoint: tuple, change, said: str
) -> None:
    state = dict(checkpoint[2])
    change(state)
    path = folder / "changed.bin"
    torch.save(state, path)
    with pytest.raises(CheckpointFormatError, match=said):
        assemble(params_of(folder, "vilbert", f"vilbert.checkpoint={path}"))


def test_conceptberts_checkpoint_gives_the_streams(folder: Path, checkpoint: tuple) -> None:
    state = {f"vilbert.{name}": tensor for name, tensor in checkpoint[2].items() if name.startswith("bert.")}
    state |= {"aggregator.t_att.core": torch.zeros(2), "vil_prediction.main.0.bias": torch.zeros(2)}
    state |= {"vilbert.bert.embeddings.LayerNorm_kb.weight": torch.zeros(2)}
    path = folder / "conceptbert.bin"
    torch.save(state, path)
    expected = checkpoint[2]["bert.encoder.c_layer.0.biattention.query1.weight"]
    for file in (path, checkpoint[0]):  # its own, or ViLBERT's, which it starts from
        model = assemble(params_of(folder, "conceptbert", f"vilbert.checkpoint={file}")).model
        assert isinstance(model, Conceptbert)
        torch.testing.assert_close(model.streams.bridges[0].visual.query.weight.detach(), expected)
