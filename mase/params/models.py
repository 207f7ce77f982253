"""Typed params: the fields of a run, with bounds, defaults and what they mean.

Each default is written in this folder and nowhere else. Models are frozen and closed to unknown
keys.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mase.modalities import MODALITIES, Modality
from mase.params.base import Frozen, Positive, Share
from mase.params.baselines import IaceParams, PromptParams, VawiParams
from mase.params.combinations import check_combination
from mase.params.data import DataParams
from mase.params.encoders import BackboneParams, TowerParams
from mase.params.streams import ConceptbertParams, VilbertParams, ZeroShotParams
from mase.params.task import TaskParams

ParserName = Literal["rules", "learned", "factual-t5"]


class ProxyParams(Frozen):
    """How proxies are made from texts (Section 3.1)."""

    pair_mode: Literal["joined", "siamese"] = "siamese"
    overflow: Literal["truncate", "chunk_mean"] = "truncate"
    standardise: bool = Field(
        default=True, description="by the training rows' mean and deviation, per feature"
    )
    shuffle: bool = Field(default=False, description="control: permute proxies over instances")
    alignment: bool = Field(
        default=False,
        description="siamese pairs: beside the features, how alike the tower finds the sentences and their "
        "entities (needs graph.entity_proxy phrase or both)",
    )


class FusionParams(Frozen):
    """How modalities meet (Eq. 1)."""

    width: Positive | None = Field(default=None, description="D; by default the backbone's width")
    text_entry: Literal["identity", "projection"] = "identity"
    proxy_gate: Literal["none", "zero"] = Field(
        default="zero", description="zero: proxies enter through zero-initialised gates"
    )
    rescale: Literal["none", "max"] = Field(
        default="max", description="max: divide the sum by the largest weight"
    )


class GraphParams(Frozen):
    """The multimodal-semantic scene graph and its attention (Eqs. 12-14)."""

    parser: ParserName = Field(
        default="learned", description="factual-t5 needs the package FactualSceneGraph"
    )
    width: Positive = 64
    bases: Positive = 8
    heads: Positive = Field(default=4, description="K; divides `width`")
    layers: Positive = 1
    attention: Literal["shared", "per_modality"] = "per_modality"
    dropout: Share = 0.1
    entity_proxy: Literal["phrase", "sentence", "both"] = "phrase"
    relation_nodes: bool = True
    predicates: Positive = Field(
        default=32, description="K most frequent predicates of the training graphs; the rest is UNK"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "GraphParams":
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) is not a multiple of heads ({self.heads})")
        return self


class AllocationParams(Frozen):
    """The E-step's allocation weights (Eqs. 5, 10, 11)."""

    mode: Literal["information", "fixed"] = "information"
    iterations: Positive = Field(default=10, description="T, E-steps spread over the step budget")
    calibrate: bool = Field(
        default=True, description="temperature and bias per modality, fitted on one half, scored on the other"
    )
    features: Literal["pre", "post"] = Field(
        default="post", description="information before or after the graph; both are logged"
    )
    head: Literal["shared", "probe"] = "shared"
    estimate_on: Literal["slice", "train"] = "slice"
    floor: Share = Field(default=0.02, description="epsilon: no weight falls below it")
    ema: Share = Field(default=0.5, description="share of the old weights kept at each E-step")
    tolerance: float | None = Field(default=None, description="stop updating when the L1 change is below it")


class ContrastiveParams(Frozen):
    """The cross-modal contrastive loss (Eq. 8) and its weight (Eq. 9)."""

    alpha: Annotated[float, Field(ge=0.0)] = 0.1
    tau: Annotated[float, Field(gt=0.0)] = 0.07
    head_width: Positive | None = 128
    mask_duplicates: bool = True


class HeadParams(Frozen):
    """The task head."""

    kind: Literal["linear", "nsp", "mlm"] = Field(
        default="linear",
        description="linear: new; nsp, mlm: the backbone's own pre-trained head answers a prompt "
        "(params/prompts/), hidden and dropout do not apply",
    )
    hidden: int = Field(default=0, ge=0, description="0: linear; else one hidden layer of this width")
    match_parameters_of: Literal["mase"] | None = Field(
        default=None,
        description="control: widen the hidden layer until the trainable count equals full MASE's",
    )
    dropout: Share = 0.1


class GenerationParams(Frozen):
    """The decoder of a generation task, and how it writes."""

    decoder_layers: Positive = Field(
        default=2,
        description="a backbone without a decoder gets one of this many layers, its own lowest ones",
    )
    prefix_slots: Positive = Field(default=4, description="k, vectors of the soft prefix of proxies")
    max_target_length: Positive = Field(default=32, description="tokens of a sentence, its end among them")
    beams: Positive = Field(default=4, description="sentences kept in the search; 1: greedy")


class TrainingParams(Frozen):
    """The M-step's optimiser and its budget."""

    epochs: Annotated[float, Field(gt=0)] = 3.0
    max_steps: Positive | None = None
    batch_size: Positive = 32
    eval_batch_size: Positive = 64
    lr_backbone: Annotated[float, Field(gt=0)] = 2e-5
    lr_new: Annotated[float, Field(gt=0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    warmup: Share = 0.1
    clip: Annotated[float, Field(gt=0)] = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_every: Positive = Field(default=1, description="in E-steps; does not change the result")


class Params(Frozen):
    """Everything that one training run depends on."""

    task: TaskParams
    data: DataParams = DataParams()
    backbone: BackboneParams
    towers: dict[Modality, TowerParams]
    method: Literal[
        "mase", "mpb", "mc_ptm", "mc_ptm_tuned", "iace", "vawi", "vilbert", "conceptbert", "zero_shot"
    ] = "mase"
    modalities: tuple[Modality, ...] = MODALITIES
    proxies: ProxyParams = ProxyParams()
    fusion: FusionParams = FusionParams()
    graph: GraphParams | None = GraphParams()
    allocation: AllocationParams = AllocationParams()
    contrastive: ContrastiveParams = ContrastiveParams()
    m_objective: Literal["fused", "mixture"] = "fused"
    head: HeadParams = HeadParams()
    generation: GenerationParams = GenerationParams()
    training: TrainingParams = TrainingParams()
    prompt: PromptParams | None = Field(default=None, description="with head.kind nsp or mlm only")
    iace: IaceParams = IaceParams()
    vawi: VawiParams = VawiParams()
    vilbert: VilbertParams = VilbertParams()
    conceptbert: ConceptbertParams = ConceptbertParams()
    zero_shot: ZeroShotParams = ZeroShotParams()
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        check_combination(self)
        return self

    @property
    def second_texts(self) -> int:
        """Return how many texts go with a row's first: 1 of a pair, the choices of a question, else 0."""
        source = self.task.hub if self.data.source == "hub" else self.task.files
        pairs = self.data.source != "embedded" and source is not None and source.columns.pairs
        return self.task.options if pairs else 0
