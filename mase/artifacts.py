"""Content-addressed, checksummed, atomically written files.

An artifact is a folder `<home>/<kind>/<digest>/` with data files and a
`manifest.json` (sha256 of each file, the VERSION of the code that gives them
meaning, and counts). The manifest is written last and the folder is renamed into
place, so a folder with a manifest is whole. A file lock keeps two processes from
building the same artifact twice.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from mase.errors import ArtifactError

MANIFEST = "manifest.json"


def home() -> Path:
    """Return `$MASE_HOME`, by default `.mase` in the working directory."""
    return Path(os.environ.get("MASE_HOME", ".mase")).expanduser().absolute()


def digest_of(value: Any, length: int = 20) -> str:
    """Return a hexadecimal digest of a JSON-able value; key order does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = data.encode() if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, 0o666 & ~_umask())
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_atomically(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def build(
    kind: str,
    identity: Mapping[str, Any],
    write: Callable[[Path], Mapping[str, Any]],
    *,
    version: int,
    root: Path | None = None,
) -> Path:
    """Return the folder of an artifact, built by `write` only if it is not there yet.

    Args:
        kind: the family of the artifact ("proxies", "graphs", ...), a folder name.
        identity: JSON-able inputs that determine the content; hashed with `version`.
        write: fills the folder that it is given and returns counts for the manifest.
        version: the VERSION constant of the code that gives the files their meaning.
        root: the store; by default `home()`.

    Raises:
        ArtifactError: if a stored artifact does not match its manifest.
    """
    digest = digest_of({"kind": kind, "version": version, **identity})
    folder = (root or home()) / kind / digest
    if (folder / MANIFEST).exists():
        verify(folder)
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        if (folder / MANIFEST).exists():
            verify(folder)
            return folder
        for debris in [folder, *folder.parent.glob(f".{digest}.*")]:  # of a build that was killed
            shutil.rmtree(debris, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{digest}."))
        try:
            counts = dict(write(temporary))
            files = {p.name: sha256_file(p) for p in sorted(temporary.iterdir()) if p.is_file()}
            manifest = {
                "kind": kind,
                "digest": digest,
                "version": version,
                "identity": dict(identity),
                "counts": counts,
                "files": files,
            }
            write_json(temporary / MANIFEST, manifest)
            temporary.chmod(0o777 & ~_umask())
            os.replace(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return an artifact's manifest.

    Raises:
        ArtifactError: if there is none or it is not JSON.
    """
    try:
        return json.loads((folder / MANIFEST).read_text())
    except (OSError, json.JSONDecodeError) as cause:
        raise ArtifactError(
            f"{folder}: no readable {MANIFEST} ({cause}); delete the folder and run again"
        ) from cause


_VERIFIED: set[tuple[str, int]] = set()


def verify(folder: Path) -> dict[str, Any]:
    """Check every file of an artifact against its manifest (once per process) and return it.

    Raises:
        ArtifactError: if a file is missing or its bytes changed.
    """
    manifest = read_manifest(folder)
    key = (str(folder), (folder / MANIFEST).stat().st_mtime_ns)
    if key in _VERIFIED:
        return manifest
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.exists():
            raise ArtifactError(
                f"{path} is missing although the manifest lists it; delete {folder} and run again"
            )
        if sha256_file(path) != expected:
            raise ArtifactError(f"{path} does not match its checksum; delete {folder} and run again")
    _VERIFIED.add(key)
    return manifest
