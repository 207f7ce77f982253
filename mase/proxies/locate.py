"""Find a tower's weights: a local file or folder, or the cache or hub of its library."""

import importlib.util
from pathlib import Path

from mase.artifacts import home
from mase.errors import MissingWeightsError, ParamsError
from mase.params import TowerParams

PACKAGED = "package:"  # of a `ref` below the folder of the package `mase`, wherever that is installed
HUB_FILES = {  # what a hub model must have; the weights come last
    "huggingface": ("config.json", "model.safetensors"),
    "xclip": ("config.json", "model.safetensors"),
    "clap": ("config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"),
}
OPEN_CLIP = ("open_clip", "retrieval")  # formats whose model is one of OpenCLIP
PLAIN_TEXT = {"context_length", "heads", "layers", "vocab_size", "width"}  # of an OpenCLIP model's text_cfg


def local_places(ref: str) -> list[Path]:
    """Return where a packaged, relative or absolute path is looked for, in order."""
    if ref.startswith(PACKAGED):
        return [Path(__file__).parents[1] / ref.removeprefix(PACKAGED)]
    path = Path(ref).expanduser()
    return [path.absolute()] if path.is_absolute() else [path.absolute(), home() / "checkpoints" / path]


def find_local(ref: str) -> Path | None:
    """Return the first place that exists, None if there is none."""
    return next((place for place in local_places(ref) if place.exists()), None)


def place_on_disk(params: TowerParams) -> Path | None:
    """Return the file or folder that a tower is read from, where it is one that stays as it is named.

    None for a random tower, for one that a hub or OpenCLIP holds (whose name and revision, or tag,
    say what it is, whether or not it has been fetched yet), and for one that is missing.
    """
    if params.format == "random":
        return None
    names = (params.pretrained, params.ref) if params.format in OPEN_CLIP else (params.ref,)
    found = next((place for name in names if name and (place := find_local(name))), None)
    if found is None and params.format == "sentence_encoder":
        return next(iter(models_of_package(params.ref)), None)
    return found


def missing_weights(params: TowerParams, wanted: str, looked: list[str]) -> MissingWeightsError:
    """Return the error that says what is missing, where it was looked for and what to do."""
    modality = params.modality if params.modality != "text" else "image"
    places = "".join(f"\n  {place}" for place in looked)
    return MissingWeightsError(
        f"tower {params.name}: {wanted} is not there. Looked for it at{places}\n"
        f"Put it at one of these places, or set `ref` in the tower's file to where it is. "
        f"To run without it, take the embedded stand-in: --set towers.{modality}=embedded-{modality}"
    )


def find_checkpoint(params: TowerParams) -> Path:
    """Return the file or folder that a tower's params name.

    Raises:
        MissingWeightsError: which file, where it was looked for, and how to run without it.
    """
    if params.format in OPEN_CLIP:
        return _find_open_clip(params)
    if local := find_local(params.ref):
        return local
    if params.format in HUB_FILES and not Path(params.ref).suffix:
        return _find_on_hub(params)
    raise missing_weights(params, f"checkpoint {params.ref!r}", [str(p) for p in local_places(params.ref)])


def _find_open_clip(params: TowerParams) -> Path:
    """Return the file `pretrained` or `ref`, or the weights of a model and tag that OpenCLIP knows.

    Raises:
        ParamsError: if CLIP's own text transformer has another number of heads or activation than
            the params say; a model of another architecture is built from OpenCLIP's config alone.
    """
    _check_named_model(params)
    for name in filter(None, (params.pretrained, params.ref)):
        if local := find_local(name):
            return local
    import open_clip

    looked = [str(p) for name in filter(None, (params.pretrained, params.ref)) for p in local_places(name)]
    tag = open_clip.get_pretrained_cfg(params.ref, params.pretrained) if params.pretrained else {}
    if not tag:
        raise missing_weights(params, f"OpenCLIP model {params.ref!r} with tag {params.pretrained!r}", looked)
    if is_plain(params):
        _check_activation(params, tag.get("quick_gelu", False))
    try:
        return Path(open_clip.download_pretrained(tag))
    except (OSError, RuntimeError) as cause:
        looked.append(f"the cache and source that OpenCLIP has for it ({cause})")
        raise missing_weights(
            params, f"OpenCLIP model {params.ref!r} with tag {params.pretrained!r}", looked
        ) from cause


def is_plain(params: TowerParams) -> bool:
    """Return whether an OpenCLIP tower is CLIP's own text transformer: a file, or a model like that."""
    import open_clip

    return set((open_clip.get_model_config(params.ref) or {}).get("text_cfg", {})) <= PLAIN_TEXT


def _check_named_model(params: TowerParams) -> None:
    """Check what shapes cannot show against OpenCLIP's config of the model; a file has none."""
    import open_clip

    if params.ref not in open_clip.list_models():
        return
    text = (open_clip.get_model_config(params.ref) or {}).get("text_cfg", {})
    if not is_plain(params):
        return
    if text.get("heads") != params.heads:
        raise ParamsError(
            f"tower {params.name}: OpenCLIP's {params.ref} has heads: {text.get('heads')}, "
            f"but the tower's params say {params.heads}"
        )


def _check_activation(params: TowerParams, quick_gelu: bool) -> None:
    activation = "quick_gelu" if quick_gelu else "gelu"
    if activation != params.activation:
        raise ParamsError(
            f"tower {params.name}: OpenCLIP's {params.ref} {params.pretrained} has activation: {activation}, "
            f"but the tower's params say {params.activation}"
        )


def _find_on_hub(params: TowerParams) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    try:
        files = [
            hf_hub_download(params.ref, name, revision=params.revision) for name in HUB_FILES[params.format]
        ]
        return Path(files[-1])
    except (OSError, EntryNotFoundError, HfHubHTTPError, HFValidationError) as cause:
        looked = [*map(str, local_places(params.ref)), f"the Hugging Face cache and hub ({cause})"]
        raise missing_weights(params, f"Hugging Face model {params.ref!r}", looked) from cause


def find_package_model(params: TowerParams) -> Path:
    """Return the `model` folder of an installed package, without importing it, or a local folder.

    Raises:
        MissingWeightsError: if there is neither.
    """
    if local := find_local(params.ref):
        return local
    if models := models_of_package(params.ref):
        return models[0]
    places = _model_folders(params.ref)
    looked = [*map(str, local_places(params.ref)), *map(str, places), f"an installed package {params.ref!r}"]
    raise missing_weights(params, f"text encoder {params.ref!r}", looked)


def _model_folders(package: str) -> list[Path]:
    module = package.replace("-", "_")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    return [Path(place) / "model" for place in (spec.submodule_search_locations or [] if spec else [])]


def models_of_package(package: str) -> list[Path]:
    """Return the `model` folders with a model in them of an installed package, without importing it."""
    return [place for place in _model_folders(package) if (place / "config.json").exists()]
