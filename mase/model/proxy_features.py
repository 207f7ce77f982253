"""What the towers say of a split's texts and of its graphs' nodes, as arrays."""

from typing import TYPE_CHECKING

import numpy as np

from mase.data import Rows
from mase.modalities import Modality
from mase.model.alignment import COLUMNS, alignment_features
from mase.model.features import Standardiser, sentence_features, unit
from mase.model.graph_nodes import GraphNodes
from mase.model.placebo import donors
from mase.params import Params

if TYPE_CHECKING:
    from mase.model.preparation import Tables
    from mase.model.task_model import TaskModel


def proxy_modalities(params: Params) -> list[Modality]:
    """Return the modalities other than text, in order."""
    return [m for m in params.modalities if m != "text"]


def node_sources(
    params: Params, tables: "Tables", rows: Rows, nodes: GraphNodes, model: type["TaskModel"]
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


def text_features(params: Params, tables: "Tables", rows: Rows, modality: Modality) -> np.ndarray:
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


def scaled_features(params: Params, scale: Standardiser, features: np.ndarray, rows: Rows) -> np.ndarray:
    """Return standardised features; the few of the alignment weigh as much as all others together."""
    scaled = scale(features)
    if aligns(params, rows):
        others = features.shape[1] - COLUMNS
        scaled[:, others:] *= (others / COLUMNS) ** 0.5
    return scaled
