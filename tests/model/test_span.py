"""Spans: positions under either padding, token features, nesting, the E-step, placebos, a planted answer."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mase import seeds
from mase.em.estep import answers, e_step
from mase.errors import ParamsError
from mase.families import family_of
from mase.identity import identity
from mase.methods import trainable_parameters
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.batch import Batch
from mase.model.features import unit
from mase.model.heads import Head
from mase.model.inference import predict
from mase.model.span import OUTSIDE, SpanModel, best_spans, part_of
from mase.model.task_model import Split
from mase.params import BackboneParams
from mase.prediction import Predictor
from mase.proxies import build_tower
from mase.training import Assembled, assemble
from mase.units import Unit, train
from tests.spans import COLOURS, span_params, write_squad

OPEN = "fusion.proxy_gate=none"  # proxies enter at full size from the first step on


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_squad(folder)
    return folder


@pytest.fixture(scope="module")
def full(data: Path) -> Assembled:
    """Return a run of full MASE with open gates and a head that says something."""
    return shaken(assemble(span_params(data, OPEN)))


def shaken(run: Assembled) -> Assembled:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    run.model.eval()
    return run


def logits_of(run: Assembled, batch: Batch) -> torch.Tensor:
    run.model.eval()
    with torch.no_grad():
        return run.model(batch).logits


def test_best_spans_are_those_of_trying_all() -> None:
    torch.manual_seed(0)
    logits, context = torch.randn(40, 2, 9), torch.rand(40, 7) < 0.6
    context[:, 0] = False
    context[:, 3] = True
    first, last, score, null = best_spans(logits, context, 3)
    for b in range(40):
        spans = [(i, j) for i in range(7) for j in range(i, min(7, i + 3)) if context[b, i] and context[b, j]]
        value = {(i, j): float(logits[b, 0, i] + logits[b, 1, j]) for i, j in spans}
        best = max(spans, key=value.__getitem__)
        assert (int(first[b]), int(last[b])) == best and float(score[b]) == pytest.approx(value[best])
        assert float(null[b]) == pytest.approx(float(logits[b, 0, 0] + logits[b, 1, 0]))


@pytest.mark.parametrize("family", ["bert", "roberta", "xlnet", "t5"])
def test_positions_are_the_rows_own_under_every_template_and_padding(
    data: Path, checkpoint: Callable[[str], BackboneParams], family: str
) -> None:
    kept = checkpoint(family)
    overrides = [
        f"backbone.{k}={v}" for k, v in (("ref", kept.ref), ("pooling", kept.pooling), ("max_length", 90))
    ]
    params = span_params(
        data, "data.max_train_rows=50", "backbone.source=path", "backbone.random_config={}", *overrides
    )
    run = shaken(
        assemble(params.model_copy(update={"backbone": params.backbone.model_copy(update={"name": family})}))
    )
    assert run.evaluation.tokens is not None and run.evaluation.tokens.pad_left == (family == "xlnet")
    rows, inputs = run.seen, run.evaluation
    targets = SpanModel.targets(run.model.params, Split(rows, inputs, run.fitted, run.tokenizer))  # type: ignore[arg-type]
    batch = inputs.batch(np.arange(len(rows)))
    where, logits = part_of(batch), logits_of(run, batch)
    assert len(set(inputs.tokens.lengths)) > 3  # type: ignore[union-attr]
    for row, (first, last, size) in enumerate(targets.tolist()):
        start, end = rows.labels[row].tolist()
        text = (rows.texts_b or ())[row]
        allowed = torch.zeros(90, dtype=torch.bool)
        allowed[: where.context.shape[1]] = where.context[row]
        assert size == allowed.sum()
        assert not allowed[0]
        allowed[0] = True
        assert ((logits[row] > OUTSIDE) == allowed).all()
        if start >= 0:
            begins, ends = int(where.offsets[row, first, 0]), int(where.offsets[row, last, 1])
            assert text[begins:ends].strip() == text[start:end] and where.context[row, first : last + 1].all()
        else:
            assert (first, last) == (0, 0)
        alone = logits_of(run, inputs.batch(np.array([row])))[0]
        assert torch.allclose(alone, logits[row], atol=1e-4)


def test_predictions_do_not_depend_on_batches(full: Assembled) -> None:
    together = predict(full.model, full.evaluation, 64)
    for size in (1, 7):
        apart = predict(full.model, full.evaluation, size)
        assert all(np.allclose(together[k], apart[k], atol=1e-4) for k in together)
    assert len(set(together["start"].tolist())) > 5
    assert together["score"].std() > 0


def test_text_alone_is_a_language_model_with_two_scores_per_token(data: Path) -> None:
    params = span_params(data, overlays=("methods/text",))
    run = assemble(params)
    seeds.seed_everything(seeds.derive(params.seed, "initialisation"))
    backbone = Backbone(params.backbone)
    head = Head(backbone.width, 2, params.head).eval()
    batch = run.evaluation.batch(np.arange(6))
    with torch.no_grad():
        scores = head(backbone.eval()(batch.ids, batch.mask, batch.types)[0])  # (B, L, 2)
    logits, where = logits_of(run, batch), part_of(batch)
    for row in range(6):
        inside = where.context[row].nonzero().flatten()
        assert torch.equal(logits[row][:, inside], scores[row][inside].T)
        assert torch.equal(logits[row][:, 0], scores[row][0])


def test_full_mase_starts_at_the_text_only_model(data: Path) -> None:
    whole, text = (assemble(span_params(data, overlays=(o,))) for o in ("methods/mase", "methods/text"))
    batches = [run.evaluation.batch(np.arange(16)) for run in (whole, text)]
    assert batches[0].graph is not None and len(batches[0].graph.instance) > 0
    assert torch.equal(logits_of(whole, batches[0]), logits_of(text, batches[1]))


def with_proxy(batch: Batch, modality: str, row: int, *, add: float) -> Batch:
    """Return a batch in which the question of one row has another proxy."""
    moved = batch.proxies[modality].clone()  # type: ignore[index]
    moved[row] += add
    return dataclasses.replace(batch, proxies={**batch.proxies, modality: moved})


def with_sentence(batch: Batch, modality: str, sentence: int, *, add: float) -> Batch:
    """Return a batch in which one sentence has another proxy."""
    where = part_of(batch)
    moved = where.vectors[modality].clone()  # type: ignore[index]
    moved[sentence] += add
    changed = dataclasses.replace(where, vectors={**where.vectors, modality: moved})
    return dataclasses.replace(batch, extras={**batch.extras, "span": changed})


def test_a_proxy_changes_the_probabilities_of_spans(full: Assembled) -> None:
    batch = full.evaluation.batch(np.arange(8))
    probability = logits_of(full, batch).softmax(-1)
    changed = logits_of(full, with_proxy(batch, "audio", 3, add=2.0)).softmax(-1)
    moved = (probability - changed).abs().amax(dim=(1, 2)) > 1e-4
    assert moved.nonzero().flatten().tolist() == [3]


def test_a_sentences_proxy_moves_its_own_tokens_and_its_own_modality(full: Assembled) -> None:
    batch = full.evaluation.batch(np.arange(8))
    where = part_of(batch)
    sentence = int(where.sentence.max(dim=1).values.max())
    batch = dataclasses.replace(batch, graph=None)  # whose nodes talk to each other
    other = with_sentence(batch, "image", sentence, add=2.0)
    with torch.no_grad():
        before, after = full.model(batch), full.model(other)
    moved = (before.post - after.post).abs().amax(dim=-1) > 1e-6  # (B, L, M)
    assert torch.equal(moved[:, :, 1], where.sentence == sentence)
    assert not moved[:, :, [0, 2, 3]].any()
    assert (before.logits.softmax(-1) - after.logits.softmax(-1)).abs().max() > 1e-4


def test_sentences_are_those_of_the_tokens(full: Assembled) -> None:
    rows, tokens = full.seen, full.evaluation.tokens
    assert tokens is not None and rows.texts_b is not None
    texts = rows.texts_b
    row = max(range(len(rows)), key=lambda i: texts[i].count("."))
    batch = full.evaluation.batch(np.array([row, (row + 1) % len(rows)]))
    where, text = part_of(batch), rows.texts_b[row]
    assert text.rstrip(".").count(".") >= 2
    for position in where.context[0].nonzero().flatten().tolist():
        start = int(where.offsets[0, position, 0])
        assert int(where.sentence[0, where.column[0, position]]) == 1 + text[:start].count(".")
    outside = [p for p in range(int(batch.mask[0].sum())) if not where.context[0, p]]  # type: ignore[index]
    assert not where.sentence[0, where.column[0, outside]].any()
    assert all((v[0] == 1).all() and len(v) == 1 + where.sentence.max() for v in where.vectors.values())


def test_nodes_are_read_out_to_the_tokens_of_their_words(full: Assembled) -> None:
    batch = full.evaluation.batch(np.arange(8))
    assert batch.graph is not None
    with torch.no_grad():
        output = full.model(batch)
    moved = (output.pre - output.post).abs().amax(dim=(2, 3)).flatten() > 1e-6
    named = torch.zeros_like(moved)
    named[batch.graph.token_position] = True
    assert torch.equal(moved, named) and 0 < int(named.sum()) < int(batch.mask.sum())  # type: ignore[union-attr]


def test_the_e_step_judges_the_right_ends_and_z_is_a_distribution(full: Assembled) -> None:
    found = answers(full.model, full.estimation, 5)  # type: ignore[arg-type]
    count = len(full.estimation)
    assert (found.logits.shape, found.pre.shape, found.post.shape) == (
        (count, 2),
        (count, 4, 2),
        (count, 4, 2),
    )
    batch, labels = full.estimation.batch(np.arange(count)), full.estimation.labels
    log_p = logits_of(full, batch).log_softmax(-1)
    for row, (first, last, _) in enumerate(labels.tolist()):
        expected = [float(log_p[row, 0, first]), float(log_p[row, 1, last])]
        assert found.logits[row].tolist() == pytest.approx(expected, abs=1e-3)
    prior = family_of(full.model.task).prior(full.model.task, full.train.labels)
    step = e_step(full.model, full.estimation, full.train, prior)  # type: ignore[arg-type]
    assert float(step.allocation.sum()) == pytest.approx(1.0)
    assert (step.allocation >= 0.02 - 1e-6).all() and np.isfinite(step.objective)


def test_shuffled_texts_have_one_wrong_vector_everywhere_and_change_predictions(
    data: Path, full: Assembled
) -> None:
    placebo = shaken(assemble(span_params(data, OPEN, overlays=("methods/mase", "controls/shuffled"))))
    mine, theirs = full.evaluation.extras["span"], placebo.evaluation.extras["span"]
    for m, rows in mine.rows.items():  # type: ignore[attr-defined]
        other = theirs.rows[m]  # type: ignore[attr-defined]
        given = set(zip(rows.tolist(), other.tolist(), strict=True))
        assert len(rows) > len(set(rows.tolist())) == len(given) > 10
        assert {own for own, _ in given} == {wrong for _, wrong in given}
        assert all(own != wrong for own, wrong in given)
    before, after = (predict(run.model, run.evaluation, 16)["score"] for run in (full, placebo))
    assert np.abs(before - after).max() > 1e-3


def test_a_shuffled_question_has_another_questions_vector_in_all_its_windows(
    data: Path, full: Assembled
) -> None:
    placebo = assemble(span_params(data, overlays=("methods/mase", "controls/shuffled")))
    texts = full.seen.texts_a
    assert placebo.seen.texts_a == texts
    assert len(texts) > len(set(texts)) > 1
    mine, theirs = full.evaluation.proxies["image"], placebo.evaluation.proxies["image"]
    own = {text: mine[i] for i, text in enumerate(texts)}
    for i, text in enumerate(texts):
        assert np.array_equal(theirs[i], theirs[texts.index(text)])
        assert any(np.array_equal(theirs[i], own[other]) for other in own if other != text)


def test_the_concatenation_reads_the_proxies_of_tokens(data: Path) -> None:
    run = shaken(assemble(span_params(data, overlays=("methods/mpb",))))
    batch = run.evaluation.batch(np.arange(6))
    output = run.model(batch)
    widths = sum(p.shape[1] for p in batch.proxies.values())
    assert output.post.shape[2:] == (1, run.model.backbone.width + widths)  # type: ignore[union-attr]
    changed = logits_of(run, with_sentence(batch, "video", 1, add=3.0))
    assert (logits_of(run, batch).softmax(-1) - changed.softmax(-1)).abs().max() > 1e-5


def test_the_matched_head_has_as_many_parameters_as_full_mase(data: Path, full: Assembled) -> None:
    matched = assemble(span_params(data, overlays=("methods/mase", "controls/matched_head")))
    wanted, found = (trainable_parameters(run.model)["total"] for run in (full, matched))
    assert found == pytest.approx(wanted, rel=0.01)
    assert logits_of(matched, matched.evaluation.batch(np.arange(2))).shape == (2, 2, 32)


def test_what_windows_share_is_part_of_a_runs_identity(data: Path) -> None:
    plain, other = (identity(span_params(data, *o)) for o in ((), ("task.doc_stride=4",)))
    assert plain != other
    assert identity(span_params(data, "task.title=Other")) == plain


@pytest.mark.parametrize("method", ["mc_ptm_image", "mc_ptm_audio"])
def test_a_tower_alone_has_no_tokens_to_choose_from(data: Path, method: str) -> None:
    with pytest.raises(ParamsError, match="method mc_ptm cannot do squad_v2, a span task"):
        assemble(span_params(data, overlays=(f"methods/{method}",)))


def test_a_mixture_is_refused(data: Path) -> None:
    with pytest.raises(ParamsError, match="m_objective: mixture is for"):
        span_params(data, preset="em")


TWO_SENTENCES = ("A red dog sees a small river.", "A black wheel hears a green spoon.")


def paper_run(folder: Path, *overlays: str) -> Assembled:
    """Return a run of the paper's preset whose development file asks two things of one context."""
    write_squad(folder)
    questions = ("Which dog sees a river?", "Which spoon is it?")
    asked = [
        {"id": f"two{i}", "question": q, "answers": [], "is_impossible": True}
        for i, q in enumerate(questions)
    ]
    article = {"title": "two", "paragraphs": [{"context": " ".join(TWO_SENTENCES), "qas": asked}]}
    content = json.dumps({"version": "v2.0", "data": [article]})
    (folder / "squad_v2" / "dev-v2.0.json").write_text(content, encoding="utf-8")
    few = ("data.max_train_rows=24", "backbone.max_length=64")
    return assemble(span_params(folder, *few, overlays=("methods/mase", *overlays), preset="paper"))


