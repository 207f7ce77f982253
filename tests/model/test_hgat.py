import time

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mase.errors import ParamsError, ScenegraphError
from mase.model.hgat import (
    HeterogeneousGraphAttention,
    HeterogeneousGraphAttentionLayer,
    group_by_relation,
    segment_softmax,
)

RELATIONS, MODALITIES, WIDTH, HEADS = 4, 3, 8, 2
both_attentions = pytest.mark.parametrize("attention", ["shared", "per_modality"])
with_and_without_bases = pytest.mark.parametrize("bases", [None, 2])

# Five nodes; 3 has two edges of different types from one source, 4 no edge into it.
SOURCES = [0, 1, 2, 4, 4, 1, 3, 0, 1]
TARGETS = [0, 0, 0, 3, 3, 3, 2, 1, 1]
TYPES = [0, 1, 3, 1, 2, 1, 3, 0, 0]


def graph() -> tuple[Tensor, Tensor]:
    return torch.tensor([SOURCES, TARGETS]), torch.tensor(TYPES)


def attention_module(**changes) -> HeterogeneousGraphAttention:
    settings = {"heads": HEADS, "bases": None, "layers": 1, "attention": "per_modality", "dropout": 0.0}
    torch.manual_seed(0)
    return HeterogeneousGraphAttention(MODALITIES, WIDTH, RELATIONS, **(settings | changes)).double()


def node_states(nodes: int = 5) -> Tensor:
    return torch.randn(nodes, MODALITIES, WIDTH, dtype=torch.float64)


def only_layer(module: HeterogeneousGraphAttention) -> HeterogeneousGraphAttentionLayer:
    layer = module.layers[0]
    assert isinstance(layer, HeterogeneousGraphAttentionLayer)
    return layer


def loop_attention(layer: HeterogeneousGraphAttentionLayer, nodes: Tensor) -> Tensor:
    """Equations 12-14 edge by edge, with full matrices and the concatenation written out."""
    edges = list(zip(SOURCES, TARGETS, TYPES, strict=True))
    modalities, width = nodes.shape[1:]
    head_width = width // layer.heads
    result = torch.zeros_like(nodes)

    def weight(m: int, k: int, r: int) -> Tensor:
        columns = slice(k * head_width, (k + 1) * head_width)
        if layer.coefficients is None:
            return layer.basis[r, m, :, columns].T
        mixed = [
            layer.coefficients[r, m, k, p] * layer.basis[p, m, :, columns] for p in range(len(layer.basis))
        ]
        return torch.stack(mixed).sum(0).T

    def score(i: int, j: int, r: int, m: int, k: int) -> Tensor:
        blocks = [m] if layer.attention == "per_modality" else list(range(modalities))
        target = torch.cat([weight(b, k, r) @ nodes[i, b] for b in blocks])
        source = torch.cat([weight(b, k, r) @ nodes[j, b] for b in blocks])
        vector = torch.cat([layer.attention_vector[half, r, b, k] for half in (0, 1) for b in blocks])
        return functional.leaky_relu(vector @ torch.cat([target, source]), 0.2).exp()

    for i in range(len(nodes)):
        into = [(j, r) for j, target, r in edges if target == i]
        for m in range(modalities):
            heads = []
            for k in range(layer.heads):
                total = sum(score(i, j, r, m, k) for j, r in into)
                parts = [score(i, j, r, m, k) / total * (weight(m, k, r) @ nodes[j, m]) for j, r in into]
                heads.append(sum(parts, torch.zeros(head_width, dtype=nodes.dtype)))
            result[i, m] = functional.elu(torch.cat(heads))
    return result


@both_attentions
@with_and_without_bases
def test_attention_equals_a_dense_loop_on_five_nodes(attention, bases):
    module, nodes = attention_module(attention=attention, bases=bases), node_states()
    torch.testing.assert_close(module(nodes, *graph()), loop_attention(only_layer(module), nodes))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # PyG, on import
