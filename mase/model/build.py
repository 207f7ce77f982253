"""The one place that decides which module a run's params mean."""

from pathlib import Path

import torch
from torch import nn

from mase import seeds
from mase.baselines.mc_ptm import TowerWithHead
from mase.baselines.mpb import MultimodalProxyBaseline
from mase.errors import ParamsError
from mase.modalities import Modality
from mase.model.backbone import Backbone
from mase.model.heads import Head, hidden_width_for
from mase.model.mase import MaseModel, fusion_width
from mase.model.preparation import Fitted
from mase.params import ContrastiveParams, FusionParams, GraphParams, Params
from mase.scenegraph import RelationInventory

AnyModel = MaseModel | MultimodalProxyBaseline | TowerWithHead


def outputs_of(params: Params) -> int:
    """Return C, or 1 for regression."""
    return len(params.task.labels) if params.task.family == "classification" else 1


def build_model(params: Params, fitted: Fitted, architecture: Path | None = None) -> AnyModel:
    """Return the freshly initialised model of a run; the same seed gives the same weights.

    The backbone and the head are built first, so that runs which differ only in what is
    added to them start from the same weights. `architecture` is the folder of a saved
    backbone config, for a model whose weights will be loaded.

    Raises:
        ParamsError: if the text enters by identity at another width than the backbone's.
    """
    seeds.seed_everything(seeds.derive(params.seed, "initialisation"))
    widths: dict[Modality, int] = {m: len(s.mean) for m, s in fitted.sentence.items()}
    outputs = outputs_of(params)
    if params.method == "mc_ptm":
        (modality,) = params.modalities
        return TowerWithHead(_head(params, fitted, widths[modality], outputs), modality)
    backbone = Backbone(params.backbone, architecture)
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
    head = params.head
    if head.match_parameters_of == "mase":
        budget = full_mase_parameters(params, width, outputs)
        head = head.model_copy(update={"hidden": hidden_width_for(budget, width, outputs)})
    return Head(width, outputs, head, fitted.label_mean, fitted.label_deviation)


class _BackboneWidth(nn.Module):
    """A backbone without parameters, to count what MASE adds to one."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width


def full_mase_parameters(params: Params, width: int, outputs: int) -> int:
    """Return how many parameters full MASE adds to the backbone, head included.

    Used by the parameter-matched control. Proxy widths come from the towers' params, and
    graph, fusion and contrastive head are the ones of the default preset.
    """
    siamese = params.has_pairs and params.proxies.pair_mode == "siamese"
    towers: dict[Modality, int] = {m: t.output_width for m, t in params.towers.items()}
    proxies: dict[Modality, int] = {m: (4 if siamese else 1) * w for m, w in towers.items()}
    graph = GraphParams()
    full = params.model_copy(
        update={
            "modalities": ("text", *towers),
            "graph": graph,
            "fusion": FusionParams(),
            "contrastive": ContrastiveParams(),
        }
    )
    relations = len(RelationInventory([], graph.predicates))
    with torch.device("meta"):
        head = Head(width, outputs, params.head.model_copy(update={"match_parameters_of": None}))
        model = MaseModel(full, _BackboneWidth(width), head, proxies, towers, relations)  # type: ignore[arg-type]
    return sum(p.numel() for p in model.parameters())


def trainable_parameters(model: nn.Module) -> dict[str, int]:
    """Return the number of trainable parameters, in all and by top-level part."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = name.split(".")[0]
            counts[part] = counts.get(part, 0) + parameter.numel()
    return {"total": sum(counts.values()), **counts}
