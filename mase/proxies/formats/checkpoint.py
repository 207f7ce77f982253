"""Which files of a tower's folder are read, and which BPE ids its token embedding has."""

import json
from pathlib import Path

from mase.errors import CheckpointFormatError
from mase.proxies.tokenizer import FULL_VOCABULARY, check_kept_ids

WEIGHT_FILES = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)


def weights_file(path: Path) -> Path:
    """Return the weights file of a folder, or the file itself.

    Raises:
        CheckpointFormatError: if the folder has none of the usual names.
    """
    if not path.is_dir():
        return path
    for name in WEIGHT_FILES:
        if (path / name).is_file():
            return path / name
    raise CheckpointFormatError(f"{path}: the folder has none of {', '.join(WEIGHT_FILES)}")


def kept_ids(path: Path, rows: int, key: str) -> list[int] | None:
    """Return the BPE ids of a cut-down token embedding, None for a full one.

    They stand beside `tower.safetensors` in `tower.token_ids.json`, a JSON list of
    `rows` ascending ids, all bytes and the two special ids among them.

    Raises:
        CheckpointFormatError: if the embedding has another number of rows than 49,408 and
            there is no such file, or the file does not fit.
    """
    listing = path.with_suffix(".token_ids.json")
    if not listing.exists():
        if rows == FULL_VOCABULARY:
            return None
        raise CheckpointFormatError(
            f"{path}: key {key!r} has {rows} rows instead of {FULL_VOCABULARY}, "
            f"and there is no {listing.name} beside it to say which BPE ids they are"
        )
    try:
        kept = json.loads(listing.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise CheckpointFormatError(f"{listing}: not JSON: {cause}") from cause
    if not isinstance(kept, list) or len(kept) != rows:
        found = f"{len(kept)} ids" if isinstance(kept, list) else type(kept).__name__
        raise CheckpointFormatError(f"{listing}: expected a JSON list of {rows} BPE ids, found {found}")
    check_kept_ids(kept, str(listing))
    return kept