@with_and_without_bases
def test_attention_equals_rgat_of_pyg_in_the_matching_configuration(bases):
    """One modality, a[k, r] the same for all r, and ELU applied to RGATConv's output.

    RGATConv scores head k with column k of kernels q and k over all heads' outputs; blocks on
    the diagonal, one per head, are a's halves for the target and for the source. Its bases are
    mixed alike for all heads.
    """
    from torch_geometric.nn import RGATConv

    head_width = WIDTH // HEADS
    torch.manual_seed(3)
    theirs = RGATConv(
        WIDTH, head_width, RELATIONS, num_bases=bases, heads=HEADS, bias=False,
        attention_mechanism="across-relation", attention_mode="additive-self-attention",
    ).double()  # fmt: skip
    ours = HeterogeneousGraphAttention(
        1, WIDTH, RELATIONS, heads=HEADS, bases=bases, layers=1, attention="per_modality", dropout=0.0
    ).double()
    layer = only_layer(ours)
    halves = torch.randn(2, HEADS, head_width, dtype=torch.float64)
    with torch.no_grad():
        theirs.q.copy_(torch.block_diag(*halves[0].unsqueeze(-1)))
        theirs.k.copy_(torch.block_diag(*halves[1].unsqueeze(-1)))
        layer.attention_vector.copy_(halves[:, None, None].expand(2, RELATIONS, 1, HEADS, head_width))
        layer.basis.copy_((theirs.weight if bases is None else theirs.basis).unsqueeze(1))
        if layer.coefficients is not None:
            layer.coefficients.copy_(theirs.att[:, None, None].expand_as(layer.coefficients))
    nodes = torch.randn(40, WIDTH, dtype=torch.float64)
    edge_index, edge_type = torch.randint(40, (2, 200)), torch.randint(RELATIONS, (200,))
    expected = functional.elu(theirs(nodes, edge_index, edge_type))
    torch.testing.assert_close(ours(nodes.unsqueeze(1), edge_index, edge_type).squeeze(1), expected)


@with_and_without_bases
def test_slices_stay_separable(bases):
    nodes = node_states()
    erased = nodes.clone()
    erased[:, 1] = 0.0
    module = attention_module(bases=bases, layers=2)
    changed = (module(nodes, *graph()) != module(erased, *graph())).any(-1).any(0)
    assert changed.tolist() == [False, True, False]
    shared = attention_module(bases=bases, attention="shared")
    changed = (shared(nodes, *graph()) != shared(erased, *graph())).any(-1).any(0)
    assert changed.tolist() == [True, True, True]  # through the coefficients only:
    single, kind = torch.tensor([[0], [1]]), torch.tensor([2])  # one in-edge has coefficient 1
    changed = (shared(nodes, single, kind) != shared(erased, single, kind)).any(-1).any(0)
    assert changed.tolist() == [False, True, False]


@both_attentions
@with_and_without_bases
def test_gradients_reach_every_parameter_and_node(attention, bases):
    module, nodes = attention_module(attention=attention, bases=bases, layers=2), node_states()
    edge_index = torch.cat([graph()[0], torch.randint(5, (2, 60))], dim=1)
    edge_type = torch.cat([graph()[1], torch.randint(RELATIONS, (60,))])
    nodes.requires_grad_()
    module(nodes, edge_index, edge_type).square().sum().backward()
    assert nodes.grad is not None and bool((nodes.grad != 0).any(-1).all())
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).flatten(2).any(-1).all()), name


@both_attentions
@with_and_without_bases
def test_gradients_are_right(attention, bases):
    module, nodes = attention_module(attention=attention, bases=bases), node_states().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: module(x, *graph()), (nodes,), fast_mode=True)


