"""The head that a language model was pre-trained with, as a task's head: what prompts are answered by.

    mlm  score(y) = the masked-word head's logit of y's word, on the state at the blank
    nsp  score(y) = log P(IsNext) / P(NotNext) of the next-sentence head, on the first state of the row
         whose prompt says y; a text row per label

Both stand on h*, where a new linear layer would. Classes are the softmax of the scores; a score between
`label_range` is interpolated, low + (high - low) softmax(score(low), score(high)) (Gao et al. 2021).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, AutoModelForNextSentencePrediction
from transformers.utils import logging

from mase.errors import ParamsError
from mase.model.backbone import Backbone
from mase.model.hidden_words import check_mask_token, pieces
from mase.model.loading import checkpoint_of, load_tokenizer
from mase.model.word_head import PretrainedWordHead
from mase.params import BackboneParams, Params, PromptTemplate
from mase.params.task import MASK

CLASSES: dict[str, Any] = {"mlm": AutoModelForMaskedLM, "nsp": AutoModelForNextSentencePrediction}
NAMES = {"mlm": "masked-word head", "nsp": "next-sentence head"}
REMEDIES = {
    "mlm": "take one that has it (--backbone bert-base, roberta-base, or a folder), or head.kind: linear",
    "nsp": "take one that has it (--backbone bert-base, or a folder), or head.kind: mlm",
}


class NextSentenceHead(nn.Module):
    """BERT's pooler and its next-sentence classifier, on a state of the backbone's width."""

    def __init__(self, model: Any):
        super().__init__()
        self.dense, self.relationship = model.base_model.pooler.dense, model.cls.seq_relationship

    def forward(self, features: Float[Tensor, "*B W"]) -> Float[Tensor, "*B"]:
        """Return log P(IsNext) - log P(NotNext)."""
        scores = self.relationship(torch.tanh(self.dense(features)))
        return scores[..., 0] - scores[..., 1]


class PromptHead(nn.Module):
    """Answers of a pre-trained head to a prompt, in the form of `mase.model.heads.Head`.

    Where the features are wider than the backbone's states, a linear layer brings them there. It starts by
    passing the first ones on, which are the text's, so that training starts at the language model.

    Args:
        width: D.
        mean, deviation: of the training labels (regression), the units of its loss.

    Raises:
        ParamsError: if the checkpoint does not have the head, or a label's word is not one token.
    """

    mean: Tensor
    deviation: Tensor
    words: Tensor
    blank: Tensor

    def __init__(
        self, params: Params, backbone: Backbone, width: int, mean: float = 0.0, deviation: float = 1.0
    ):
        super().__init__()
        assert params.prompt is not None
        template = params.prompt.of(params.head.kind)
        assert template is not None
        self.kind, count = params.head.kind, len(template.words)
        self.options = count if self.kind == "nsp" else 1
        self.scale = params.task.label_range if params.task.family == "regression" else None
        model = _with_head(backbone, self.kind)
        self.pretrained: nn.Module = (
            NextSentenceHead(model) if self.kind == "nsp" else PretrainedWordHead(model, backbone.words)
        )
        if backbone.params.adapter != "none":
            self.pretrained.requires_grad_(False)  # only the adapter trains of what is pre-trained
        self.enter: nn.Module = nn.Identity()
        if width != backbone.width:
            self.enter = nn.Linear(width, backbone.width)
            nn.init.eye_(self.enter.weight)
            nn.init.zeros_(self.enter.bias)
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))
        known = self.kind == "mlm" and backbone.architecture is None  # else the weights hold them
        ids, blank = word_ids(template, backbone.params) if known else ([0] * count, 0)
        self.register_buffer("words", torch.tensor(ids))
        self.register_buffer("blank", torch.tensor(blank))

    def forward(self, features: Float[Tensor, "*B D"]) -> Float[Tensor, "*B C"]:
        """Return a score per label, or the predicted score in label units."""
        entered = self.enter(features)
        if self.kind == "mlm":
            scores = self.pretrained(entered.flatten(0, -2))[:, self.words].unflatten(0, entered.shape[:-1])
        else:
            scores = self.pretrained(entered).unflatten(0, (-1, self.options)).movedim(1, -1)
        if self.scale is None:
            return scores
        low, high = self.scale
        return low + (high - low) * scores.softmax(-1)[..., 1:]


def word_ids(template: PromptTemplate, backbone: BackboneParams) -> tuple[list[int], int]:
    """Return the token of each label's word where it stands in the template, and the mask token's.

    Raises:
        ParamsError: if a word is not one known token, two have the same, or there is no mask token.
    """
    tokenizer = load_tokenizer(backbone)
    check_mask_token(tokenizer, backbone.name)
    segment = template.first if MASK in template.first else template.second or ""
    before, after = segment.split(MASK)
    texts = [before + word + after for word in template.words]
    spans = [[(len(before), len(before) + len(word))] for word in template.words]
    ids: list[int] = []
    for word, (found,) in zip(template.words, pieces(tokenizer, texts, spans), strict=True):
        if len(found) != 1 or found[0] == tokenizer.unk_token_id or found[0] in ids:
            read = tokenizer.convert_ids_to_tokens(found)
            raise ParamsError(
                f"prompt.mlm.words: {word!r} must be one token, different from the others; backbone "
                f"{backbone.name} reads it as {read}; name another word"
            )
        ids += found
    assert isinstance(tokenizer.mask_token_id, int)
    return ids, tokenizer.mask_token_id


def _with_head(backbone: Backbone, kind: str) -> Any:
    """Return the backbone's model with its pre-trained head; the encoder in it is not used.

    Raises:
        ParamsError: if there is none. A new one would be no prompt learning, so none is made up.
    """
    params, auto = backbone.params, CLASSES[kind]
    family = backbone.config.model_type
    if type(backbone.config) not in auto._model_mapping or (kind == "nsp" and family != "bert"):
        raise ParamsError(
            f"head.kind: {kind}, but models of type {family} have no {NAMES[kind]}; {REMEDIES[kind]}"
        )
    if backbone.architecture is not None or params.source == "random":
        return auto.from_config(backbone.config)
    location, options = checkpoint_of(params)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it would list parts that the checkpoint has too many
    try:
        model, report = auto.from_pretrained(
            location, **options, dtype=torch.float32, output_loading_info=True
        )
    finally:
        logging.set_verbosity(verbosity)
    needed = ("cls.seq_relationship.", f"{model.base_model_prefix}.pooler.")
    missing = [
        name
        for name in sorted(report["missing_keys"])
        if (name.startswith(needed) if kind == "nsp" else not name.startswith(f"{model.base_model_prefix}."))
    ]
    if missing:
        raise ParamsError(
            f"head.kind: {kind}, but the checkpoint of backbone {params.name} has no {NAMES[kind]} (no "
            f"{missing[0]}); {REMEDIES[kind]}"
        )
    return model
