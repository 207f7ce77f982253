"""What the controls are: shuffled proxies, random towers, and the head as large as full MASE."""

import dataclasses

import numpy as np
import pytest
import torch

from mase.data import Rows
from mase.errors import ParamsError
from mase.methods import build_model, trainable_parameters
from mase.model.backbone import load_tokenizer
from mase.model.inputs import Inputs
from mase.model.mase import MaseModel
from mase.model.placebo import donors
from mase.model.preparation import (
    Fitted,
    Tables,
    align,
    build_inputs,
    extract_all,
    fit,
    parse_all,
)
from mase.model.proxy_features import proxy_modalities
from mase.params import Params, load_params
from mase.pretrained import load_pretrained, save_pretrained
from mase.reading import predict_texts
from mase.training import assemble
from tests.planted import predict_logits

SHUFFLED = ("methods/mase", "controls/shuffled")
MATCHED = ("methods/mase", "controls/matched_head")
NOUNS = "dog cat bus bell lamp".split()
VERBS = "chases sees hits hears finds".split()
TEXTS = tuple(f"The red {a} {v} a small {b}." for a in NOUNS for v, b in zip(VERBS, NOUNS, strict=True))
ROWS = Rows(tuple(f"r{i}" for i in range(len(TEXTS))), TEXTS, None, np.arange(len(TEXTS)) % 2)


def smoke(*overrides: str, overlays: tuple[str, ...] = ("methods/mase",), **settings) -> Params:
    return load_params("looks", profile="smoke", overlays=overlays, overrides=overrides, **settings)


def inputs_of(params: Params, rows: Rows, train: Rows = ROWS) -> Inputs:
    """Return the inputs of rows after fitting on other rows."""
    tokenizer = load_tokenizer(params.backbone)
    graphs = parse_all(params, [train, rows], train=train)
    tables = extract_all(params, [train, rows], graphs)
    fitted = fit(params, tables, train, align(params, tables, train, tokenizer))
    return build_inputs(params, fitted, tables, rows, tokenizer)


def arrays(inputs: Inputs) -> dict[str, np.ndarray]:
    """Return every array of a split's inputs, by name."""
    assert inputs.tokens is not None and inputs.nodes is not None
    found = {f"proxy/{m}": v for m, v in inputs.proxies.items()}
    for part in (inputs.tokens, inputs.nodes):
        found |= {
            f.name: v for f in dataclasses.fields(part) if isinstance(v := getattr(part, f.name), np.ndarray)
        }
    for number, source in enumerate(inputs.node_sources):
        found |= {f"source/{number}/{m}": v for m, v in source.vectors.items()}
        found[f"source/{number}/index"] = source.index
    return found


@pytest.mark.parametrize("count", [2, 3, 50])
def test_no_row_and_no_node_keeps_its_own_and_all_are_used_once(count):
    rows = Rows(tuple(map(str, range(count))), ("a text",) * count, None, np.zeros(count, np.int64))
    by_row, by_node = (donors(smoke(overlays=SHUFFLED), rows, k, count) for k in ("rows", "nodes"))
    for order in (by_row, by_node):
        assert not (order == np.arange(count)).any()
        assert sorted(order) == list(range(count))
    assert donors(smoke(), rows, "rows", count).tolist() == list(range(count))
    other = dataclasses.replace(rows, ids=tuple(f"x{i}" for i in range(count)))
    assert count < 50 or not np.array_equal(by_row, donors(smoke(overlays=SHUFFLED), other, "rows", count))


def test_shuffled_rows_have_other_rows_proxies():
    mine, theirs = inputs_of(smoke(), ROWS), inputs_of(smoke(overlays=SHUFFLED), ROWS)
    for m in ("image", "audio", "video"):
        assert (np.abs(mine.proxies[m] - theirs.proxies[m]).max(axis=1) > 1e-3).all()
        assert np.array_equal(np.unique(mine.proxies[m], axis=0), np.unique(theirs.proxies[m], axis=0))


def test_no_phrase_has_a_vector_of_its_own_after_shuffling():
    """A fixed map of phrases would let the graph learn as much as from the true vectors."""
    mine, theirs = inputs_of(smoke(), ROWS), inputs_of(smoke(overlays=SHUFFLED), ROWS)
    (true,), (placebo,) = mine.node_sources, theirs.node_sources
    assert np.array_equal(np.sort(true.index), np.sort(placebo.index))
    for phrase in np.unique(true.index):
        at = np.flatnonzero(true.index == phrase)
        assert len(np.unique(true.index[at])) == 1
        assert len(at) < 4 or len(np.unique(placebo.index[at])) >= 3


def test_shuffled_sentence_vectors_of_nodes_are_the_donor_rows():
    overrides = ("graph.entity_proxy=sentence", "proxies.standardise=false")
    theirs = inputs_of(smoke(*overrides, overlays=SHUFFLED), ROWS)
    assert theirs.nodes is not None
    (source,) = theirs.node_sources
    instance = np.repeat(np.arange(len(ROWS)), np.diff(theirs.nodes.pointer))
    for m in ("image", "audio", "video"):
        assert np.allclose(source.vectors[m][source.index], theirs.proxies[m][instance], atol=1e-6)


