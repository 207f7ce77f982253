"""Typed params: the fields of a run, with bounds, defaults and what they mean.

Each default is written here and nowhere else. Models are frozen and closed to unknown
keys.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mase.modalities import MODALITIES, Modality
from mase.params.baselines import IaceParams, PromptParams, RetrievalParams, VawiParams
from mase.params.streams import ConceptbertParams, VilbertParams, ZeroShotParams, check_streams
from mase.params.task import DataParams, Frozen, Positive, Share, TaskParams

ParserName = Literal["rules", "learned", "factual-t5"]
PROMPTED = ("classification", "regression")  # families that a prompt can be answered for
MIXED = ("classification", "regression", "multiple_choice")  # families with a mixture of predictions


class BackboneParams(Frozen):
    """The pre-trained language model."""

    name: str
    source: Literal["package", "hub", "path", "random"]
    ref: str = Field(description="package name, hub id, folder, or model type for random")
    revision: str | None = None
    pooling: Literal["first", "last", "mean"]
    max_length: Positive = 128
    freeze_layers: int = Field(
        default=0, ge=0, description="embeddings and this many lower layers are frozen and cached"
    )
    random_config: dict[str, int] = Field(
        default={}, description="source: random only, fields of the model's config"
    )
    adapter: Literal["none", "lora", "prompt"] = Field(
        default="none", description="lora, prompt: the model's own weights are frozen, the adapter trains"
    )
    lora_rank: Positive = 8
    lora_alpha: Positive = Field(default=16, description="the update is scaled by alpha / rank")
    lora_dropout: Share = 0.1
    prompt_tokens: Positive = Field(default=20, description="soft tokens before the row, beside max_length")
    layout: Literal["huggingface", "voken"] = Field(
        default="huggingface",
        description="source: path only; voken: a checkpoint as vokenization released it, whose parts that a "
        "backbone does without are named, and anything else refused",
    )
    tokenizer: str | None = Field(
        default=None, description="folder or hub id of the tokenizer, where the checkpoint has none"
    )

    @model_validator(mode="after")
    def _adapter_consistent(self) -> "BackboneParams":
        for name in ("lora_rank", "lora_alpha", "lora_dropout", "prompt_tokens"):
            adapter = name.split("_")[0]
            if self.adapter != adapter and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is set, but adapter is {self.adapter}; set adapter to {adapter}")
        if self.layout != "huggingface" and self.source != "path":
            raise ValueError(
                f"layout: {self.layout} is of a folder; set source to path and ref to the folder"
            )
        if self.adapter == "prompt" and self.freeze_layers:
            raise ValueError(
                "adapter: prompt changes what the lowest layer sees, so no layer's output can be kept; "
                "set freeze_layers to 0"
            )
        return self


class TowerParams(Frozen):
    """A frozen text tower."""

    name: str
    modality: Modality
    format: Literal[
        "open_clip",
        "openai",
        "huggingface",
        "audioclip",
        "clipvip",
        "clap",
        "xclip",
        "random",
        "sentence_encoder",
        "vectors",
        "retrieval",
    ]
    ref: str = Field(description="checkpoint file, open_clip model, or a seed's name for random")
    pretrained: str | None = Field(default=None, description="open_clip only: pretrained tag")
    revision: str | None = Field(default=None, description="of a hub model: commit, tag or branch")
    width: Positive = 512
    layers: Positive = 12
    heads: Positive = 8
    output_width: Positive = 512
    context_length: Positive = 77
    vocabulary: Positive = 49408
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    entity_prompt: str = Field(default="{}", description="template of an entity phrase")
    stand_in: bool = Field(
        default=False, description="true for the embedded towers: say so beside every table"
    )
    note: str = ""
    retrieval: RetrievalParams | None = Field(default=None, description="format: retrieval only")

    @model_validator(mode="after")
    def _consistent(self) -> "TowerParams":
        if (self.format == "retrieval") != (self.retrieval is not None):
            raise ValueError("format: retrieval and the block retrieval (images) go together")
        return self


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
    method: Literal["mase", "mpb", "mc_ptm", "iace", "vawi", "vilbert", "conceptbert", "zero_shot"] = "mase"
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
        order = [m for m in MODALITIES if m in self.modalities]
        if list(self.modalities) != order:
            raise ValueError(
                f"modalities must be a subset of {list(MODALITIES)} in that order, without repeats"
            )
        if not self.modalities:
            raise ValueError("modalities is empty")
        if self.method in ("mase", "mpb") and "text" not in self.modalities:
            raise ValueError(f"method {self.method} needs the text modality")
        if self.method == "mc_ptm" and (len(self.modalities) != 1 or "text" in self.modalities):
            raise ValueError("method mc_ptm takes exactly one proxy modality")
        check_streams(self)
        if self.method in ("iace", "vawi") and self.modalities != ("text", "image"):
            raise ValueError(f"method {self.method} takes the modalities text and image")
        if self.method == "vawi":
            self._check_vawi()
        if self.head.kind != "linear":
            self._check_prompt()
        missing = [m for m in self.modalities if m != "text" and m not in self.towers]
        if missing:
            raise ValueError(f"no tower for {missing}; add towers.{missing[0]}")
        if self.allocation.floor * len(self.modalities) > 1:
            raise ValueError(
                f"allocation.floor is {self.allocation.floor}, but {len(self.modalities)} modalities "
                f"cannot all have more than 1/{len(self.modalities)}"
            )
        if self.allocation.head == "probe" and self.task.family not in ("classification", "regression"):
            raise ValueError(
                f"allocation.head: probe has no class to learn in a {self.task.family} task; use shared"
            )
        if self.m_objective == "mixture" and self.task.family not in MIXED:
            raise ValueError(f"m_objective: mixture is for {', '.join(MIXED)}, not for {self.task.family}")
        if self.proxies.alignment and (self.graph is None or self.graph.entity_proxy == "sentence"):
            raise ValueError(
                "proxies.alignment compares entities, so it needs a graph with entity_proxy phrase or both"
            )
        if self.m_objective == "mixture" and (self.fusion.proxy_gate, self.fusion.rescale) != (
            "none",
            "none",
        ):
            raise ValueError(
                "m_objective: mixture has no weighted sum; set fusion.proxy_gate and fusion.rescale to none"
            )
        if self.task.family == "cloze" and (self.data.evaluate_on != "dev" or self.data.folds is not None):
            raise ValueError(
                f"task {self.task.name} learns from texts and is scored on its probe; set data.evaluate_on "
                "to dev and data.folds to null, or take the supervised task"
            )
        files = self.task.files
        if self.data.source == "files" and not self.data.dir and not (files is not None and files.located):
            raise ValueError("data.source is files, but data.dir is not set; pass --data-dir")
        if getattr(self.task, self.data.source) is None:
            raise ValueError(f"task {self.task.name} has no {self.data.source} source; see data.source")
        return self

    def _check_vawi(self) -> None:
        """Refuse what cannot be combined with vectors among the backbone's input embeddings."""
        if self.backbone.freeze_layers:
            raise ValueError(
                "method vawi changes what the lowest layer sees, so no layer's output can be kept; "
                "set backbone.freeze_layers to 0"
            )
        if self.backbone.adapter == "prompt":
            raise ValueError("method vawi has vectors of its own; set backbone.adapter to none or lora")
        if self.vawi.train == "reformulation" and self.backbone.adapter != "none":
            raise ValueError(
                "vawi.train: reformulation freezes the language model; set backbone.adapter to none"
            )

    def _check_prompt(self) -> None:
        """Refuse what a pre-trained head does not go with, and a prompt of another number of labels."""
        kind, task = self.head.kind, self.task
        template = None if self.prompt is None else self.prompt.of(kind)
        if self.method not in ("mase", "mpb"):
            raise ValueError(f"head.kind: {kind} is for methods mase and mpb, not for {self.method}")
        if self.m_objective == "mixture" or self.allocation.head == "probe":
            raise ValueError(f"head.kind: {kind} goes with m_objective: fused and allocation.head: shared")
        if self.head.hidden or self.head.match_parameters_of is not None:
            raise ValueError(f"head.kind: {kind} is the backbone's own head; head.hidden does not apply")
        if template is None or task.family not in PROMPTED:
            return  # `mase.methods.model_class` refuses it, as it does methods that cannot do a family
        labels = len(task.labels) if task.family == "classification" else 2
        if len(template.words) != labels:
            what = f"{labels} labels" if task.family == "classification" else "a lowest and a highest score"
            raise ValueError(f"prompt.{kind}.words are {len(template.words)}, but the task has {what}")
        if task.family == "regression" and task.label_range is None:
            raise ValueError(f"head.kind: {kind} needs task.label_range, the scores that the words stand for")

    @property
    def second_texts(self) -> int:
        """Return how many texts go with a row's first: 1 of a pair, the choices of a question, else 0."""
        source = self.task.hub if self.data.source == "hub" else self.task.files
        pairs = self.data.source != "embedded" and source is not None and source.columns.pairs
        return self.task.options if pairs else 0
