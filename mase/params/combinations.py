"""Which params go together: what no single field or block can tell.

Methods that cannot do a task's family are refused by `mase.methods.model_class`.
"""

from typing import TYPE_CHECKING

from mase.modalities import MODALITIES
from mase.params.streams import STREAMS

if TYPE_CHECKING:
    from mase.params.models import Params

TOWERS = ("mc_ptm", "mc_ptm_tuned")  # methods that are a tower with a head, without a language model
PROMPTED = ("classification", "regression")  # families that a prompt can be answered for
PROBED = ("classification", "regression")  # families in which a probe has something to learn
MIXED = ("classification", "regression", "multiple_choice")  # families with a mixture of predictions


def check_combination(params: "Params") -> None:
    """Refuse params that do not go together.

    Raises:
        ValueError: which, and what to set instead.
    """
    _check_modalities(params)
    _check_method(params)
    if params.head.kind != "linear":
        _check_prompt(params)
    _check_towers(params)
    _check_objective(params)
    _check_source(params)


def _check_modalities(params: "Params") -> None:
    if list(params.modalities) != [m for m in MODALITIES if m in params.modalities]:
        raise ValueError(f"modalities must be a subset of {list(MODALITIES)} in that order, without repeats")
    if not params.modalities:
        raise ValueError("modalities is empty")


def _check_method(params: "Params") -> None:
    method, modalities = params.method, params.modalities
    if method in ("mase", "mpb", *STREAMS) and "text" not in modalities:
        raise ValueError(f"method {method} needs the text modality")
    if method in TOWERS and (len(modalities) != 1 or "text" in modalities):
        raise ValueError(f"method {method} takes exactly one proxy modality")
    if method == "mc_ptm_tuned" and params.proxies.overflow != "truncate":
        raise ValueError("method mc_ptm_tuned reads one vector of a text; set proxies.overflow to truncate")
    if method in ("iace", "vawi", "zero_shot") and modalities != ("text", "image"):
        raise ValueError(f"method {method} takes the modalities text and image")
    if method in STREAMS:
        _check_streams(params)
    if method == "vawi":
        _check_vawi(params)


def _check_streams(params: "Params") -> None:
    """Refuse what a visual stream beside the language model's last layers cannot be combined with."""
    method, task = params.method, params.task
    if task.family == "vqa" and (task.vqa is None or not task.vqa.regions):
        raise ValueError(f"method {method} reads regions, and task {task.name} has none; take vqa_v2_regions")
    if params.head.hidden:
        raise ValueError(f"method {method} has an answering network of its own; head.hidden does not apply")
    if params.backbone.adapter == "prompt":
        raise ValueError(f"method {method} cannot insert soft tokens; set backbone.adapter to lora or none")
    if params.vilbert.checkpoint is not None and params.backbone.freeze_layers:
        raise ValueError(
            "vilbert.checkpoint fills the language model too, so its lower layers are not those that are "
            "kept for other runs; set backbone.freeze_layers to 0"
        )
    if method == "conceptbert" and params.fusion.width is not None:
        raise ValueError("method conceptbert adds MASE to the token states; leave fusion.width null")


def _check_vawi(params: "Params") -> None:
    """Refuse what cannot be combined with vectors among the backbone's input embeddings."""
    if params.backbone.freeze_layers:
        raise ValueError(
            "method vawi changes what the lowest layer sees, so no layer's output can be kept; "
            "set backbone.freeze_layers to 0"
        )
    if params.backbone.adapter == "prompt":
        raise ValueError("method vawi has vectors of its own; set backbone.adapter to none or lora")
    if params.vawi.train == "reformulation" and params.backbone.adapter != "none":
        raise ValueError("vawi.train: reformulation freezes the language model; set backbone.adapter to none")


def _check_prompt(params: "Params") -> None:
    """Refuse what a pre-trained head does not go with, and a prompt of another number of labels."""
    kind, task = params.head.kind, params.task
    template = None if params.prompt is None else params.prompt.of(kind)
    if params.method not in ("mase", "mpb"):
        raise ValueError(f"head.kind: {kind} is for methods mase and mpb, not for {params.method}")
    if params.m_objective == "mixture" or params.allocation.head == "probe":
        raise ValueError(f"head.kind: {kind} goes with m_objective: fused and allocation.head: shared")
    if params.head.hidden or params.head.match_parameters_of is not None:
        raise ValueError(f"head.kind: {kind} is the backbone's own head; head.hidden does not apply")
    if template is None or task.family not in PROMPTED:
        return  # `mase.baselines.prompt.check_prompt` refuses it
    labels = len(task.labels) if task.family == "classification" else 2
    if len(template.words) != labels:
        what = f"{labels} labels" if task.family == "classification" else "a lowest and a highest score"
        raise ValueError(f"prompt.{kind}.words are {len(template.words)}, but the task has {what}")
    if task.family == "regression" and task.label_range is None:
        raise ValueError(f"head.kind: {kind} needs task.label_range, the scores that the words stand for")


def _check_towers(params: "Params") -> None:
    missing = [m for m in params.modalities if m != "text" and m not in params.towers]
    if missing:
        raise ValueError(f"no tower for {missing}; add towers.{missing[0]}")
    if params.proxies.alignment and (params.graph is None or params.graph.entity_proxy == "sentence"):
        raise ValueError(
            "proxies.alignment compares entities, so it needs a graph with entity_proxy phrase or both"
        )


def _check_objective(params: "Params") -> None:
    count, family = len(params.modalities), params.task.family
    if params.allocation.floor * count > 1:
        raise ValueError(
            f"allocation.floor is {params.allocation.floor}, but {count} modalities "
            f"cannot all have more than 1/{count}"
        )
    if params.allocation.head == "probe" and family not in PROBED:
        raise ValueError(f"allocation.head: probe has no class to learn in a {family} task; use shared")
    if params.m_objective != "mixture":
        return
    if family not in MIXED:
        raise ValueError(f"m_objective: mixture is for {', '.join(MIXED)}, not for {family}")
    if (params.fusion.proxy_gate, params.fusion.rescale) != ("none", "none"):
        raise ValueError(
            "m_objective: mixture has no weighted sum; set fusion.proxy_gate and fusion.rescale to none"
        )


def _check_source(params: "Params") -> None:
    task, data = params.task, params.data
    if task.family == "cloze" and (data.evaluate_on != "dev" or data.folds is not None):
        raise ValueError(
            f"task {task.name} learns from texts and is scored on its probe; set data.evaluate_on "
            "to dev and data.folds to null, or take the supervised task"
        )
    if data.source == "files" and not data.dir and not (task.files is not None and task.files.located):
        raise ValueError("data.source is files, but data.dir is not set; pass --data-dir")
    if getattr(task, data.source) is None:
        raise ValueError(f"task {task.name} has no {data.source} source; see data.source")
