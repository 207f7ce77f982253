"""Find a tower's weights: a local file or folder, or the cache or hub of its library."""

import importlib.util
from pathlib import Path

from mase.artifacts import home
from mase.errors import MissingWeightsError, ParamsError
from mase.params import TowerParams


def local_places(ref: str) -> list[Path]:
    """Return where a relative or absolute path is looked for, in order."""
    path = Path(ref).expanduser()
    return [path.absolute()] if path.is_absolute() else [path.absolute(), home() / "checkpoints" / path]


def find_local(ref: str) -> Path | None:
    """Return the first place that exists, None if there is none."""
    return next((place for place in local_places(ref) if place.exists()), None)


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
    if params.format == "open_clip":
        return _find_open_clip(params)
    if local := find_local(params.ref):
        return local
    if params.format == "huggingface" and not Path(params.ref).suffix:
        return _find_on_hub(params)
    raise missing_weights(params, f"checkpoint {params.ref!r}", [str(p) for p in local_places(params.ref)])


def _find_open_clip(params: TowerParams) -> Path:
    """Return the file `pretrained` or `ref`, or the weights of a model and tag that OpenCLIP knows."""
    for name in filter(None, (params.pretrained, params.ref)):
        if local := find_local(name):
            return local
    import open_clip

    looked = [str(p) for name in filter(None, (params.pretrained, params.ref)) for p in local_places(name)]
    tag = open_clip.get_pretrained_cfg(params.ref, params.pretrained) if params.pretrained else {}
    if not tag:
        raise missing_weights(params, f"OpenCLIP model {params.ref!r} with tag {params.pretrained!r}", looked)
    _check_open_clip_settings(params, tag.get("quick_gelu", False))
    try:
        return Path(open_clip.download_pretrained(tag))
    except (OSError, RuntimeError) as cause:
        looked.append(f"the cache and source that OpenCLIP has for it ({cause})")
        raise missing_weights(
            params, f"OpenCLIP model {params.ref!r} with tag {params.pretrained!r}", looked
        ) from cause


def _check_open_clip_settings(params: TowerParams, quick_gelu: bool) -> None:
    import open_clip

    config = open_clip.get_model_config(params.ref) or {}
    heads = config.get("text_cfg", {}).get("heads", params.heads)
    activation = "quick_gelu" if quick_gelu else "gelu"
    if (heads, activation) != (params.heads, params.activation):
        raise ParamsError(
            f"tower {params.name}: OpenCLIP's {params.ref} {params.pretrained} has heads: {heads} and "
            f"activation: {activation}, but the tower's params say {params.heads} and {params.activation}"
        )


def _find_on_hub(params: TowerParams) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    try:
        hf_hub_download(params.ref, "config.json")
        return Path(hf_hub_download(params.ref, "model.safetensors"))
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
    module = params.ref.replace("-", "_")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    places = [Path(place) / "model" for place in (spec.submodule_search_locations or [] if spec else [])]
    for place in places:
        if (place / "config.json").exists():
            return place
    looked = [*map(str, local_places(params.ref)), *map(str, places), f"an installed package {params.ref!r}"]
    raise missing_weights(params, f"text encoder {params.ref!r}", looked)