@pytest.mark.parametrize("nodes", [0, 1, 4])
@with_and_without_bases
def test_a_batch_without_edges_gives_zeros_and_can_be_differentiated(nodes, bases):
    module, states = attention_module(bases=bases, layers=2), node_states(nodes).requires_grad_()
    empty = torch.empty(2, 0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    enhanced = module(states, *empty)
    assert enhanced.shape == (nodes, MODALITIES, WIDTH)
    assert bool((enhanced == 0).all())
    (states + enhanced).sum().backward()
    assert states.grad is not None and bool((states.grad == 1).all())


def test_a_node_without_in_edges_gets_zeros_and_the_others_do_not():
    enhanced = attention_module()(node_states(), *graph())
    assert (enhanced != 0).any(-1).any(-1).tolist() == [True, True, True, True, False]


def test_a_single_node_with_a_self_loop_is_its_own_message():
    module, nodes = attention_module(), node_states(1)
    enhanced = module(nodes, torch.zeros(2, 1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    message = torch.einsum("nmf,mfd->nmd", nodes, only_layer(module).basis[0])
    torch.testing.assert_close(enhanced, functional.elu(message))


@both_attentions
def test_renumbering_nodes_and_reordering_edges_only_renumbers_the_result(attention):
    module, nodes = attention_module(attention=attention, bases=2, layers=2), node_states()
    edge_index, edge_type = graph()
    new_id, order = torch.randperm(5), torch.randperm(len(TYPES))
    moved = torch.empty_like(nodes)
    moved[new_id] = nodes
    result = module(moved, new_id[edge_index][:, order], edge_type[order])
    torch.testing.assert_close(result[new_id], module(nodes, edge_index, edge_type))


def test_graphs_of_a_batch_do_not_see_each_other():
    module, nodes = attention_module(bases=2), node_states(10)
    edge_index, edge_type = graph()
    together = module(nodes, torch.cat([edge_index, edge_index + 5], dim=1), edge_type.repeat(2))
    apart = [module(half, edge_index, edge_type) for half in nodes.split(5)]
    torch.testing.assert_close(together, torch.cat(apart))


def test_softmax_is_stable_and_sums_to_one_per_target():
    scores = torch.tensor([[1e4], [1e4 + 1], [-1e4], [0.0]])
    weights = segment_softmax(scores, torch.tensor([0, 0, 2, 2]), 3)
    expected = torch.tensor([1.0, 0.0]).softmax(0)
    torch.testing.assert_close(weights.flatten(), torch.tensor([expected[1], expected[0], 0.0, 1.0]))
    large = attention_module()(1e4 * node_states(), *graph())
    assert bool(torch.isfinite(large).all())


def test_dropout_drops_coefficients_in_training_only():
    module, nodes = attention_module(dropout=1.0), node_states()
    assert bool((module(nodes, *graph()) == 0).all())
    assert bool((module.eval()(nodes, *graph()) != 0).any())


def test_autocast_gives_nearly_the_same_numbers():
    module, nodes = attention_module(bases=2).float(), node_states().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = module(nodes, *graph())
    torch.testing.assert_close(half.float(), module(nodes, *graph()), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("edges", [0, 1, 7, 8, 9, 500])
def test_tiles_hold_edges_of_one_relation_each(edges):
    edge_type = torch.randint(RELATIONS, (edges,))
    grouped = group_by_relation(torch.randint(9, (2, edges)), edge_type, RELATIONS)
    assert bool((grouped.tile_relation[grouped.slot // grouped.tile] == grouped.relation).all())
    assert len(set(grouped.slot.tolist())) == edges
    assert len(grouped.tile_relation) * grouped.tile <= edges + max(2 * edges, 8 * RELATIONS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "width=8, heads=3"),
        ({"layers": 0}, "layers=0"),
        ({"bases": 0}, "bases=0"),
        ({"attention": "none"}, r"graph\.attention must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ParamsError, match=message):
        attention_module(**change)


def test_inputs_that_do_not_fit_are_refused():
    module, (edge_index, edge_type) = attention_module(), graph()
    with pytest.raises(ScenegraphError, match=r"\(nodes, 3, 8\), got \(5, 3, 7\)"):
        module(torch.zeros(5, 3, 7), edge_index, edge_type)
    with pytest.raises(ScenegraphError, match="one column per entry"):
        module(node_states(), edge_index[:, 1:], edge_type)
    with pytest.raises(ScenegraphError, match=r"must be in 0\.\.3, got 9"):
        module(node_states(), edge_index, torch.full_like(edge_type, 9))


class LoopOverRelations(nn.Module):
    """The same layer with one product per relation, to time against."""

    def __init__(self, layer: HeterogeneousGraphAttentionLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, nodes: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        weights = self.layer.relation_weights()
        source, target = edge_index
        messages = nodes.new_zeros(len(edge_type), nodes.shape[1], self.layer.heads, weights.shape[-1])
        scores = nodes.new_zeros(len(edge_type), nodes.shape[1], self.layer.heads)
        for relation, weight in enumerate(weights):
            chosen = edge_type == relation
            sent = torch.einsum("nmf,mfkc->nmkc", nodes[source[chosen]], weight)
            received = torch.einsum("nmf,mfkc->nmkc", nodes[target[chosen]], weight)
            vector = self.layer.attention_vector[:, relation]
            messages[chosen] = sent
            scores[chosen] = (received * vector[0]).sum(-1) + (sent * vector[1]).sum(-1)
        alpha = segment_softmax(functional.leaky_relu(scores, 0.2), target, len(nodes))
        gathered = torch.zeros(len(nodes), *messages.shape[1:]).index_add(
            0, target, alpha[..., None] * messages
        )
        return functional.elu(gathered.flatten(-2))


def seconds(module: nn.Module, *inputs: Tensor) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        module(*inputs).sum().backward()
        best = min(best, time.perf_counter() - start)
    return best


def test_twenty_thousand_edges_equal_a_loop_over_relations_and_are_not_much_slower(record_property):
    torch.manual_seed(0)
    grouped = HeterogeneousGraphAttention(
        4, 64, 72, heads=4, bases=8, layers=1, attention="per_modality", dropout=0.0
    )
    looped = LoopOverRelations(only_layer(grouped))
    inputs = torch.randn(6000, 4, 64), torch.randint(6000, (2, 20_000)), torch.randint(72, (20_000,))
    torch.testing.assert_close(grouped(*inputs), looped(*inputs), atol=1e-4, rtol=1e-4)
    times = seconds(grouped, *inputs), seconds(looped, *inputs)
    record_property("seconds grouped and looped", times)
    print(f"20,000 edges, forward and backward: grouped {times[0]:.3f} s, looped {times[1]:.3f} s")
    assert times[0] < 3 * times[1]  # loose: other work may share the machine
