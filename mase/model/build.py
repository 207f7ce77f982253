"""The one place that decides which module a run's params mean."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mase import seeds
from mase.baselines.mc_ptm import TowerWithHead
from mase.baselines.mpb import MultimodalProxyBaseline
from mase.errors import ParamsError
from mase.families import family_of
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.heads import Head, hidden_width_for
from mase.model.mase import MaseModel, fusion_width
from mase.model.preparation import Fitted
from mase.params import FusionParams, Params
from mase.scenegraph import RelationInventory

AnyModel = MaseModel | MultimodalProxyBaseline | TowerWithHead


def build_model(params: Params, fitted: Fitted, architecture: Path | None = None) -> AnyModel:
    """Return the freshly initialised model of a run; the same seed gives the same weights.

    The backbone and the head are built first, so that runs which differ only in what is
    added to them start from the same weights. `architecture` is the folder of a saved
    backbone config, for a model whose weights will be loaded.

    With `head.match_parameters_of` the model is text alone under a wide head; graph, fusion
    and contrastive loss of the params then only say what the head is matched to.

    Raises:
        ParamsError: if the text enters by identity at another width than the backbone's, or a
            matched head is asked of anything but text alone, or lacks the graph of full MASE.
    """
    _check_matched_head(params)
    seeds.seed_everything(seeds.derive(params.seed, "initialisation"))
    widths: dict[Modality, int] = {m: len(s.mean) for m, s in fitted.sentence.items()}
    outputs = family_of(params.task).outputs(params.task)
    if params.method == "mc_ptm":
        (modality,) = params.modalities
        return TowerWithHead(_head(params, fitted, widths[modality], outputs), modality)
    backbone = Backbone(params.backbone, architecture)
    if params.head.match_parameters_of is not None:
        params = _text_alone(params, backbone.width)
    if params.method == "mpb":
        head = _head(params, fitted, MultimodalProxyBaseline.width(backbone, widths), outputs)
        return MultimodalProxyBaseline(backbone, head, params.modalities)
    width = fusion_width(params, backbone)
    if params.fusion.text_entry == "identity" and width != backbone.width:
        raise ParamsError(
            f"fusion.width: {width}, but the text enters by identity at the backbone's {backbone.width}"
        )
    head = _head(params, fitted, width, outputs)
    nodes: dict[Modality, int] = {m: len(s.mean) for m, s in fitted.node.items()}
    relations = len(fitted.inventory.names) if fitted.inventory is not None else 0
    return MaseModel(params, backbone, head, widths, nodes, relations)


def _head(params: Params, fitted: Fitted, width: int, outputs: int) -> Head:
    return Head(
        width, outputs, params.head, fitted.label_mean, fitted.label_deviation, options=params.task.options
    )


def _check_matched_head(params: Params) -> None:
    full = params.method == "mase" and params.modalities == ("text",) and params.graph is not None
    if params.head.match_parameters_of is not None and not full:
        raise ParamsError(
            "head.match_parameters_of: the matched head is for text alone, and the params must say what full "
            "MASE is; take controls/matched_head over methods/mase, not over methods/text or an ablation"
        )


def _text_alone(params: Params, width: int) -> Params:
    """Return the params of text alone whose head has as many parameters as full MASE adds to the backbone."""
    outputs = family_of(params.task).outputs(params.task)
    hidden = hidden_width_for(full_mase_parameters(params, width), width, outputs)
    head = params.head.model_copy(update={"hidden": hidden, "match_parameters_of": None})
    return params.model_copy(update={"head": head, "graph": None, "fusion": FusionParams()})


class _BackboneWidth(nn.Module):
    """A backbone without parameters, to count what MASE adds to one."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width


def full_mase_parameters(params: Params, width: int) -> int:
    """Return how many parameters the run's full MASE adds to a backbone of this width, head included.

    All towers of the params count, with the graph, fusion and contrastive head of the params,
    which are the preset's. The mixture gate of the preset `em` does not: the control trains
    text alone, without a mixture.
    """
    assert params.graph is not None
    siamese = params.second_texts > 0 and params.proxies.pair_mode == "siamese"
    sources = 2 if params.graph.entity_proxy == "both" else 1
    towers: dict[Modality, int] = {m: t.output_width for m, t in params.towers.items()}
    proxies: dict[Modality, int] = {m: (4 if siamese else 1) * w for m, w in towers.items()}
    nodes: dict[Modality, int] = {m: sources * w for m, w in towers.items()}
    full = params.model_copy(update={"modalities": ("text", *towers)})
    relations = len(RelationInventory([], params.graph.predicates))
    with torch.device("meta"):
        backbone: Any = _BackboneWidth(width)
        head_params = params.head.model_copy(update={"match_parameters_of": None})
        head = Head(fusion_width(params, backbone), family_of(params.task).outputs(params.task), head_params)
        model = MaseModel(full, backbone, head, proxies, nodes, relations)
    return sum(p.numel() for p in model.parameters())


def trainable_parameters(model: nn.Module) -> dict[str, int]:
    """Return the number of trainable parameters, in all and by top-level part."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = name.split(".")[0]
            counts[part] = counts.get(part, 0) + parameter.numel()
    return {"total": sum(counts.values()), **counts}