def node_vectors(run: Assembled, modality: Modality) -> list[tuple[int, str, np.ndarray]]:
    """Return of every node of the evaluation rows its row, the text it stands in, and its vector."""
    nodes, rows = run.evaluation.nodes, run.seen
    assert nodes is not None and rows.texts_b is not None
    where = part_of(run.evaluation.batch(np.arange(len(rows))))
    vectors = run.evaluation.node_sources[0].of(modality, np.arange(len(nodes.phrase)))
    found = []
    for row, (question, context) in enumerate(zip(rows.texts_a, rows.texts_b, strict=True)):
        assert context == " ".join(TWO_SENTENCES)
        for node in range(nodes.pointer[row], nodes.pointer[row + 1]):
            start = int(where.offsets[row, nodes.token_position[nodes.token_pointer[node]], 0])
            own = TWO_SENTENCES[start > len(TWO_SENTENCES[0])] if nodes.sentence[node] else question
            found.append((row, own, vectors[node]))
    return found


def towers_vectors(run: Assembled, modality: Modality, texts: Iterable[str]) -> dict[str, np.ndarray]:
    """Return what the run's tower says of texts, at length one."""
    params = run.model.params
    tower = build_tower(params.towers[modality], params.seed)  # type: ignore[union-attr]
    return {text: unit(tower.encode([text]))[0] for text in texts}


