"""The one place that decides which module a run's params mean: by method, and by family where it differs."""

from pathlib import Path

from torch import nn

from mase import seeds
from mase.baselines.conceptbert.model import Conceptbert
from mase.baselines.iace import ImaginationModel
from mase.baselines.mc_ptm import TowerWithHead, TunedTower
from mase.baselines.mpb import MultimodalProxyBaseline
from mase.baselines.mpb_cloze import ClozeProxyBaseline
from mase.baselines.mpb_generation import GenerationBaseline
from mase.baselines.mpb_span import SpanProxyBaseline
from mase.baselines.prompt import PromptedMase, PromptedProxyBaseline, check_prompt
from mase.baselines.vawi.model import VisuallyAugmentedModel
from mase.baselines.vawi.writer import VisuallyAugmentedWriter
from mase.baselines.vilbert.model import Vilbert
from mase.baselines.zero_shot import ZeroShotEnsemble
from mase.errors import ParamsError
from mase.model.cloze import ClozeModel
from mase.model.generation import GenerationModel
from mase.model.mase import MaseModel
from mase.model.matched_head import check_matched_head
from mase.model.preparation import Fitted
from mase.model.span import SpanModel
from mase.model.task_model import TaskModel
from mase.model.vqa import VqaModel, VqaProxyBaseline, VqaTower, VqaTunedTower
from mase.params import Params

METHODS: dict[str, type[TaskModel]] = {
    "mase": MaseModel,
    "mpb": MultimodalProxyBaseline,
    "mc_ptm": TowerWithHead,
    "mc_ptm_tuned": TunedTower,
    "iace": ImaginationModel,
    "vawi": VisuallyAugmentedModel,
}
# With `head.kind: nsp` or `mlm`.
PROMPTED: dict[str, type[TaskModel]] = {"mase": PromptedMase, "mpb": PromptedProxyBaseline}
# Families whose answers are not one vector per row; a method that is not named there cannot give them.
OF_FAMILY: dict[str, dict[str, type[TaskModel]]] = {
    "cloze": {"mase": ClozeModel, "mpb": ClozeProxyBaseline, "zero_shot": ZeroShotEnsemble},
    "generation": {"mase": GenerationModel, "mpb": GenerationBaseline, "vawi": VisuallyAugmentedWriter},
    "span": {"mase": SpanModel, "mpb": SpanProxyBaseline},
    "vqa": {
        "mase": VqaModel,
        "mpb": VqaProxyBaseline,
        "mc_ptm": VqaTower,
        "mc_ptm_tuned": VqaTunedTower,
        "vilbert": Vilbert,
        "conceptbert": Conceptbert,
    },
}


def model_class(params: Params) -> type[TaskModel]:
    """Return the class of a run's model.

    Raises:
        ParamsError: if the method cannot answer tasks of this family.
    """
    methods = OF_FAMILY.get(params.task.family, METHODS)
    if params.head.kind != "linear":
        check_prompt(params)
        methods = PROMPTED
    if params.method not in methods:
        raise ParamsError(
            f"method {params.method} cannot do {params.task.name}, a {params.task.family} task; "
            f"there is: {', '.join(methods)}"
        )
    return methods[params.method]


def build_model(params: Params, fitted: Fitted, architecture: Path | None = None) -> TaskModel:
    """Return the freshly initialised model of a run; the same seed gives the same weights.

    `architecture` is the folder of a saved backbone config, for a model whose weights will be loaded.

    With `head.match_parameters_of` the model is text alone under a wide head; graph, fusion
    and contrastive loss of the params then only say what the head is matched to.

    Raises:
        ParamsError: if the text enters by identity at another width than the backbone's, a matched
            head is asked of anything but text alone, or lacks the graph of full MASE, or the
            method cannot do the task.
    """
    check_matched_head(params)
    seeds.seed_everything(seeds.derive(params.seed, "initialisation"))
    return model_class(params).build(params, fitted, architecture)


def trainable_parameters(model: nn.Module) -> dict[str, int]:
    """Return the number of trainable parameters, in all and by top-level part."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = name.split(".")[0]
            counts[part] = counts.get(part, 0) + parameter.numel()
    return {"total": sum(counts.values()), **counts}
