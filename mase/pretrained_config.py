"""`config.json` of a trained model: what Hugging Face's tools read of it.

It says what the model is, so that a folder can be told apart, searched and shown. What builds the
model is `params.yaml` beside it, whole and validated; `config.json` repeats none of its settings
but names.
"""

from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from mase import __version__
from mase.params import Params

PROBLEMS = {"classification": "single_label_classification", "regression": "regression"}


class MaseConfig(PreTrainedConfig):
    """The config of a model of this package; `AutoConfig` knows it once `mase.pretrained` is imported."""

    model_type = "mase"


def config_of(params: Params, architecture: str, backbone: PreTrainedConfig | None) -> MaseConfig:
    """Return what is said of a model.

    Args:
        architecture: name of the model's class.
        backbone: the language model's config; None for a method without one.
    """
    task = params.task
    said: dict[str, Any] = {
        "architectures": [architecture],
        "problem_type": PROBLEMS.get(task.family),
        "task": task.name,
        "family": task.family,
        "method": params.method,
        "modalities": list(params.modalities),
        "towers": {m: params.towers[m].name for m in params.modalities if m in params.towers},
        "backbone": params.backbone.name if backbone is not None else None,
        "backbone_type": backbone.model_type if backbone is not None else None,
        "seed": params.seed,
        "mase_version": __version__,
        "params_file": "params.yaml",
    }
    if task.labels:
        said["id2label"] = dict(enumerate(task.labels))
        said["label2id"] = {name: number for number, name in enumerate(task.labels)}
    elif task.family == "regression":
        said["num_labels"] = 1
    return MaseConfig(**said)


AutoConfig.register(MaseConfig.model_type, MaseConfig, exist_ok=True)
