"""The released layout of ViLBERT's weights: a state dict of torch, keys of `VILBertForVLTasks`.

    bert.embeddings.*, bert.encoder.layer.N.*     the language model, all its layers
    bert.v_embeddings.*                           image_embeddings, image_location_embeddings, LayerNorm
    bert.encoder.v_layer.N.*                      the visual layers
    bert.encoder.c_layer.N.*                      co-attention: query1 of the picture, query2 of the text
    bert.t_pooler.dense.*, bert.v_pooler.dense.*  the poolers
    vil_prediction.main.0.*, main.3.*             the answering network, weight_g and weight_v apart

Left out by name: `cls.*`, `vil_logit.*`, `vision_logit.*`, `linguisic_logit.*` (heads of other tasks; so
spelt there), and `q_dense1`, `q_dense2` of co-attention, which the released forward pass does not use. A
checkpoint from pre-training has no `vil_prediction.*`; the answering network is new then. The order of the
answers is not in the file: `vilbert.answers` gives it, else `vil_prediction.main.3.*` is left out.

ConceptBert's checkpoints hold the same below `vilbert.`; of the rest (`q_kg_transformer.*`, `aggregator.*`,
`vil_prediction.*`, `*conceptnet_embedding*`, `*LayerNorm_kb*`) nothing is read: its layers are built
otherwise there.
"""

import json
import logging
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mase.errors import CheckpointFormatError, MissingWeightsError
from mase.params.streams import VilbertParams

log = logging.getLogger(__name__)

ANSWERS = "vil_prediction.main.3."
PREDICTION = "vil_prediction."
CONCEPTBERT = "vilbert."
LEFT_OUT = re.compile(r"^(cls|vil_logit|vision_logit|linguisic_logit)\.|\.q_dense[12]\.|embeddings\.position_ids$")
LEFT_OUT_OF_CONCEPTBERT = re.compile(
    r"^(q_kg_transformer|aggregator|vil_prediction|question_pooler|fusion_question)\.|conceptnet_embedding|LayerNorm_kb"
)
FEED = {"inner": "{0}intermediate.dense", "outer.dense": "{0}output.dense", "outer.norm": "{0}output.LayerNorm"}
STREAMS = {
    r"streams\.embeddings\.feature": "bert.v_embeddings.image_embeddings",
    r"streams\.embeddings\.place": "bert.v_embeddings.image_location_embeddings",
    r"streams\.embeddings\.norm": "bert.v_embeddings.LayerNorm",
    r"streams\.visual\.(\d+)\.attention": r"bert.encoder.v_layer.\1.attention.self",
    r"streams\.visual\.(\d+)\.mixed\.dense": r"bert.encoder.v_layer.\1.attention.output.dense",
    r"streams\.visual\.(\d+)\.mixed\.norm": r"bert.encoder.v_layer.\1.attention.output.LayerNorm",
    r"streams\.visual\.(\d+)\.feed": r"bert.encoder.v_layer.\1",
    r"streams\.bridges\.(\d+)\.visual\.(\w+)": r"bert.encoder.c_layer.\1.biattention.\g<2>1",
    r"streams\.bridges\.(\d+)\.text\.(\w+)": r"bert.encoder.c_layer.\1.biattention.\g<2>2",
    r"streams\.bridges\.(\d+)\.visual_mixed\.dense": r"bert.encoder.c_layer.\1.biOutput.dense1",
    r"streams\.bridges\.(\d+)\.visual_mixed\.norm": r"bert.encoder.c_layer.\1.biOutput.LayerNorm1",
    r"streams\.bridges\.(\d+)\.text_mixed\.dense": r"bert.encoder.c_layer.\1.biOutput.dense2",
    r"streams\.bridges\.(\d+)\.text_mixed\.norm": r"bert.encoder.c_layer.\1.biOutput.LayerNorm2",
    r"streams\.bridges\.(\d+)\.visual_feed": r"bert.encoder.c_layer.\1.v_",
    r"streams\.bridges\.(\d+)\.text_feed": r"bert.encoder.c_layer.\1.t_",
    r"text_pooler": "bert.t_pooler.dense",
    r"visual_pooler": "bert.v_pooler.dense",
    r"head\.main\.(\d)": r"vil_prediction.main.\1",
}
INSIDE = {
    r"^(.*)([_.]?)\.inner\.": "intermediate.dense.",
    r"^(.*)([_.]?)\.outer\.dense\.": "output.dense.",
    r"^(.*)([_.]?)\.outer\.norm\.": "output.LayerNorm.",
}
NORMALISED = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
