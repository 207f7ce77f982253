"""From rows to model inputs: run the parser and the towers once, tokenise, standardise.

What is fitted here (predicate inventory, feature scale) is fitted on the training rows
and kept with the model, so that new texts are read in the same way. Labels are read for
the mean and deviation of a regression task only; no input depends on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from transformers import PreTrainedTokenizerBase

from mase import seeds
from mase.artifacts import digest_of
from mase.data import Rows
from mase.families import family_of
from mase.modalities import Modality
from mase.model.alignment import COLUMNS, alignment_features
from mase.model.features import Standardiser, sentence_features, texts_to_encode, unit
from mase.model.graph_nodes import GraphNodes, NodeFeatures, graph_nodes
from mase.model.inputs import Inputs
from mase.model.task_model import TaskModel
from mase.model.tokens import TokenTable, tokenise
from mase.params import Params
from mase.proxies import ProxyTable, build_tower, extract_proxies
from mase.scenegraph import GraphTable, RelationInventory, build_graphs


@dataclass(frozen=True)
class Fitted:
    """What reading the training rows fixed for good.

    Attributes:
        inventory: the relation types; None without MSSG.
        sentence, node: per proxy modality, the scale of sentence and node features.
        label_mean, label_deviation: of a regression task's training labels (0 and 1 else).
        labels: the answers that the training rows give (`Family.vocabulary`), where the task does not
            name them.
        label_shares: how frequent each is, which a head may start from (`Family.shares`); not kept with
            a trained model.
    """

    inventory: RelationInventory | None
    sentence: dict[Modality, Standardiser]
    node: dict[Modality, Standardiser]
    label_mean: float = 0.0
    label_deviation: float = 1.0
    labels: tuple[str, ...] = ()
    label_shares: tuple[float, ...] = ()

    @property
    def widths(self) -> dict[Modality, int]:
        """Per proxy modality, the width of a text's features."""
        return {m: len(scale.mean) for m, scale in self.sentence.items()}

    @property
    def node_widths(self) -> dict[Modality, int]:
        """Per proxy modality, the width of a node's features; none without MSSG."""
        return {m: len(scale.mean) for m, scale in self.node.items()}

    @property
    def relations(self) -> int:
        """R, the size of the relation inventory; 0 without MSSG."""
        return len(self.inventory.names) if self.inventory is not None else 0


@dataclass(frozen=True)
class Tables:
    """The frozen parts' answers for all texts of a run."""

    sentences: dict[Modality, ProxyTable]
    phrases: dict[Modality, ProxyTable]
    graphs: GraphTable | None


@dataclass(frozen=True)
class Aligned:
    """One split's tokens, and its scene graphs placed on them.

    Attributes:
        tokens: None for a method without a backbone.
        nodes: None without MSSG.
    """

    tokens: TokenTable | None
    nodes: GraphNodes | None


def proxy_modalities(params: Params) -> list[Modality]:
    """Return the modalities other than text, in order."""
    return [m for m in params.modalities if m != "text"]


def extract_all(
    params: Params,
    rows: Sequence[Rows],
    graphs: GraphTable | None,
    root: Path | None = None,
    model: type[TaskModel] = TaskModel,
) -> Tables:
    """Run each tower over the sentences and, where the graph asks for it, the entity phrases.

    `model` says what the towers read of the rows, and which texts beside them. A random tower is
    drawn from the run's seed, so that seeds differ in the tower as well. `root` is the artifact
    store, by default the one under `$MASE_HOME`.
    """
    read = [model.for_towers(params, part) for part in rows]
    beside = {text for part in rows for text in model.texts(params, part)}
    texts = sorted({*texts_to_encode(read, params.proxies.pair_mode), *beside})
    sentences: dict[Modality, ProxyTable] = {}
    phrases: dict[Modality, ProxyTable] = {}
    for modality in proxy_modalities(params):
        tower = build_tower(params.towers[modality], params.seed)
        sentences[modality] = extract_proxies(tower, texts, overflow=params.proxies.overflow, root=root)
        if graphs is not None and params.graph is not None and params.graph.entity_proxy != "sentence":
            prompt = params.towers[modality].entity_prompt
            prompted = [prompt.format(phrase) for phrase in graphs.phrases]
            phrases[modality] = extract_proxies(tower, prompted, overflow="truncate", root=root)
    return Tables(sentences, phrases, graphs)


