"""Params: what a run's YAML may say (`task`, `models`) and how the files combine (`files`).

Below this room nothing reads YAML or dictionaries: functions take these models or plain
values.
"""

from mase.params.base import Frozen, Positive, Share
from mase.params.baselines import IaceParams, PromptParams, PromptTemplate, RetrievalParams, VawiParams
from mase.params.data import DataParams
from mase.params.encoders import BackboneParams, TowerParams
from mase.params.files import (
    available,
    load_params,
    merge,
    overlay,
    params_root,
    parse_override,
    read_named,
    read_yaml,
    validate,
)
from mase.params.models import (
    AllocationParams,
    ContrastiveParams,
    FusionParams,
    GenerationParams,
    GraphParams,
    HeadParams,
    Params,
    ParserName,
    ProxyParams,
    TrainingParams,
)
from mase.params.task import FileColumns, FileSource, HubSource, TaskParams

__all__ = [
    "AllocationParams",
    "BackboneParams",
    "ContrastiveParams",
    "DataParams",
    "FileColumns",
    "FileSource",
    "Frozen",
    "FusionParams",
    "GenerationParams",
    "GraphParams",
    "HeadParams",
    "HubSource",
    "IaceParams",
    "Params",
    "ParserName",
    "Positive",
    "PromptParams",
    "PromptTemplate",
    "ProxyParams",
    "RetrievalParams",
    "Share",
    "TaskParams",
    "TowerParams",
    "TrainingParams",
    "VawiParams",
    "available",
    "load_params",
    "merge",
    "overlay",
    "params_root",
    "parse_override",
    "read_named",
    "read_yaml",
    "validate",
]
