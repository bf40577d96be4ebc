"""Archives from elsewhere, unpacked with checks of our own: plain files and folders alone, in their place, bounded.

Nothing is left to tarfile's filters, which have had holes (CVE-2025-4517).
"""

from __future__ import annotations

import contextlib
import gzip
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bertglue.errors import InputError, one_line

UNPACKED_LIMIT = 4 * 2**30  # bytes, three times BERT-large
MEMBER_LIMIT = 1000  # a SavedModel has about ten
MEMBER_NAME_LIMIT = 200  # bytes
HEADER_LIMIT = 2**20  # bytes that come before a member's data, which tarfile holds in memory
BLOCK_SIZE = 2**20  # bytes that are copied at a time
PLAIN_KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
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


def unpack(packed: BinaryIO, folder: Path, source: str) -> None:
    """Unpack a tar, gzipped or not, into a folder.

    A member that is no plain file or folder, or leads outside, and an archive that is damaged or unpacks to too much
    are InputErrors that name `source`; what was unpacked until then is the caller's to remove.
    """
    size = 0
    with reading(source):
        stream = BoundedStream(gzip.GzipFile(fileobj=packed) if packed.peek(2)[:2] == b"\x1f\x8b" else packed)
        archive = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115  (it holds nothing open)
    for count, member in enumerate(members(archive, stream, source), 1):
        size += member.size
        if size > UNPACKED_LIMIT or count > MEMBER_LIMIT:
            raise InputError(
                f"{source} was not unpacked: it has more than {UNPACKED_LIMIT / 2**30:.3g} GiB or {MEMBER_LIMIT} "
                "members; give the archive of one encoder"
            )
        if fault := find_fault(member, folder):
            raise refused(source, member, fault)
        try:
            write_member(archive, member, folder / member.name, source)
        except (FileExistsError, NotADirectoryError):
            raise refused(source, member, "is there twice") from None


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
    """Return why a member is not to be unpacked."""
    if member.type not in PLAIN_KINDS or member.issparse():
        return LINK_KINDS.get(member.type, "is a device, a pipe, or something else that is no plain file")
    if len(os.fsencode(member.name)) > MEMBER_NAME_LIMIT or "\0" in member.name or member.size < 0:
        return "has no usable name or size"
    place, target = folder.resolve(), (folder / member.name).resolve()
    inside = place in target.parents or (member.isdir() and target == place)
    return None if inside else "leads outside of its folder"


def refused(source: str, member: tarfile.TarInfo, fault: str) -> InputError:
    name = repr(member.name[:MEMBER_NAME_LIMIT])
    return InputError(f"{source} was not unpacked: {name} in it {fault}; give an archive of plain files and folders")


def write_member(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, source: str) -> None:
    """Write a folder or a file under this user's own permissions, whatever the archive says of them."""
    if member.isdir():
        return target.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for block in blocks(archive.extractfile(member), source):
            file.write(block)


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