def parse_all(
    params: Params,
    rows: Sequence[Rows],
    *,
    train: Rows | None = None,
    inventory: RelationInventory | None = None,
    root: Path | None = None,
    model: type[TaskModel] = TaskModel,
) -> GraphTable | None:
    """Parse every sentence; the relation inventory is given, or made from the training sentences.

    None without MSSG, and for the matched head, where `graph` is of the model it is matched to.
    """
    if params.graph is None or params.head.match_parameters_of is not None:
        return None
    read = [model.for_parser(params, part) for part in rows]
    learned = None if inventory is not None or train is None else model.for_parser(params, train).texts()
    return build_graphs(
        sorted({t for part in read for t in part.texts()}),
        inventory=inventory,
        inventory_texts=learned,
        predicates=params.graph.predicates,
        relation_nodes=params.graph.relation_nodes,
        parser=params.graph.parser,
        root=root,
    )


def align(
    params: Params,
    tables: Tables,
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase | None,
    model: type[TaskModel] = TaskModel,
) -> Aligned:
    """Tokenise a split, and find the tokens of its graphs' nodes."""
    if tokenizer is None:
        return Aligned(None, None)
    tokens = tokenise(tokenizer, rows, params.backbone.max_length)
    if tables.graphs is None:
        return Aligned(tokens, None)
    return Aligned(tokens, graph_nodes(tables.graphs, tokens, model.for_parser(params, rows)))


def donors(
    params: Params, rows: Rows, kind: Literal["rows", "nodes", "sentences", "questions"], count: int
) -> np.ndarray:
    """Return whose proxy each of a split's `count` things gets, (count,): its own, or the placebo.

    With `proxies.shuffle` all stand on one random cycle and each takes its neighbour's: none
    keeps its own, and two nodes with the same phrase get unrelated vectors. The cycle follows
    from `data.split_seed` and the ids of the rows, not from labels or batches. A single row
    has no other to take from: it, and its nodes, keep their own.
    """
    order = np.arange(count)
    if params.proxies.shuffle and len(rows) > 1:
        name = f"shuffle/{kind}/{digest_of(list(rows.ids))}"
        cycle = seeds.numpy_generator(params.data.split_seed, name).permutation(count)
        order[cycle] = np.roll(cycle, 1)
    return order


def _node_sources(
    params: Params, tables: Tables, rows: Rows, nodes: GraphNodes, model: type[TaskModel]
) -> list[tuple[dict[Modality, np.ndarray], np.ndarray]]:
    """Return (vectors per modality, index of each node) for every source that `entity_proxy` names."""
    assert params.graph is not None and tables.graphs is not None
    modalities = proxy_modalities(params)
    if not modalities:
        return []
    sources = []
    if params.graph.entity_proxy in ("phrase", "both"):
        vectors: dict[Modality, np.ndarray] = {}
        for m in modalities:
            prompt = params.towers[m].entity_prompt
            rows_of_phrases = tables.phrases[m].rows([prompt.format(p) for p in tables.graphs.phrases])
            vectors[m] = unit(tables.phrases[m].vectors()[rows_of_phrases])
        sources.append((vectors, nodes.phrase[donors(params, rows, "nodes", len(nodes.phrase))]))
    if params.graph.entity_proxy in ("sentence", "both"):
        texts, of_node = model.node_sentences(params, rows, tables.graphs, nodes)
        index = tables.sentences[modalities[0]].rows(texts)[of_node]
        sources.append(({m: unit(tables.sentences[m].vectors()) for m in modalities}, index))
    return sources


