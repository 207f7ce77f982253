"""Build a tower from its params, or load one by name or file."""

from pathlib import Path

from mase.errors import MissingWeightsError, ParamsError
from mase.params import TowerParams, available, read_named, read_yaml, validate
from mase.proxies.clap_text import ClapTextTower
from mase.proxies.clip_text import ClipTextTower, random_weights
from mase.proxies.formats.checkpoint import WEIGHT_FILES, kept_ids, weights_file
from mase.proxies.formats.huggingface import check_config
from mase.proxies.formats.key_map import text_weights
from mase.proxies.formats.recognition import FORMATS, described
from mase.proxies.locate import find_checkpoint, find_package_model, is_plain, local_places
from mase.proxies.open_clip_text import OpenClipTextTower
from mase.proxies.retrieval import RetrievalTower
from mase.proxies.sentence_encoder import SentenceEncoderTower
from mase.proxies.tokenizer import BYTES, FULL_VOCABULARY, lowest_ids
from mase.proxies.tower import LimitedTower, Tower
from mase.proxies.vectors import VectorTable
from mase.tensor_files import read_tensors

CHECKPOINT_SUFFIXES = {Path(name).suffix for name in WEIGHT_FILES} | {".pt", ".pth"}


def build_tower(params: TowerParams, seed: int = 0) -> Tower:
    """Build the frozen tower that `params` describe.

    Args:
        params: a file under `params/towers/`, validated.
        seed: for format `random` only: weights are drawn from it and from `params.ref`.

    Raises:
        MissingWeightsError: which file is missing, where it was looked for, how to run without it.
        CheckpointFormatError: if the checkpoint is not of the declared format and shape.
        ParamsError: if width and heads, or a random tower's vocabulary, do not fit.
    """
    if params.format == "sentence_encoder":
        return SentenceEncoderTower(params, find_package_model(params))
    if params.format == "vectors":
        return VectorTable(params, find_checkpoint(params))
    if params.format == "retrieval":
        text = params.model_copy(update={"format": "open_clip", "retrieval": None})
        tower = build_tower(text, seed)
        assert isinstance(tower, LimitedTower)
        return RetrievalTower(params, tower)
    if params.width % params.heads:
        raise ParamsError(
            f"tower {params.name}: width {params.width} is not a multiple of heads {params.heads}"
        )
    if params.format == "random":
        return _random_tower(params, seed)
    path = find_checkpoint(params)
    if params.format == "open_clip" and not is_plain(params):
        return OpenClipTextTower(params, path)
    if params.format == "clap":
        return ClapTextTower(params, path if path.is_dir() else path.parent)
    return _checkpoint_tower(params, weights_file(path))


def _random_tower(params: TowerParams, seed: int) -> ClipTextTower:
    if not BYTES + 2 <= params.vocabulary <= FULL_VOCABULARY:
        raise ParamsError(
            f"tower {params.name}: vocabulary must be {BYTES + 2} (bytes, start and end of text) "
            f"to {FULL_VOCABULARY}, not {params.vocabulary}"
        )
    kept = None if params.vocabulary == FULL_VOCABULARY else lowest_ids(params.vocabulary)
    return ClipTextTower(params, random_weights(params, seed), kept)


def _checkpoint_tower(params: TowerParams, path: Path) -> ClipTextTower:
    layout = FORMATS[params.format]
    if params.format in ("huggingface", "xclip"):
        check_config(path, params)
    tensors = read_tensors(path)
    token_key = layout.key_map(0)["token_embedding.weight"].keys[0]
    tokens = layout.unwrapped(tensors).get(token_key)
    kept = kept_ids(path, tokens.shape[0], token_key) if tokens is not None and tokens.ndim else None
    return ClipTextTower(params, text_weights(tensors, layout, params, path), kept)


def load_tower(name_or_path: str) -> Tower:
    """Load a tower by name or from a file.

    Args:
        name_or_path: a name under `params/towers/`; a YAML file like those, whose relative
            `ref` may stand beside it; or a checkpoint (file or folder), whose format is
            recognised by its keys and whose sizes are read off its shapes.

    Raises:
        ParamsError: if there is no such name, or a YAML file is wrong.
        MissingWeightsError, CheckpointFormatError: as `build_tower`.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return build_tower(_beside(validate(TowerParams, read_yaml(path), str(path)), path.parent))
    if name_or_path in available("towers"):
        return build_tower(validate(TowerParams, read_named("towers", name_or_path), name_or_path))
    if path.suffix in CHECKPOINT_SUFFIXES or path.is_dir():
        return _load_checkpoint(name_or_path)
    return build_tower(validate(TowerParams, read_named("towers", name_or_path), name_or_path))


def _beside(params: TowerParams, folder: Path) -> TowerParams:
    """Return params whose relative `ref` points beside their file, if it is there."""
    beside = (folder / params.ref).absolute()
    checkpoint = params.format != "random" and beside.exists()
    return params.model_copy(update={"ref": str(beside)}) if checkpoint else params


def _load_checkpoint(name: str) -> ClipTextTower:
    places = local_places(name)
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise MissingWeightsError(
            f"no checkpoint {name}; looked for {', '.join(map(str, places))}. "
            "The embedded stand-ins need no file: embedded-image, embedded-audio, embedded-video"
        )
    path = weights_file(found)
    return _checkpoint_tower(described(read_tensors(path), path), path)
