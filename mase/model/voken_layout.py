"""Checkpoints as vokenization released them (Tan and Bansal 2020), read as a plain encoder.

A folder with `config.json` and `pytorch_model.bin`; the tokenizer is apart (bert-base-uncased or
roberta-base, `backbone.tokenizer`). The names in the file say which encoder it is:

    bert.* or roberta.*        the encoder, kept
    cls.*, lm_head.*           the masked-word head, dropped (prompts read it from the file again)
    visual_cls_head.*          the voken-classification head, dropped: fine-tuning needs no vokens
    *.pooler.*, *.position_ids of transformers 3, dropped

Anything else is refused, and so is a file that lacks a weight of the encoder. The folder of the text-only
control (Wikipedia BERT) is the same without the voken-classification head. The class that trained the
vokens was a BERT whatever its tokenizer, so a folder "roberta" may hold `bert.*`: config.json decides.
"""

import logging
from collections import Counter
from pathlib import Path

from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedModel

from mase.errors import CheckpointFormatError, MissingWeightsError
from mase.tensor_files import read_tensors

WEIGHTS = ("pytorch_model.bin", "model.safetensors")
HEADS = ("cls.", "lm_head.", "visual_cls_head.")
OLD = ("pooler.", "embeddings.position_ids")  # below the encoder's prefix

log = logging.getLogger(__name__)


def load_voken(folder: Path) -> tuple[PreTrainedModel, dict[str, int]]:
    """Return the encoder of a released checkpoint, and how many tensors of each other part were dropped.

    Raises:
        MissingWeightsError: if the folder has no weights.
        CheckpointFormatError: if the file holds more than tensors, has a part that is not known, lacks
            one of the encoder, or has one of another shape.
    """
    state = _read(folder)
    model = AutoModel.from_config(AutoConfig.from_pretrained(folder))
    prefix = f"{model.base_model_prefix}."
    expected = model.state_dict()
    kept, dropped = _sorted_out(state, prefix, folder)
    missing = sorted(name for name in expected if name not in kept and not name.startswith(OLD))
    foreign = sorted(name for name in kept if name not in expected)
    shapes = [n for n, v in kept.items() if n in expected and v.shape != expected[n].shape]
    if missing or foreign or shapes:
        wrong = [("lacks", missing), ("has the unknown", foreign), ("has another shape of", shapes)]
        said = "; ".join(
            f"{what} {len(names)} tensors, first {prefix}{names[0]}" for what, names in wrong if names
        )
        raise CheckpointFormatError(
            f"{folder}: the {model.config.model_type} of config.json does not fit: {said}"
        )
    model.load_state_dict({**{n: expected[n] for n in expected if n not in kept}, **kept})
    log.warning(
        "%s: left out on purpose: %s", folder, ", ".join(f"{n} ({c})" for n, c in sorted(dropped.items()))
    )
    return model, dropped


def _read(folder: Path) -> dict[str, Tensor]:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return read_tensors(folder / name)
    raise MissingWeightsError(f"{folder} has none of {', '.join(WEIGHTS)}; unpack the released archive there")


def _sorted_out(
    state: dict[str, Tensor], prefix: str, folder: Path
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Return the encoder's tensors by their names below the prefix, and the counts of the dropped parts."""
    kept: dict[str, Tensor] = {}
    dropped: Counter[str] = Counter()
    unknown = []
    for name, tensor in state.items():
        below = name.removeprefix(prefix)
        if name.startswith(HEADS) or (below != name and below.startswith(OLD)):
            dropped[name.split(".")[0] if name.startswith(HEADS) else prefix + below.split(".")[0]] += 1
        elif below != name:
            kept[below] = tensor
        else:
            unknown.append(name)
    if unknown:
        raise CheckpointFormatError(
            f"{folder} is not a checkpoint of the layout voken: {len(unknown)} unknown tensors, the first of "
            f"them {sorted(unknown)[0]}; known are {prefix}*, {', '.join(h + '*' for h in HEADS)}"
        )
    return kept, dict(dropped)
