"""Where overrides come from besides `--set`: a folder of data files, and files that `mase tune` writes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mase.errors import DataError, ParamsError
from mase.params import read_yaml


def data_overrides(data_dir: str | Path | None) -> list[str]:
    """Return the overrides that read official data files from a folder.

    Raises:
        DataError: if the folder does not exist.
    """
    if data_dir is None:
        return []
    folder = Path(data_dir).expanduser()
    if not folder.is_dir():
        raise DataError(f"data folder {data_dir}: no such folder; give the one that holds the official files")
    return ["data.source=files", f"data.dir={json.dumps(str(folder.absolute()))}"]


def overrides_of_file(path: Path) -> list[str]:
    """Return the content of a YAML file as overrides, without its `about` line.

    Raises:
        ParamsError: if the file cannot be read or sets nothing.
    """
    content = read_yaml(path)
    content.pop("about", None)
    if not content:
        raise ParamsError(f"{path}: sets no params")
    return _flat(content)


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            lines += _flat(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key}={json.dumps(value, ensure_ascii=False)}")
    return lines
