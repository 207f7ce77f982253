"""What a run's numbers depend on: settings, rows, and the bytes of the models that it reads."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from mase.artifacts import digest_of, sha256_file
from mase.data import TaskData, prepare
from mase.data.named_vectors import given_file
from mase.modalities import Modality
from mase.params import BackboneParams, DataParams, Params, TaskParams, TowerParams, TrainingParams
from mase.params.combinations import TOWERS
from mase.params.streams import STREAMS
from mase.params.vqa import VqaParams

MODEL_SUFFIXES = (".json", ".safetensors", ".bin", ".txt", ".model", ".npy")  # weights, configs, vocabularies

_PREPARED: dict[str, TaskData] = {}


def task_data(task: TaskParams, data: DataParams) -> TaskData:
    """Return a task's prepared rows, read once per process."""
    key = digest_of([task.model_dump(mode="json"), data.model_dump(mode="json")])
    if key not in _PREPARED:
        _PREPARED[key] = prepare(task, data)
    return _PREPARED[key]


@lru_cache(maxsize=1024)
def _file_digest(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256_file(path)


def _digest_of_file(path: Path) -> str:
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


def _bytes_of(place: Path) -> dict[str, str]:
    """Return the sha256 of what a model is read from, by name.

    That is the files of a folder, or a file, the token ids of a cut-down vocabulary and the config
    beside it; a file's own name does not count.
    """
    if place.is_dir():
        return {p.name: _digest_of_file(p) for p in sorted(place.iterdir()) if p.suffix in MODEL_SUFFIXES}
    files = (place, place.with_suffix(".token_ids.json"), place.with_name("config.json"))
    return {p.name.removeprefix(place.stem): _digest_of_file(p) for p in files if p.is_file()}


def _tower_identity(tower: TowerParams) -> dict[str, Any]:
    """Return what determines a tower's vectors: its settings and, where it is on this disk, its bytes."""
    from mase.proxies.locate import OPEN_CLIP, find_local, place_on_disk

    settings = tower.model_dump(mode="json", exclude={"note", "stand_in", "name", "retrieval"})
    if tower.retrieval is not None:
        from mase.proxies.image_index import gallery_digest

        images = gallery_digest(tower, tower.retrieval.images)
        settings["retrieval"] = {**tower.retrieval.model_dump(mode="json"), "images": images}
    place = place_on_disk(tower)
    if place is None:
        return settings
    # What a name is, OpenCLIP's config says.
    named = tower.format in OPEN_CLIP and find_local(tower.ref) is None
    model = {"model": tower.ref} if named else {}
    return {**settings, "ref": _bytes_of(place), "pretrained": None, **model}


def _backbone_identity(backbone: BackboneParams) -> dict[str, Any]:
    """Return what determines the language model: its settings and, where it is on this disk, its bytes."""
    from mase.model.backbone import TOKENIZER_PACKAGE
    from mase.proxies.locate import find_local, models_of_package

    settings = backbone.model_dump(mode="json", exclude={"name"})
    if backbone.layout == "huggingface":
        settings.pop("layout")
    if backbone.tokenizer is None:
        settings.pop("tokenizer")
    elif (folder := find_local(backbone.tokenizer)) is not None:
        settings["tokenizer"] = _bytes_of(folder)
    if backbone.source == "path" and (folder := find_local(backbone.ref)) is not None:
        return {**settings, "ref": _bytes_of(folder)}
    package = {"package": backbone.ref, "random": TOKENIZER_PACKAGE}.get(backbone.source)
    folders = models_of_package(package) if package else []
    return {**settings, "package": _bytes_of(folders[0])} if folders else settings


def identity(params: Params) -> dict[str, Any]:
    """Return the part of the params that can change a run's numbers.

    Titles, notes, paths, metrics and batch sizes of evaluation do not; neither do settings of
    what the run does not have (towers of absent modalities, the temperature where alpha is 0).
    What lies on this disk counts by its bytes, what a hub holds by its name and revision, so that
    fetching it does not rename a unit. `precision: auto` counts as what it means on this machine.

    Raises:
        ScenegraphError: if the parser's weights or package are missing.
    """
    content = params.model_dump(mode="json")
    used: list[Modality] = [m for m in params.modalities if m != "text"]
    matched = params.head.match_parameters_of is not None  # its size follows what full MASE would have
    content["backbone"] = _backbone_identity(params.backbone)
    content["towers"] = {m: _tower_identity(params.towers[m]) for m in used}
    content["task"] = {k: content["task"][k] for k in ("name", "family", "labels", "label_range")}
    if params.task.family == "vqa":
        content["task"]["vqa"] = _vqa_identity(params)
    if params.task.family == "span":
        content["task"]["doc_stride"] = params.task.doc_stride
    if params.task.family == "cloze":  # elsewhere the templates' sentences are the rows
        content["task"]["templates"] = params.task.templates
    content["data"] = task_data(params.task, params.data).digest
    content["training"] = _training_identity(params.training)
    if matched:
        content["head"]["towers"] = {m: t.output_width for m, t in params.towers.items()}
        content["head"]["pairs"] = params.proxies.pair_mode if params.second_texts else None
    elif params.graph is not None:
        from mase.scenegraph.choice import parser_identity

        content["parser"] = parser_identity(params.graph.parser)
    if not used:
        content.pop("proxies")
        content["allocation"] = {"iterations": params.allocation.iterations}
    if params.method not in ("mase", *STREAMS):
        content.pop("fusion")
    if params.task.family != "generation":
        content.pop("generation")
    elif not used or params.method == "vawi":
        content["generation"].pop("prefix_slots")
    if params.contrastive.alpha == 0:
        content["contrastive"] = {"alpha": 0.0}
    _keep_what_is_read(params, content)
    if params.method in TOWERS:
        content.pop("backbone")
        content["training"].pop("precision")
    return content


def _keep_what_is_read(params: Params, content: dict[str, Any]) -> None:
    """Leave the blocks of baselines out of runs that do not read them."""
    kind, prompt = params.head.kind, content.pop("prompt")
    if kind == "linear":
        content["head"].pop("kind")
    else:
        content["head"] = {"kind": kind, "prompt": (prompt or {}).get(kind)}
    vawi = content.pop("vawi")
    if params.method == "vawi":
        content["vawi"] = {**vawi, **_words_identity(params)}
    if params.method != "iace":
        content.pop("iace")
    elif params.iace.features is not None:
        content["iace"]["features"] = _digest_of_file(given_file(params.iace.features, "iace.features"))
    _keep_streams(params, content)


def _keep_streams(params: Params, content: dict[str, Any]) -> None:
    """Leave out the blocks of `mase.params.streams` that a run does not read; files count by their bytes."""
    readers = {"vilbert": STREAMS, "conceptbert": ("conceptbert",), "zero_shot": ("zero_shot",)}
    for block, methods in readers.items():
        settings = content.pop(block)
        if params.method not in methods:
            continue
        content[block] = settings
        for field in {"checkpoint", "answers", "vectors", "images"} & settings.keys():
            if settings[field] is not None:
                settings[field] = _digest_of_file(given_file(settings[field], f"{block}.{field}"))


def _words_identity(params: Params) -> dict[str, Any]:
    """Return what finds VAWI's words: the tagger's weights where syntax does; nothing else has a file."""
    from mase.scenegraph.tagger import WEIGHTS

    syntax, learned = (params.vawi.selector == name for name in ("syntax", "learned"))
    temperature = params.vawi.temperature if learned else None
    return {"tagger": _digest_of_file(WEIGHTS) if syntax else None, "temperature": temperature}


def _vqa_identity(params: Params) -> dict[str, Any]:
    """Return which answers are classes, and the features of regions by what is in their files."""
    from mase.data.regions import fingerprint, region_paths

    of_rows = {"regions", "region_width", "split", "minval"}  # the rows and the regions' bytes tell these
    settings = (params.task.vqa or VqaParams()).model_dump(mode="json", exclude=of_rows)
    paths = region_paths(params.task, params.data)
    return {**settings, "regions": [fingerprint(path) for path in paths]}  # their width follows from them


def _training_identity(training: TrainingParams) -> dict[str, Any]:
    from mase.model.precision import resolved

    settings = training.model_dump(mode="json", exclude={"eval_batch_size", "checkpoint_every"})
    return {**settings, "precision": resolved(training.precision)}
