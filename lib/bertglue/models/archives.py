"""Archives from elsewhere, unpacked with checks of our own: plain files and folders alone, in their place, bounded.

Nothing is left to tarfile's filters, which have had holes (CVE-2025-4517).
"""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bertglue.errors import InputError, one_line

UNPACKED_LIMIT = 4 * 2**30  # bytes, three times BERT-large
MEMBER_LIMIT = 1000  # an encoder has about ten
MEMBER_NAME_LIMIT = 200  # bytes
HEADER_LIMIT = 2**20  # bytes that come before a member's data, which tarfile holds in memory
BLOCK_SIZE = 2**20  # bytes that are copied at a time
PLAIN_KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
OTHER_KIND = "is a device, a pipe, or something else that is no plain file"
LINK_KINDS = {tarfile.SYMTYPE: "is a symbolic link", tarfile.LNKTYPE: "is a hard link"}


class BoundedStream:
    """A stream that is read up to an allowance, renewed for each member: no header can fill the memory."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.left = stream, HEADER_LIMIT

    def allow(self, size: int) -> None:
        self.left = size + HEADER_LIMIT

    def read(self, size: int) -> bytes:
        block = self.stream.read(min(size, self.left + 1))
        self.left -= len(block)
        if self.left < 0:
            raise ValueError("it has a header without an end")
        return block


def unpack(packed: BinaryIO, folder: Path, source: str, only: str = "") -> None:
    """Unpack a tar, gzipped or not, or a zip into a folder; of a zip those members alone whose names begin with `only`.

    A member that is no plain file or folder, or leads outside, and an archive that is damaged or unpacks to too much
    are InputErrors that name `source`; what was unpacked until then is the caller's to remove.
    """
    with reading(source):
        begin = packed.peek(2)[:2]
    if begin == b"PK":
        return unpack_zip(packed, folder, source, only)
    with reading(source):
        stream = BoundedStream(gzip.GzipFile(fileobj=packed) if begin == b"\x1f\x8b" else packed)
        archive = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115  (it holds nothing open)
    size = 0
    for count, member in enumerate(members(archive, stream, source), 1):
        size += member.size
        check_bounds(size, count, source)
        if fault := find_fault(member, folder):
            raise refused(source, member.name, fault)
        file = None if member.isdir() else archive.extractfile(member)
        write_member(file, folder, member.name, source)


def unpack_zip(packed: BinaryIO, folder: Path, source: str, only: str) -> None:
    """Unpack a zip, whose list of members stands at its end: a stream is kept in a file first."""
    with tempfile.TemporaryFile(dir=folder.parent) as kept:
        with reading(source):
            for start in range(0, UNPACKED_LIMIT, BLOCK_SIZE):
                if not (block := packed.read(BLOCK_SIZE)):
                    break
                check_bounds(start + len(block), 1, source)
                kept.write(block)
            archive = zipfile.ZipFile(kept)
        wanted = [member for member in archive.infolist() if member.filename.startswith(only)]
        check_bounds(sum(member.file_size for member in wanted), len(wanted), source)
        for member in wanted:
            if fault := find_zip_fault(member, folder):
                raise refused(source, member.filename, fault)
            with reading(source):
                file = None if member.is_dir() else archive.open(member)
            write_member(file, folder, member.filename, source)


def check_bounds(size: int, count: int, source: str) -> None:
    if size > UNPACKED_LIMIT or count > MEMBER_LIMIT:
        raise InputError(
            f"{source} was not unpacked: it has more than {UNPACKED_LIMIT / 2**30:.3g} GiB or {MEMBER_LIMIT} "
            "members; give the archive of one encoder"
        )


def members(archive: tarfile.TarFile, stream: BoundedStream, source: str) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive, each before its data are read; at the end the rest, for gzip's checksum."""
    while True:
        with reading(source):
            member = archive.next()
        if member is None:
            break
        stream.allow(max(member.size, 0))
        yield member
        stream.allow(0)
    with reading(source):
        while stream.read(BLOCK_SIZE):
            pass


def find_fault(member: tarfile.TarInfo, folder: Path) -> str | None:
    """Return why a member of a tar is not to be unpacked."""
    if member.type not in PLAIN_KINDS or member.issparse():
        return LINK_KINDS.get(member.type, OTHER_KIND)
    return find_name_fault(member.name, member.size, member.isdir(), folder)


def find_zip_fault(member: zipfile.ZipInfo, folder: Path) -> str | None:
    """Return why a member of a zip is not to be unpacked."""
    mode = member.external_attr >> 16  # 0 where it was packed on a system without
    if stat.S_ISLNK(mode):
        return LINK_KINDS[tarfile.SYMTYPE]
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return OTHER_KIND
    if member.flag_bits & 1:
        return "is encrypted"
    return find_name_fault(member.filename, member.file_size, member.is_dir(), folder)


def find_name_fault(name: str, size: int, is_folder: bool, folder: Path) -> str | None:
    if len(os.fsencode(name)) > MEMBER_NAME_LIMIT or "\0" in name or size < 0:
        return "has no usable name or size"
    place, target = folder.resolve(), (folder / name).resolve()
    inside = place in target.parents or (is_folder and target == place)
    return None if inside else "leads outside of its folder"


def refused(source: str, name: str, fault: str) -> InputError:
    name = repr(name[:MEMBER_NAME_LIMIT])
    return InputError(f"{source} was not unpacked: {name} in it {fault}; give an archive of plain files and folders")


def write_member(file: BinaryIO | None, folder: Path, name: str, source: str) -> None:
    """Write a file, or a folder where it is None, under this user's own permissions, whatever the archive says."""
    target = folder / name
    try:
        if file is None:
            return target.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as written:
            for block in blocks(file, source):
                written.write(block)
    except (FileExistsError, NotADirectoryError):
        raise refused(source, name, "is there twice") from None


def blocks(file: BinaryIO, source: str) -> Iterator[bytes]:
    while True:
        with reading(source):
            block = file.read(BLOCK_SIZE)
        if not block:
            return
        yield block


@contextlib.contextmanager
def reading(source: str) -> Iterator[None]:
    """Name the archive in what goes wrong as it is read, apart from what goes wrong as its files are written."""
    try:
        yield
    except Exception as error:  # tarfile, zlib and the network raise many kinds
        raise InputError(f"{source} could not be unpacked ({one_line(error)}); fetch it again") from None
