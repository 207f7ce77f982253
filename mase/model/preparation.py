"""From rows to model inputs: run the parser and the towers once, tokenise, standardise.

What is fitted here (predicate inventory, feature scale) is fitted on the training rows
and kept with the model, so that new texts are read in the same way. Labels are read for
the mean and deviation of a regression task only; no input depends on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.families import family_of
from mase.modalities import Modality
from mase.model.features import Standardiser, texts_to_encode
from mase.model.graph_nodes import GraphNodes, NodeFeatures, csr_ranges, graph_nodes
from mase.model.inputs import Inputs
from mase.model.proxy_features import (
    node_sources,
    proxy_modalities,
    scaled_features,
    text_features,
)
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


def extract_all(
    params: Params,
    rows: Sequence[Rows],
    graphs: GraphTable | None,
    root: Path | None = None,
    model: type[TaskModel] = TaskModel,
    apart: Sequence[Rows] = (),
) -> Tables:
    """Run each tower over the sentences and, where the graph asks for it, the entity phrases.

    `model` says what the towers read of the rows, and which texts beside them. A random tower is
    drawn from the run's seed, so that seeds differ in the tower as well. `root` is the artifact
    store, by default the one under `$MASE_HOME`. The texts of the rows `apart` are encoded in batches of
    their own, so that no vector of the others depends on them, be it by rounding.
    """
    texts, more = (_texts(params, part, model) for part in (rows, apart))
    sentences: dict[Modality, ProxyTable] = {}
    phrases: dict[Modality, ProxyTable] = {}
    for modality in proxy_modalities(params):
        tower = build_tower(params.towers[modality], params.seed)
        overflow = params.proxies.overflow
        sentences[modality] = extract_proxies(tower, texts, apart=more, overflow=overflow, root=root)
        if graphs is not None and params.graph is not None and params.graph.entity_proxy != "sentence":
            prompt = params.towers[modality].entity_prompt
            first = _phrases(params, graphs, rows, model) if apart else graphs.phrases
            prompted, rest = ([prompt.format(phrase) for phrase in part] for part in (first, graphs.phrases))
            phrases[modality] = extract_proxies(tower, prompted, apart=rest, overflow="truncate", root=root)
    return Tables(sentences, phrases, graphs)


def _texts(params: Params, rows: Sequence[Rows], model: type[TaskModel]) -> list[str]:
    """Return what the towers read of some rows, and beside them."""
    read = [model.for_towers(params, part) for part in rows]
    beside = {text for part in rows for text in model.texts(params, part)}
    return sorted({*texts_to_encode(read, params.proxies.pair_mode), *beside})


def _phrases(params: Params, graphs: GraphTable, rows: Sequence[Rows], model: type[TaskModel]) -> list[str]:
    """Return the phrases in the graphs of some rows."""
    texts = sorted({text for part in rows for text in model.for_parser(params, part).texts()})
    node, _ = csr_ranges(graphs.node_pointer, graphs.rows(texts))
    return [graphs.phrases[number] for number in np.unique(graphs.node_phrase[node])]


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


def fit(
    params: Params, tables: Tables, train: Rows, aligned: Aligned, model: type[TaskModel] = TaskModel
) -> Fitted:
    """Fit the feature scales and label statistics on the training rows, which `align` gave `aligned` for."""
    read = model.for_towers(params, train)
    active = params.proxies.standardise
    sentence: dict[Modality, Standardiser] = {
        m: Standardiser.fit(text_features(params, tables, read, m), active) for m in proxy_modalities(params)
    }
    node: dict[Modality, Standardiser] = {}
    if aligned.nodes is not None:
        sources = node_sources(params, tables, train, aligned.nodes, model)
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
        m: scaled_features(params, fitted.sentence[m], text_features(params, tables, read, m), read)[order]
        for m in proxy_modalities(params)
    }
    sources, start = [], dict.fromkeys(proxies, 0)
    of_nodes = [] if found.nodes is None else node_sources(params, tables, rows, found.nodes, model)
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