def test_the_papers_preset_gives_nodes_the_vector_of_the_sentence_that_they_stand_in(tmp_path: Path) -> None:
    run = paper_run(tmp_path)
    assert run.model.params.graph.entity_proxy == "sentence"  # type: ignore[union-attr]
    batch = run.evaluation.batch(np.arange(2))
    output = run.model(batch)
    assert torch.isfinite(output.logits).all()
    assert output.contrastive.shape == (2, 4, output.post.shape[-1])
    for modality in ("image", "audio", "video"):
        found = node_vectors(run, modality)
        wanted = towers_vectors(run, modality, {own for _, own, _ in found})
        assert {own for _, own, _ in found} == {*TWO_SENTENCES, *run.seen.texts_a}
        assert all(np.allclose(vector, wanted[own], atol=2e-3) for _, own, vector in found)
        distances = [np.abs(wanted[a] - wanted[b]).max() for a, b in combinations(wanted, 2)]
        assert min(distances) > 1e-2


def test_in_the_placebo_nodes_and_tokens_have_the_same_wrong_sentence(tmp_path: Path) -> None:
    run = paper_run(tmp_path, "controls/shuffled")
    wrong = dict(zip(TWO_SENTENCES, reversed(TWO_SENTENCES), strict=True))
    wrong |= dict(zip(run.seen.texts_a, reversed(run.seen.texts_a), strict=True))
    batch = run.evaluation.batch(np.arange(2))
    for modality in ("image", "audio", "video"):
        found, said = node_vectors(run, modality), towers_vectors(run, modality, wrong)
        assert all(np.allclose(vector, said[wrong[own]], atol=2e-3) for _, own, vector in found)
        tokens = part_of(batch).vectors[modality].numpy()[1:]  # two sentences of either row
        assert np.allclose(tokens, [said[wrong[s]] for s in TWO_SENTENCES * 2], atol=2e-3)
        questions = batch.proxies[modality].numpy()
        assert np.allclose(questions, [said[wrong[q]] for q in run.seen.texts_a], atol=2e-3)


