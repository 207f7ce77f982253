"""A tar archive that starts with a manifest: the sha256 of every member, and what the archive is.

No member is believed: `unpack` writes regular files alone, below one folder, under names that the caller
expects and the manifest lists, and checks the bytes of each.
"""

import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mase.artifacts import MANIFEST, sha256_file
from mase.errors import ArtifactError, ParamsError

FORMAT = 1  # raise it when an archive of the same kind means something else
MEBIBYTE = 2**20
BLOCK = 512
END = 10240  # a tar file's length is a multiple of it
SHOWN = 5

Members = Mapping[str, Path | bytes]


def archive_size(members: Members, about: bytes) -> int:
    """Return the bytes of an archive of members and a manifest: each has a header and fills whole blocks."""
    sizes = [len(about), *map(_size, members.values())]
    blocks = sum(1 + -(-size // BLOCK) for size in sizes) + 2
    return -(-blocks * BLOCK // END) * END


def write_archive(
    path: Path, kind: str, members: Members, about: Mapping[str, Any], limit: int | None = None
) -> int:
    """Write an archive atomically, and return its size in bytes.

    Args:
        kind: "bundle" or "done".
        members: what each name holds: bytes, or a file.
        about: more of the manifest.
        limit: the largest size, in bytes.

    Raises:
        ParamsError: if it would be larger; its largest members are named, and nothing is written.
    """
    digests = {name: _digest(content) for name, content in members.items()}
    manifest = {**about, "format": FORMAT, "kind": kind, "members": digests}
    head = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    size = archive_size(members, head)
    if limit is not None and size > limit:
        raise ParamsError(_too_large(members, size, limit))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with (
            os.fdopen(handle, "wb") as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for member, content in {MANIFEST: head, **members}.items():
                _add(tar, member, content)
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return size


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _digest(content: Path | bytes) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else sha256_file(content)


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    """Add a member whose header says nothing but its name and size."""
    header = tarfile.TarInfo(name)
    header.size = _size(content)
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
        tar.addfile(header, stream)


def _too_large(members: Members, size: int, limit: int) -> str:
    sizes = {name: _size(content) for name, content in members.items()}
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:SHOWN]
    lines = "".join(f"\n  {sizes[name] / MEBIBYTE:8.2f} MiB  {name}" for name in largest)
    return (
        f"the archive would have {size / MEBIBYTE:.1f} MiB, more than {limit / MEBIBYTE:g} (--max-mib). "
        f"Its largest members:{lines}\nAsk for fewer rows, tasks or seeds; `mase bundle fp16` stores a "
        "language model at half its size"
    )


def unpack(path: Path, kind: str, into: Path, allowed: re.Pattern[str]) -> dict[str, Any]:
    """Write the members of an archive below a folder, and return its manifest.

    Args:
        allowed: matches the names that members may have.

    Raises:
        ArtifactError: if it is no such archive, or has a member that is no regular file, leads out of the
            folder, is not expected, is missing, or has other bytes than the manifest says. What was
            written until then is to be thrown away.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            members = iter(tar)
            manifest = _manifest(path, tar, next(members, None), kind)
            digests = dict(manifest["members"])
            for member in members:
                _check_name(path, member, allowed)
                if member.name not in digests:
                    raise ArtifactError(f"{path}: the manifest has no {member.name}, or it comes twice")
                if _write(_stream(tar, member), into / member.name) != digests.pop(member.name):
                    raise ArtifactError(f"{path}: {member.name} does not match its checksum; copy it again")
    except (tarfile.TarError, OSError, EOFError) as cause:
        raise ArtifactError(f"{path}: cannot be read as a tar archive ({cause}); copy it again") from cause
    if digests:
        raise ArtifactError(f"{path}: {len(digests)} members are missing, the first {min(digests)}")
    return manifest


def _manifest(path: Path, tar: tarfile.TarFile, first: tarfile.TarInfo | None, kind: str) -> dict[str, Any]:
    if first is None or first.name != MANIFEST or not first.isreg():
        raise ArtifactError(f"{path}: does not begin with {MANIFEST}; it is no archive of `mase bundle`")
    try:
        manifest = json.loads(_stream(tar, first).read())
        found = (manifest["kind"], manifest["format"])
        dict(manifest["members"])
    except (ValueError, KeyError, TypeError) as cause:
        raise ArtifactError(f"{path}: its {MANIFEST} cannot be read ({cause!r}); copy it again") from cause
    if found != (kind, FORMAT):
        raise ArtifactError(
            f"{path}: expected kind {kind!r}, format {FORMAT}; found {found[0]!r}, {found[1]}"
        )
    return manifest


def _check_name(path: Path, member: tarfile.TarInfo, allowed: re.Pattern[str]) -> None:
    name = PurePosixPath(member.name)
    if not member.isreg():
        raise ArtifactError(f"{path}: {member.name} is a link or no file; refused")
    if name.is_absolute() or ".." in name.parts or str(name) != member.name:
        raise ArtifactError(f"{path}: {member.name} leads out of the folder; refused")
    if not allowed.fullmatch(member.name):
        raise ArtifactError(f"{path}: {member.name} is nothing that belongs in there; refused")


def _stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    assert stream is not None  # a regular file has one
    return stream


def _write(stream: IO[bytes], target: Path) -> str:
    """Write a stream to a file, and return the sha256 of its bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for chunk in _chunks(stream):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(MEBIBYTE):
        yield chunk
