"""Gather what units read, and write it as one archive (see the package's docstring for its members)."""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

import mase
from mase.artifacts import MANIFEST, digest_of, home, verify
from mase.bundle.archive import write_archive
from mase.bundle.reading import described, written_rows
from mase.errors import ParamsError
from mase.identity import MODEL_SUFFIXES
from mase.methods import model_class
from mase.model.loading import TOKENIZER_PACKAGE, package_folder
from mase.model.precision import resolved
from mase.params import BackboneParams, Params
from mase.params.combinations import TOWERS
from mase.proxies.locate import find_local
from mase.training import Given, prepared
from mase.units import Unit

METHODS = ("mase", "mpb", "mc_ptm", "iace")  # that read nothing but rows, tokens, graphs and proxies
FAMILIES = ("classification", "regression", "multiple_choice", "span", "cloze")
LIBRARIES = ("jaxtyping", "wadler-lindig")  # imported everywhere here, small, and rare on other machines
WEIGHTS = (".safetensors", ".bin", ".npy")
SOURCES = (".py", ".txt")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes:
        units: in the archive, in the order of training.
        left_out: why a unit is not in it, by its label.
        size: of the archive, in bytes.
        precision: what `auto` meant for the units that had it; None if none had.
    """

    units: tuple[Unit, ...]
    left_out: dict[str, str]
    size: int
    precision: str | None


@dataclass
class _Reading:
    """Prepares what units read, each once: most units of a table differ in what they do with the same."""

    _known: dict[str, Given] = field(default_factory=dict)

    def of(self, params: Params) -> Given:
        content = params.model_dump(mode="json")
        of_seed = any(tower["format"] == "random" for tower in content["towers"].values())
        without = {"training", "contrastive", "allocation", "fusion"} | (set() if of_seed else {"seed"})
        key = digest_of({name: value for name, value in content.items() if name not in without})
        if key not in self._known:
            self._known[key] = prepared(params)
        return self._known[key]


def pack(units: Sequence[Unit], out: Path, limit: int, progress: Progress = lambda *_: None) -> Packed:
    """Prepare what units read, and write it with them as an archive of at most `limit` bytes.

    Raises:
        ParamsError: if no unit can travel, or the archive would be larger.
        MaseError: if what a unit reads cannot be made.
    """
    reasons = [reason_to_stay(unit.params) for unit in units]
    left_out = {unit.label: why for unit, why in zip(units, reasons, strict=True) if why is not None}
    travelling = [unit for unit, why in zip(units, reasons, strict=True) if why is None]
    if not travelling:
        raise ParamsError(f"no unit can be packed: {'; '.join(dict.fromkeys(left_out.values()))}")
    reading = _Reading()
    members: dict[str, Path | bytes] = {**dict(_code())}
    for number, unit in enumerate(map(_with_fixed_precision, travelling)):
        progress("pack", number, len(travelling))
        given = reading.of(unit.params)
        members[f"plan/{number:05}-{unit.digest}.json"] = described(unit, given)
        members.update(_read_by(unit.params, given, members))
    size = write_archive(out, "bundle", members, {"mase": mase.__version__}, limit)
    auto = any(unit.params.training.precision == "auto" for unit in travelling)
    return Packed(tuple(travelling), left_out, size, resolved("auto") if auto else None)


def reason_to_stay(params: Params) -> str | None:
    """Return why a unit cannot be trained from an archive; None if it can."""
    backbone = params.backbone
    if params.method not in METHODS:
        return f"method {params.method} reads more than rows, graphs and proxies"
    if params.task.family not in FAMILIES:
        return f"tasks of family {params.task.family} read or score with more than travels"
    if params.method == "iace" and params.iace.features is not None:
        return "iace.features is a file of this machine"
    if not model_class(params).has_backbone:
        return None
    if backbone.source == "hub":
        return f"backbone {backbone.name} is of a hub; store it first: mase bundle fp16 (see its --help)"
    if backbone.tokenizer is not None:
        return "backbone.tokenizer lies beside the backbone; put its files into the backbone's folder"
    if backbone.source == "path" and (Path(backbone.ref).is_absolute() or ".." in Path(backbone.ref).parts):
        return f"backbone.ref {backbone.ref} is a path of this machine; move it to $MASE_HOME/checkpoints"
    return None


def _with_fixed_precision(unit: Unit) -> Unit:
    """Return the unit with `precision: auto` as what it is here; its name stays."""
    if unit.params.method in TOWERS:
        return unit
    precision = resolved(unit.params.training.precision)
    training = unit.params.training.model_copy(update={"precision": precision})
    fixed = replace(unit, params=unit.params.model_copy(update={"training": training}))
    assert fixed.digest == unit.digest
    return fixed


def _read_by(params: Params, given: Given, known: Container[str]) -> Iterator[tuple[str, Path | bytes]]:
    """Yield the members that a unit reads, as far as they are not known yet."""
    rows = f"rows/{given.data.digest}.json.gz"
    if rows not in known:
        yield rows, written_rows(given.data)
    tables = given.tables
    for table in (*tables.sentences.values(), *tables.phrases.values()):
        yield from _artifact(table.folder)
    if tables.graphs is not None:
        yield from _artifact(home() / "graphs" / tables.graphs.digest)
    if model_class(params).has_backbone:
        yield from _backbone(params.backbone)


def _artifact(folder: Path) -> Iterator[tuple[str, Path]]:
    for name in (MANIFEST, *verify(folder)["files"]):
        yield f"home/{folder.parent.name}/{folder.name}/{name}", folder / name


def _backbone(params: BackboneParams) -> Iterator[tuple[str, Path]]:
    """Yield the files of a language model; of one that starts at random, its tokenizer's."""
    if params.source == "path":
        folder = find_local(params.ref)
        assert folder is not None  # the unit has been prepared from it
        yield from _model_files(folder, PurePosixPath("home/checkpoints", params.ref), MODEL_SUFFIXES)
        return
    package = {"package": params.ref, "random": TOKENIZER_PACKAGE}[params.source]
    folder = package_folder(package)
    kept = [suffix for suffix in MODEL_SUFFIXES if params.source == "package" or suffix not in WEIGHTS]
    yield f"packages/{package}/__init__.py", folder.parent / "__init__.py"
    yield from _model_files(folder, PurePosixPath("packages", package, "model"), kept)


def _model_files(folder: Path, name: PurePosixPath, suffixes: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in suffixes:
            yield str(name / path.name), path


def _code() -> Iterator[tuple[str, Path]]:
    """Yield the sources of this package, and the libraries that it cannot be imported without."""
    root = Path(mase.__file__).parent
    for path in sorted(root.rglob("*")):
        if path.suffix in SOURCES and path.is_file():
            yield f"mase/{path.relative_to(root).as_posix()}", path
    for library in LIBRARIES:
        for file in distribution(library).files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                yield f"packages/{file.as_posix()}", Path(str(file.locate()))
