"""The archive: what is written comes back, and nothing else does."""

import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mase.artifacts import MANIFEST
from mase.bundle.archive import archive_size, unpack, write_archive
from mase.errors import ArtifactError, ParamsError

ALLOWED = re.compile(r"(part|link|/|\.\.).*")
MEMBERS = {"part/a.txt": b"a" * 700, "part/b.bin": bytes(range(256))}
Change = Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.tar"
    write_archive(path, "bundle", MEMBERS, {"note": "n"})
    return path


def rewritten(path: Path, change: Change, listed: Mapping[str, str] | None = None) -> Path:
    """Write the archive again with its second member changed; `listed` is added to the manifest."""
    out = path.with_name("changed.tar")
    with tarfile.open(path) as old, tarfile.open(out, "w") as new:
        for number, member in enumerate(old.getmembers()):
            stream = old.extractfile(member)
            assert stream is not None
            data = stream.read()
            if number == 0 and listed:
                content = json.loads(data)
                content["members"] |= listed
                data = json.dumps(content).encode()
            if number == 1:
                member, data = change(member, data)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return out


def named(name: str) -> Change:
    def change(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        member.name = name
        return member, data

    return change


def a_link(member: tarfile.TarInfo, _: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member.name, member.type, member.linkname = "link", tarfile.SYMTYPE, "/etc"
    return member, b""


def test_what_is_written_comes_back(archive: Path, tmp_path: Path) -> None:
    manifest = unpack(archive, "bundle", tmp_path / "into", ALLOWED)
    assert manifest["note"] == "n"
    assert {name: (tmp_path / "into" / name).read_bytes() for name in MEMBERS} == MEMBERS
    assert archive.stat().st_size == write_archive(archive, "bundle", MEMBERS, {"note": "n"})


def test_equal_members_give_equal_bytes_whatever_the_files_owners_and_dates(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(MEMBERS["part/a.txt"])
    (tmp_path / "a").chmod(0o600)
    for name, members in (("1.tar", MEMBERS), ("2.tar", {**MEMBERS, "part/a.txt": tmp_path / "a"})):
        write_archive(tmp_path / name, "bundle", members, {})
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_every_flipped_byte_of_a_member_is_seen(archive: Path, tmp_path: Path) -> None:
    raw = archive.read_bytes()
    for content in MEMBERS.values():
        place = raw.rindex(content) + 100
        archive.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(ArtifactError, match="does not match its checksum"):
            unpack(archive, "bundle", tmp_path / "into", ALLOWED)


@pytest.mark.parametrize("kept", [100, 1800, 3000])
def test_a_cut_archive_is_refused(archive: Path, tmp_path: Path, kept: int) -> None:
    archive.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(ArtifactError, match=r"copy it again|are missing|no archive"):
        unpack(archive, "bundle", tmp_path / "into", ALLOWED)


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "part/../../out.txt", "part/./a.txt"])
def test_a_name_that_leads_out_of_the_folder_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    changed = rewritten(archive, named(name), {name: "0"})
    with pytest.raises(ArtifactError, match="leads out of the folder"):
        unpack(changed, "bundle", tmp_path / "into", ALLOWED)
    assert not (tmp_path / "out.txt").exists()


def test_a_link_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="link is a link"):
        unpack(rewritten(archive, a_link, {"link": "0"}), "bundle", tmp_path / "into", ALLOWED)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("else/a.txt", "nothing that belongs"),
        ("part/c.txt", "the manifest has no part/c.txt"),
        ("part/b.bin", "does not match its checksum"),
    ],
)
def test_an_unknown_member_is_refused(archive: Path, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        unpack(rewritten(archive, named(name)), "bundle", tmp_path / "into", ALLOWED)


def test_a_missing_member_and_another_kind_are_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"1 members are missing, the first part/z"):
        unpack(rewritten(archive, lambda m, d: (m, d), {"part/z": "0"}), "bundle", tmp_path / "into", ALLOWED)
    with pytest.raises(ArtifactError, match="expected kind 'done'"):
        unpack(archive, "done", tmp_path / "into", ALLOWED)


def test_an_archive_over_the_limit_is_not_written_and_its_largest_members_are_named(tmp_path: Path) -> None:
    out = tmp_path / "b.tar"
    members = {"small": b"", "large": b"l" * 40_000, "middle": b"m" * 9000}
    with pytest.raises(ParamsError, match=r"(?s)--max-mib.*large.*middle.*small"):
        write_archive(out, "bundle", members, {}, limit=51_199)
    assert list(tmp_path.iterdir()) == []
    assert write_archive(out, "bundle", members, {}, limit=71_680) == out.stat().st_size
    assert archive_size(members, b"") <= out.stat().st_size


def test_the_manifest_comes_first(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        assert tar.getnames() == [MANIFEST, *MEMBERS]
