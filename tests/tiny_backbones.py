"""Randomly initialised checkpoints of every backbone family, as Hugging Face itself saves them.

Tokenizers are of the family's own class, over a small vocabulary, so that special tokens,
segment types and the padding side are the family's.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AlbertTokenizer,
    AutoConfig,
    AutoModel,
    BertTokenizer,
    DebertaV2Tokenizer,
    DistilBertTokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    T5Tokenizer,
    XLNetTokenizer,
)
from transformers.utils.logging import disable_progress_bar

from mase.params import BackboneParams

SENTENCES = (
    "a red bus stops here",
    "the dog barks at a car",
    "rain",
    "two men in a boat are fishing on the quiet lake",
    "the café's tables were wet",
)
UNDERLINE = chr(9601)  # stands for the space before a word in SentencePiece vocabularies
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
XLNET = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
SMALL = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 48}


def _pieces(first: str, inside: str) -> list[str]:
    """Return every letter and every word's first four, as they start a word and as they go on."""
    words = sorted({word for text in SENTENCES for word in text.split()})
    letters = sorted({letter for word in words for letter in word})
    return list(
        dict.fromkeys([*(first + w[:4] for w in words), *(p + c for c in letters for p in (first, inside))])
    )


def _word_pieces() -> dict[str, int]:
    return {piece: i for i, piece in enumerate([*BERT, *_pieces("", "##")])}


def _unigram(special: tuple[str, ...]) -> list[tuple[str, float]]:
    """Return pieces with their scores, as a SentencePiece model holds them; specials score 0."""
    pieces = [UNDERLINE, *_pieces(UNDERLINE, "")]
    return [(s, 0.0) for s in special] + [(p, -10.0 / len(p)) for p in pieces]


def _byte_pairs(special: tuple[str, ...]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def _roberta() -> RobertaTokenizer:
    trained = _byte_pairs(ROBERTA)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    return RobertaTokenizer(vocab=trained.get_vocab(), merges=merges)


def _modernbert() -> PreTrainedTokenizerFast:
    trained = _byte_pairs(BERT)
    trained.decoder = decoders.ByteLevel()
    trained.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


@dataclass(frozen=True)
class Family:
    """How a family's tiny model is made, and how it is pooled."""

    pooling: str
    tokenizer: Any
    config: dict[str, Any]


FAMILIES = {
    "bert": Family("first", lambda: BertTokenizer(vocab=_word_pieces()), SMALL),
    "roberta": Family("first", _roberta, SMALL),
    "xlnet": Family(
        "last",
        lambda: XLNetTokenizer(vocab=_unigram(XLNET)),
        {"d_model": 32, "n_layer": 3, "n_head": 2, "d_inner": 48},
    ),
    "t5": Family(
        "mean",
        lambda: T5Tokenizer(vocab=_unigram(("<pad>", "</s>", "<unk>")), extra_ids=0),
        {"d_model": 32, "num_layers": 3, "num_heads": 2, "d_ff": 48, "d_kv": 16},
    ),
    "albert": Family(
        "first",
        lambda: AlbertTokenizer(vocab=_unigram(("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"))),
        {**SMALL, "embedding_size": 16},
    ),
    "distilbert": Family(
        "first",
        lambda: DistilBertTokenizer(vocab=_word_pieces()),
        {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 48},
    ),
    # The fields in which version 3 differs from version 2, and the convolution of the large version 2.
    "deberta-v2": Family(
        "first",
        lambda: DebertaV2Tokenizer(vocab=_unigram(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))),
        {
            **SMALL,
            "relative_attention": True,
            "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"],
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
            "conv_kernel_size": 3,
            "conv_act": "gelu",
        },
    ),
    # Every third layer sees the whole row, the others two tokens on either side.
    "modernbert": Family(
        "first",
        _modernbert,
        {
            **SMALL,
            "local_attention": 4,
            "bos_token_id": 2,
            "cls_token_id": 2,
            "eos_token_id": 3,
            "sep_token_id": 3,
        },
    ),
    "electra": Family("first", lambda: BertTokenizer(vocab=_word_pieces()), {**SMALL, "embedding_size": 16}),
}


def save_checkpoint(family: str, folder: Path, **changes: Any) -> BackboneParams:
    """Write a tiny model, its config changed so, and its tokenizer with Hugging Face's `save_pretrained`."""
    chosen = FAMILIES[family]
    tokenizer = chosen.tokenizer()
    special = {"pad_token_id": tokenizer.pad_token_id, "vocab_size": len(tokenizer)}
    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(family, **special, **chosen.config, **changes))
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "norm" not in name.lower():
            torch.nn.init.normal_(parameter, std=0.2)  # a fresh model hardly tells positions apart
    disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return BackboneParams(name=family, source="path", ref=str(folder), pooling=chosen.pooling, max_length=24)


def checkpoint_maker(make_folder: Callable[[str], Path]) -> Callable[[str], BackboneParams]:
    """Return a maker of params whose `ref` is a family's checkpoint, saved once; treat it as read-only."""
    saved: dict[str, BackboneParams] = {}

    def of(family: str) -> BackboneParams:
        if family not in saved:
            saved[family] = save_checkpoint(family, make_folder(family))
        return saved[family]

    return of