def test_a_batch_does_not_change_who_the_donor_is():
    inputs = inputs_of(smoke(overlays=SHUFFLED), ROWS)
    together, alone = inputs.batch(np.array([3, 7, 1])), inputs.batch(np.array([7]))
    assert together.graph is not None and alone.graph is not None
    assert together.proxies["image"][1].equal(alone.proxies["image"][0])
    assert together.graph.proxies["audio"][together.graph.instance == 1].equal(alone.graph.proxies["audio"])


def test_a_single_row_keeps_its_proxies_and_its_nodes_theirs():
    one = Rows(("only",), (TEXTS[0],), None, np.zeros(1, np.int64))
    mine, theirs = inputs_of(smoke(), one), inputs_of(smoke(overlays=SHUFFLED), one)
    for name, value in arrays(mine).items():
        assert np.array_equal(value, arrays(theirs)[name]), name


@pytest.mark.parametrize("preset", ["sound", "paper"])
@pytest.mark.parametrize("overlays", [("methods/mase",), SHUFFLED], ids=["true", "shuffled"])
def test_labels_change_no_input(preset, overlays):
    params = smoke(overlays=overlays, preset=preset)
    relabelled = dataclasses.replace(ROWS, labels=np.roll(ROWS.labels, 1))
    assert (relabelled.labels != ROWS.labels).any()
    before, after = (arrays(inputs_of(params, rows)) for rows in (ROWS, relabelled))
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert np.array_equal(value, after[name]), name


def test_a_random_tower_is_another_for_another_seed_and_a_trained_one_is_not():
    def vectors(seed: int, control: str) -> np.ndarray:
        params = smoke(overlays=("methods/mase", control), seed=seed)
        return extract_all(params, [ROWS], None).sentences["image"].vectors()

    random, trained = "controls/random_towers", "controls/text_encoder"
    assert np.array_equal(vectors(0, random), vectors(0, random))
    assert not np.allclose(vectors(0, random), vectors(1, random), atol=0.1)
    assert np.array_equal(vectors(0, trained), vectors(1, trained))


def test_a_saved_model_predicts_with_the_random_towers_of_its_seed(tmp_path):
    params = smoke(overlays=("methods/mase", "controls/random_towers"), seed=3)
    run = assemble(params)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.add_(0.02)  # opens the gates
    save_pretrained(tmp_path, run.model, params, run.fitted, run.tokenizer)
    found, loaded = load_pretrained(tmp_path)
    told = predict_texts(found, loaded, run.data.evaluation.texts_a)["predicted"]["logits"]
    assert np.allclose(told, predict_logits(run.model, run.evaluation, 16).numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("preset", "override"),
    [
        ("sound", "seed=0"),
        ("paper", "seed=0"),
        ("paper", "graph.entity_proxy=both"),
        ("paper", "fusion.width=48"),
    ],
)
def test_the_matched_head_is_within_one_hidden_unit_of_full_mase(preset, override):
    model = assemble(smoke(override, preset=preset)).model
    full = trainable_parameters(model)
    matched = trainable_parameters(assemble(smoke(override, preset=preset, overlays=MATCHED)).model)
    assert set(matched) == {"total", "backbone", "head"} and matched["backbone"] == full["backbone"]
    assert isinstance(model, MaseModel)
    assert abs(matched["total"] - full["total"]) <= model.backbone.width + 1 + 2


@pytest.mark.parametrize("preset", ["sound", "paper"])
def test_under_the_matched_head_is_the_text_only_model(preset):
    run = assemble(smoke(preset=preset, overlays=MATCHED))
    assert isinstance(run.model, MaseModel)
    assert run.model.graph is None and run.model.contrastive_head is None and run.evaluation.nodes is None
    batch = run.evaluation.batch(np.arange(4))
    output = run.model.eval()(batch)
    pooled = run.model.backbone(batch.ids, batch.mask, batch.types, batch.frozen)[1]
    assert output.post[:, 0].equal(pooled) and output.logits.equal(run.model.head(pooled))


@pytest.mark.parametrize(
    "overlays",
    [
        ("methods/text", "controls/matched_head"),
        ("methods/mase", "ablations/no_mssg", "controls/matched_head"),
        ("methods/mpb_image", "controls/matched_head"),
    ],
)
def test_a_matched_head_without_full_mase_to_match_is_refused(overlays):
    with pytest.raises(ParamsError, match="over methods/mase"):
        build_model(smoke(overlays=overlays), Fitted(None, {}, {}))


def test_the_tables_of_a_text_only_run_are_empty():
    params = smoke(overlays=MATCHED)
    assert parse_all(params, [ROWS], train=ROWS) is None
    assert extract_all(params, [ROWS], None) == Tables({}, {}, None)
    assert proxy_modalities(params) == []
