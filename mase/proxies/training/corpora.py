"""Read the caption files as they are published.

Texts are stripped and their white space is collapsed. Where a file is in the folder of the
data sets is fixed; `SOURCES` also says under which licence each one came.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mase.errors import DataError


@dataclass(frozen=True)
class Source:
    """Files of one data set and its licence."""

    title: str
    files: tuple[str, ...]
    licence: str


SOURCES = {
    "coco": Source(
        "COCO 2017 captions, val (Chen et al. 2015)",
        ("coco_captions/captions_val2017.json",),
        "CC BY 4.0 (annotations)",
    ),
    "factual": Source(
        "FACTUAL, random split (Li et al. 2023), on Visual Genome regions",
        ("factual_sg/random/train.csv",),
        "not stated in a licence file (MIT badge); Visual Genome is CC BY 4.0",
    ),
    "clip": Source(
        "CLIP ViT-B/32 text vectors of LVIS and Open Images names (Detic, Zhou et al. 2022)",
        tuple(
            f"clip_text_vectors/{part}.{kind}"
            for part in ("lvis", "openimages")
            for kind in ("names.txt", "npy")
        ),
        "Apache-2.0",
    ),
    "wordnet": Source(
        "WordNet synsets of words, as SPICE and METEOR carry them",
        ("factual_sg/spice_synonyms/english.synsets",),
        "WordNet licence (Princeton University)",
    ),
    "audiocaps": Source(
        "AudioCaps captions (Kim et al. 2019)",
        ("audiocaps/train.csv", "audiocaps/val.csv"),
        "MIT file; academic use only by its README",
    ),
    "audioset": Source(
        "AudioSet class names (Gemmeke et al. 2017)", ("audioset/class_labels_indices.csv",), "CC BY 4.0"
    ),
    "kinetics": Source(
        "Kinetics-400 class names (Kay et al. 2017)",
        ("kinetics400/kinetics_400_labels.csv",),
        "not stated with the names; official annotations are CC BY 4.0",
    ),
    "msrvtt": Source(
        "MSR-VTT 1k-A test captions (Xu et al. 2016; Yu et al. 2018)",
        ("msrvtt/MSRVTT_JSFUSION_test.csv",),
        "not stated",
    ),
}


def tidy(text: str) -> str:
    """Strip a text and collapse its white space."""
    return " ".join(text.split())


def existing(data_dir: Path, name: str) -> Path:
    """Return the path of a file or folder of the data sets.

    Raises:
        DataError: if it is not there.
    """
    path = Path(data_dir).expanduser() / name
    if not path.exists():
        raise DataError(f"{path} is not there; point --data-dir at the folder that contains {name}")
    return path


def records(path: Path, columns: tuple[str, ...], delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Yield the named columns of every record of a file with a header, tidied.

    Raises:
        DataError: if a column is missing or a record is too short.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter=delimiter)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise DataError(f"{path}, line 1: no column {sorted(missing)[0]!r}; found {reader.fieldnames}")
        for record in reader:
            if any(record[column] is None for column in columns):
                raise DataError(f"{path}, line {reader.line_num}: too few fields; fetch the file again")
            yield {column: tidy(record[column]) for column in columns}


def coco_pictures(data_dir: Path) -> dict[str, tuple[str, ...]]:
    """Return the captions of every picture, by picture id.

    Raises:
        DataError: if the file is missing or not in COCO's layout.
    """
    path = existing(data_dir, *SOURCES["coco"].files)
    pictures: dict[str, list[str]] = defaultdict(list)
    try:
        for annotation in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
            pictures[str(annotation["image_id"])].append(tidy(annotation["caption"]))
    except (json.JSONDecodeError, KeyError, TypeError) as cause:
        raise DataError(f"{path}: not COCO's caption layout: {cause!r}") from cause
    return {picture: tuple(captions) for picture, captions in pictures.items()}


def audiocaps_clips(data_dir: Path) -> dict[str, tuple[str, ...]]:
    """Return the five captions of every validation clip, by video and start time.

    Raises:
        DataError: if the file is missing or malformed.
    """
    path = existing(data_dir, SOURCES["audiocaps"].files[1])
    clips: dict[str, list[str]] = defaultdict(list)
    for record in records(path, ("youtube_id", "start_time", "caption")):
        clips[f"{record['youtube_id']}/{record['start_time']}"].append(record["caption"])
    return {clip: tuple(captions) for clip, captions in clips.items()}


def audiocaps_captions(data_dir: Path) -> list[str]:
    """Return the training captions, one per clip.

    Raises:
        DataError: if the file is missing or malformed.
    """
    path = existing(data_dir, SOURCES["audiocaps"].files[0])
    return [record["caption"] for record in records(path, ("caption",))]


def audioset_names(data_dir: Path) -> list[str]:
    """Return the names of the sound classes, such as "Male speech, man speaking".

    Raises:
        DataError: if the file is missing or malformed.
    """
    path = existing(data_dir, *SOURCES["audioset"].files)
    return [record["display_name"] for record in records(path, ("display_name",))]


def factual_regions(data_dir: Path) -> list[tuple[str, str]]:
    """Return (caption, scene graph as words) of every region.

    Raises:
        DataError: if the file is missing or malformed.
    """
    path = existing(data_dir, *SOURCES["factual"].files)
    return [
        (record["caption"], tidy(re.sub(r"[(),]", " ", record["scene_graph"])))
        for record in records(path, ("caption", "scene_graph"))
    ]


def kinetics_names(data_dir: Path) -> list[str]:
    """Return the names of the actions, such as "air drumming".

    Raises:
        DataError: if the file is missing or malformed.
    """
    path = existing(data_dir, *SOURCES["kinetics"].files)
    return [record["action"] for record in records(path, ("action",))]


def msrvtt_sentences(data_dir: Path) -> list[str]:
    """Return one sentence per video.

    Raises:
        DataError: if the file is missing or malformed.
    """
    path = existing(data_dir, *SOURCES["msrvtt"].files)
    return [record["sentence"] for record in records(path, ("sentence",), delimiter=";")]