def test_the_papers_preset_reads_spans(data: Path) -> None:
    run = assemble(span_params(data, "data.max_train_rows=24", "data.max_eval_rows=8", preset="paper"))
    batch, labels = run.train.batch(np.arange(4)), run.train.labels_of(np.arange(4))
    loss = run.model.task_loss(run.model(batch), labels)
    assert torch.isfinite(loss)
    loss.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in run.model.parameters())
    changed = shaken(run)
    before = logits_of(changed, batch)
    assert batch.graph is not None
    assert not torch.equal(before, logits_of(changed, dataclasses.replace(batch, graph=None)))
    assert not torch.equal(before, logits_of(changed, with_sentence(batch, "image", 1, add=2.0)))


@pytest.mark.parametrize("overlay", ["methods/mase", "methods/text"])
def test_a_planted_answer_is_learnt_and_served(tmp_path: Path, overlay: str) -> None:
    write_squad(tmp_path, train=60, words=(4, 10))
    fast = ("training.epochs=10", "training.lr_backbone=4e-3", "training.lr_new=4e-3", "graph=null")
    unit = Unit(span_params(tmp_path, *fast, overlays=(overlay,)), "planted")
    result = train(unit, keep_model=True)
    assert result.metrics["f1"] > 0.85 and result.metrics["has_answer_exact"] > 0.8
    assert sum(result.allocation.values()) == pytest.approx(1.0)
    frame = pd.read_parquet(result.folder / "predictions.parquet")
    assert len(frame) == 40 and set(frame["prediction"].str.lower()) <= {"", *COLOURS}
    contexts = ["Storm lamp river green dog. Piano apple", "Storm lamp river dog wheel."]
    served = Predictor.load(result.folder).predict(["Which colour is it?"] * 2, contexts)
    assert [s.label for s in served] == ["green", ""] and not served[0].probabilities
