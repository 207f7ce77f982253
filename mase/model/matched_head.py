"""The control `head.match_parameters_of: mase`: text alone under a head as large as all that MASE adds."""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mase.errors import ParamsError
from mase.families import family_of
from mase.modalities import Modality
from mase.model.heads import Head, hidden_width_for
from mase.params import FusionParams, Params
from mase.scenegraph import RelationInventory

if TYPE_CHECKING:
    from mase.model.mase import MaseModel
    from mase.model.preparation import Fitted


def check_matched_head(params: Params) -> None:
    """Refuse a matched head over anything but text alone with full MASE's graph in the params.

    Raises:
        ParamsError: if that is asked.
    """
    full = params.method == "mase" and params.modalities == ("text",) and params.graph is not None
    if params.head.match_parameters_of is not None and not full:
        raise ParamsError(
            "head.match_parameters_of: the matched head is for text alone, and the params must say what full "
            "MASE is; take controls/matched_head over methods/mase, not over methods/text or an ablation"
        )


def text_alone(model: "type[MaseModel]", params: Params, fitted: "Fitted", width: int) -> Params:
    """Return the params of text alone whose head has as many parameters as full MASE adds to the backbone."""
    outputs = family_of(params.task).outputs(params.task, fitted.labels)
    hidden = hidden_width_for(full_mase_parameters(model, params, fitted, width), width, outputs)
    head = params.head.model_copy(update={"hidden": hidden, "match_parameters_of": None})
    return params.model_copy(update={"head": head, "graph": None, "fusion": FusionParams()})


class _BackboneWidth(nn.Module):
    """A backbone without parameters, to count what MASE adds to one."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width


def full_mase_parameters(model: "type[MaseModel]", params: Params, fitted: "Fitted", width: int) -> int:
    """Return how many parameters the run's full MASE adds to a backbone of this width, head included.

    All towers of the params count, with the graph, fusion and contrastive head of the params,
    which are the preset's. The mixture gate of the preset `em` does not: the control trains
    text alone, without a mixture.
    """
    assert params.graph is not None
    pairs = params.second_texts > 0 and params.task.family != "span"  # there towers read questions alone
    siamese = pairs and params.proxies.pair_mode == "siamese"
    sources = 2 if params.graph.entity_proxy == "both" else 1
    towers: dict[Modality, int] = {m: t.output_width for m, t in params.towers.items()}
    proxies: dict[Modality, int] = {m: (4 if siamese else 1) * w for m, w in towers.items()}
    nodes: dict[Modality, int] = {m: sources * w for m, w in towers.items()}
    full = params.model_copy(update={"modalities": ("text", *towers)})
    relations = len(RelationInventory([], params.graph.predicates))
    outputs = family_of(params.task).outputs(params.task, fitted.labels)
    with torch.device("meta"):
        backbone: Any = _BackboneWidth(width)
        head_params = params.head.model_copy(update={"match_parameters_of": None})
        head = Head(params.fusion.width or width, outputs, head_params)
        whole = model(full, backbone, head, proxies, nodes, relations)
    added = [p for name, p in whole.named_parameters() if name.split(".")[0] not in model.of_every_method]
    return sum(p.numel() for p in added)
