"""Check every shipped params file, and files of the user's own, reporting all errors together."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from flows.overrides import overrides_of_file
from flows.search import load_search
from mase.errors import ParamsError
from mase.evaluation.declaration import load_table
from mase.params import TowerParams, available, load_params, read_named, validate
from mase.params.streams import STREAMS

Check = tuple[str, Callable[[], object]]


def check_all(files: Sequence[Path] = ()) -> int:
    """Check all params files; return the number of combinations that were loaded.

    Raises:
        ParamsError: with every error found.
    """
    errors: dict[str, None] = {}
    count = 0
    for name, load in _checks(files):
        count += 1
        try:
            load()
        except ParamsError as cause:
            errors.setdefault(f"{name}: {cause}")
    if errors:
        raise ParamsError(f"{len(errors)} of {count} combinations are wrong\n" + "\n".join(errors))
    return count


def _checks(files: Sequence[Path]) -> Iterator[Check]:
    overlays = [f"{kind}/{name}" for kind in ("methods", "ablations", "controls") for name in available(kind)]
    for profile, task, source in _runs():
        yield f"{profile} {task}", _loader(task, profile, source)
        for overlay in overlays:
            if _fits(overlay, task):
                yield f"{profile} {task} {overlay}", _loader(task, profile, source, overlays=(overlay,))
    profile, task, source = next(_runs())
    for backbone in available("backbones"):
        yield f"backbone {backbone}", _loader(task, profile, source, backbone=backbone)
    for preset in available("presets"):
        for overlay in overlays:
            yield (
                f"preset {preset} {overlay}",
                _loader(task, profile, source, overlays=(overlay,), preset=preset),
            )
    for path in files:
        yield str(path), lambda path=path: _loader(task, profile, [*source, *overrides_of_file(path)])()
    yield from ((f"tower {name}", lambda name=name: _tower(name)) for name in available("towers"))
    yield from ((f"table {name}", lambda name=name: load_table(name)) for name in available("tables"))
    yield from ((f"search {name}", lambda name=name: load_search(name)) for name in available("search"))


def _fits(overlay: str, task: str) -> bool:
    """Return whether an overlay can lie over a task: a method of two streams needs pictures, if it is VQA."""
    content = read_named("tasks", task)
    blind = content["family"] == "vqa" and not content.get("vqa", {}).get("regions")
    return not (blind and read_named(*overlay.split("/")).get("method") in STREAMS)


def _runs() -> Iterator[tuple[str, str, list[str]]]:
    """Yield every profile with every task that has the profile's data source."""
    for profile in available("profiles"):
        source = read_named("profiles", profile).get("data", {}).get("source", "embedded")
        for task in available("tasks"):
            if read_named("tasks", task).get(source) is not None:
                yield profile, task, ["data.dir=."] if source == "files" else []


def _loader(
    task: str,
    profile: str,
    overrides: Sequence[str],
    *,
    overlays: Sequence[str] = (),
    backbone: str | None = None,
    preset: str | None = None,
) -> Callable[[], object]:
    return lambda: load_params(
        task, profile=profile, overrides=overrides, overlays=overlays, backbone=backbone, preset=preset
    )


def _tower(name: str) -> TowerParams:
    return validate(TowerParams, read_named("towers", name), f"tower {name}")