def _features(params: Params, tables: Tables, rows: Rows, modality: Modality) -> np.ndarray:
    """Return the (n, d) sentence proxies of a modality, not yet scaled."""
    features = sentence_features(tables.sentences[modality], rows, params.proxies.pair_mode)
    if not aligns(params, rows):
        return features
    assert tables.graphs is not None
    prompt = params.towers[modality].entity_prompt
    sentences, phrases = tables.sentences[modality], tables.phrases[modality]
    return np.concatenate(
        [features, alignment_features(sentences, phrases, prompt, tables.graphs, rows)], axis=1
    )


def aligns(params: Params, rows: Rows) -> bool:
    """Tell whether alignment features go with these rows."""
    return params.proxies.alignment and rows.texts_b is not None and params.proxies.pair_mode == "siamese"


def _scaled(params: Params, scale: Standardiser, features: np.ndarray, rows: Rows) -> np.ndarray:
    """Return standardised features; the few of the alignment weigh as much as all others together."""
    scaled = scale(features)
    if aligns(params, rows):
        others = features.shape[1] - COLUMNS
        scaled[:, others:] *= (others / COLUMNS) ** 0.5
    return scaled


def fit(
    params: Params, tables: Tables, train: Rows, aligned: Aligned, model: type[TaskModel] = TaskModel
) -> Fitted:
    """Fit the feature scales and label statistics on the training rows, which `align` gave `aligned` for."""
    read = model.for_towers(params, train)
    active = params.proxies.standardise
    sentence: dict[Modality, Standardiser] = {
        m: Standardiser.fit(_features(params, tables, read, m), active) for m in proxy_modalities(params)
    }
    node: dict[Modality, Standardiser] = {}
    if aligned.nodes is not None:
        sources = _node_sources(params, tables, train, aligned.nodes, model)
        for m in proxy_modalities(params):
            used = [np.asarray(v[m])[np.unique(index)] for v, index in sources]
            node[m] = Standardiser.beside([Standardiser.fit(u, active) for u in used])
    inventory = tables.graphs.inventory if tables.graphs is not None else None
    if params.task.family != "regression":
        family = family_of(params.task)
        labels = family.vocabulary(params.task, train)
        shares = family.shares(params.task, train, labels)
        return Fitted(inventory, sentence, node, labels=labels, label_shares=shares)
    deviation = float(train.labels.std()) or 1.0
    return Fitted(inventory, sentence, node, float(train.labels.mean()), deviation)


def build_inputs(
    params: Params,
    fitted: Fitted,
    tables: Tables,
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase | None,
    aligned: Aligned | None = None,
    model: type[TaskModel] = TaskModel,
) -> Inputs:
    """Return the label-free inputs of one split, with what else the `model` asks for.

    `aligned` is what `align` says of the rows, where it is known already; the tokenizer is not asked then.
    """
    found = align(params, tables, rows, tokenizer, model) if aligned is None else aligned
    order = rows.text_rows(model.proxy_rows(params, rows))
    read = model.for_towers(params, rows)
    proxies: Mapping[Modality, np.ndarray] = {
        m: _scaled(params, fitted.sentence[m], _features(params, tables, read, m), read)[order]
        for m in proxy_modalities(params)
    }
    sources, start = [], dict.fromkeys(proxies, 0)
    of_nodes = [] if found.nodes is None else _node_sources(params, tables, rows, found.nodes, model)
    for vectors, index in of_nodes:
        scaled = {}
        for m, v in vectors.items():
            scaled[m] = fitted.node[m].part(start[m], start[m] + v.shape[1])(v)
            start[m] += v.shape[1]
        sources.append(NodeFeatures(scaled, index))
    by_sentence = params.proxies.pair_mode == "siamese"
    extras = model.extras(params, fitted, tables, rows, found)
    same = model.for_negatives(params, rows)
    return Inputs(rows, found.tokens, proxies, found.nodes, sources, None, by_sentence, extras, same)
