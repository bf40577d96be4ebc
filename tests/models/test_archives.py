"""Archives from elsewhere: plain files and folders land in their folder, and everything else is refused by name."""

import gzip
import io
import os
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from bertglue.errors import InputError
from bertglue.models import archives
from bertglue.models.archives import unpack

FILES = {"saved_model.pb": b"graph", "assets/vocab.txt": b"[PAD]\n" * 5000}


def member(name, content=b"", kind=tarfile.REGTYPE, **values):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    for key, value in values.items():
        setattr(info, key, value)
    return info, io.BytesIO(content)


def archive(*members, mode="w:gz", form=tarfile.PAX_FORMAT):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode, format=form) as tar:
        for info, content in members:
            content.seek(0)
            tar.addfile(info, content if info.isreg() else None)
    return packed.getvalue()


def try_unpack(packed, folder):
    folder.mkdir(exist_ok=True)
    unpack(io.BufferedReader(io.BytesIO(packed)), folder / "new", "bert.tar.gz")
    return {path.relative_to(folder / "new").as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_files_and_folders_are_unpacked(tmp_path, mode, form, prefix):
    folders = [member(prefix + name, kind=tarfile.DIRTYPE) for name in ("assets", "variables")]
    files = [member(prefix + name, content) for name, content in FILES.items()]
    packed = archive(member("./", kind=tarfile.DIRTYPE), *folders, *files, mode=mode, form=form)
    assert try_unpack(packed, tmp_path) == FILES
    assert (tmp_path / "new" / "variables").is_dir()


def test_what_the_archive_says_of_permissions_and_owners_does_not_count(tmp_path):
    before = os.umask(0o022)
    try:
        try_unpack(archive(member("a.txt", b"a", mode=0o6777, uid=0, mtime=0)), tmp_path)
    finally:
        os.umask(before)
    state = (tmp_path / "new" / "a.txt").stat()
    assert (state.st_mode & 0o7777, state.st_uid) == (0o644, os.geteuid())


OUTSIDE = "leads outside of its folder"
LEFT = "has no usable name or size"
OTHER = "is a device, a pipe, or something else that is no plain file"
HOSTILE = {
    "symbolic link": (member("evil", kind=tarfile.SYMTYPE, linkname="/etc"), "is a symbolic link"),
    "link inside": (member("evil", kind=tarfile.SYMTYPE, linkname="first.txt"), "is a symbolic link"),
    "hard link": (member("evil", kind=tarfile.LNKTYPE, linkname="first.txt"), "is a hard link"),
    "character device": (member("evil", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), OTHER),
    "block device": (member("evil", kind=tarfile.BLKTYPE, devmajor=8), OTHER),
    "pipe": (member("evil", kind=tarfile.FIFOTYPE), OTHER),
    "unknown kind": (member("evil", kind=b"Q"), OTHER),
    "above": (member("../evil", b"x"), OUTSIDE),
    "far above": (member("a/../../../evil", b"x"), OUTSIDE),
    "absolute": (member("/tmp/evil", b"x"), OUTSIDE),
    "folder above": (member("../evil", kind=tarfile.DIRTYPE), OUTSIDE),
    "its own folder": (member(".", b"x"), OUTSIDE),
    "twice": (member("first.txt", b"other"), "is there twice"),
    "folder over a file": (member("first.txt", kind=tarfile.DIRTYPE), "is there twice"),
    "file in a file": (member("first.txt/evil", b"x"), "is there twice"),
    "long name": (member("a" * 201, b"x"), LEFT),
    "deep name": (member("a/" * 101 + "b", b"x"), LEFT),
    "zero in its name": (member("evil", b"x", pax_headers={"path": "ev\0il"}), LEFT),
    "sparse": (member("evil", b"x", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "1"}), OTHER),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_everything_else_is_refused_by_name_in_one_line(tmp_path, name):
    hostile, fault = HOSTILE[name]
    with pytest.raises(InputError) as error:
        try_unpack(archive(member("first.txt", b"kept"), hostile), tmp_path)
    said = str(error.value)
    called = hostile[0].pax_headers.get("path", hostile[0].name)[:200]
    assert said == f"bert.tar.gz was not unpacked: {called!r} in it {fault}; give an archive of plain files and folders"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "new" / "first.txt"]
    assert (tmp_path / "new" / "first.txt").read_bytes() == b"kept"


def header(size, kind=tarfile.REGTYPE):
    info = member("big", kind=kind)[0]
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


TOO_MUCH = "bert.tar.gz was not unpacked: it has more than 4 GiB or 1000 members; give the archive of one encoder"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with pytest.raises(InputError, match=TOO_MUCH):
        try_unpack(gzip.compress(header(5 * 2**30) + bytes(2**20)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_sizes_of_all_members_count(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "UNPACKED_LIMIT", 2**20)
    parts = [member(f"{i}.bin", bytes(2**18)) for i in range(5)]
    assert len(try_unpack(archive(*parts[:4]), tmp_path)) == 4
    with pytest.raises(InputError, match="it has more than 0.000977 GiB"):
        try_unpack(archive(*parts), tmp_path / "again")


def test_many_members_are_refused(tmp_path):
    with pytest.raises(InputError, match=TOO_MUCH):
        try_unpack(archive(*(member(f"{i}", kind=tarfile.DIRTYPE) for i in range(1001))), tmp_path)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_cannot_fill_the_memory(tmp_path, kind):
    """tarfile reads these headers whole before it gives them out."""
    with pytest.raises(InputError, match="bert.tar.gz could not be unpacked .it has a header without an end.; fetch"):
        try_unpack(gzip.compress(header(2**40, kind) + bytes(2**22)), tmp_path)


def test_an_end_without_an_end_is_refused(tmp_path):
    packed = gzip.compress(archive(member("a", b"a"), mode="w") + bytes(2**22))
    with pytest.raises(InputError, match="could not be unpacked"):
        try_unpack(packed, tmp_path)


def test_damaged_archives_are_one_line(tmp_path):
    """Cut anywhere, or one byte changed: refused in one line, or unpacked to what it held where it still holds it."""
    rng = np.random.default_rng(0)
    content = {"a.bin": rng.bytes(3000), "b.bin": rng.bytes(700)}
    whole = archive(*(member(name, data) for name, data in content.items()))
    damaged = [whole[: int(cut)] for cut in rng.integers(0, len(whole), 60)]
    for place in rng.integers(10, len(whole), 60):  # behind gzip's own header, whose time and system nobody reads
        damaged.append(whole[:place] + bytes([whole[place] ^ 1 << int(rng.integers(8))]) + whole[place + 1 :])
    for number, packed in enumerate(damaged):
        with pytest.raises(InputError, match=r"^bert.tar.gz could not be unpacked \(.*\); fetch it again$"):
            try_unpack(packed, tmp_path / str(number))


@pytest.mark.parametrize(
    "packed", [b"", b"no tar at all", b"\x1f\x8b", gzip.compress(b"", mtime=0), gzip.compress(b"no tar", mtime=0)]
)
def test_what_is_no_archive(tmp_path, packed):
    with pytest.raises(InputError, match=r"bert.tar.gz could not be unpacked \(.*\); fetch it again"):
        try_unpack(packed, tmp_path)


# ---------------------------------------------------------------- zip


def zipped(*members, flags=0):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, content)
    return packed.getvalue()


def plain(name, content=b"x"):
    return name, content, stat.S_IFREG | 0o777


def test_a_zip_is_unpacked_and_of_it_what_is_asked_for_alone(tmp_path):
    packed = zipped(("bert/", b"", stat.S_IFDIR), *(plain(f"bert/{name}", data) for name, data in FILES.items()))
    assert try_unpack(packed, tmp_path) == {f"bert/{name}": data for name, data in FILES.items()}
    (tmp_path / "code").mkdir()
    code = zipped(plain("package/__init__.py", b"import os"), plain("package/model/vocab.txt", b"[PAD]"))
    unpack(io.BufferedReader(io.BytesIO(code)), tmp_path / "code" / "new", "a.whl", only="package/model/")
    assert [path.name for path in (tmp_path / "code").rglob("*.*")] == ["vocab.txt"]


HOSTILE_ZIPS = {
    "symbolic link": (("evil", b"/etc", stat.S_IFLNK), "is a symbolic link"),
    "pipe": (("evil", b"", stat.S_IFIFO), OTHER),
    "above": (plain("../evil"), OUTSIDE),
    "far above": (plain("a/../../../evil"), OUTSIDE),
    "absolute": (plain("/tmp/evil"), OUTSIDE),
    "folder above": (("../evil/", b"", stat.S_IFDIR), OUTSIDE),
    "twice": (plain("first.txt", b"other"), "is there twice"),
    "file in a file": (plain("first.txt/evil"), "is there twice"),
    "long name": (plain("a" * 201), LEFT),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_what_is_no_plain_file_of_a_zip_is_refused_by_name(tmp_path, name):
    hostile, fault = HOSTILE_ZIPS[name]
    with pytest.raises(InputError) as error:
        try_unpack(zipped(plain("first.txt", b"kept"), hostile), tmp_path)
    said = (
        f"bert.tar.gz was not unpacked: {hostile[0][:200]!r} in it {fault}; give an archive of plain files and folders"
    )
    assert str(error.value) == said
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "new" / "first.txt"]


def test_a_zip_that_is_damaged_encrypted_or_too_large(tmp_path, monkeypatch):
    packed = zipped(plain("a.txt", bytes(1000)))
    at = packed.index(b"a.txt") + len("a.txt") + 2
    for number, bad in enumerate((packed[:-30], packed[:at] + b"\xff\xff" + packed[at + 2 :], b"PK\x03\x04")):
        with pytest.raises(InputError, match=r"could not be unpacked \(.*fetch it again"):
            try_unpack(bad, tmp_path / str(number))
    flagged = bytearray(packed)
    flagged[packed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(InputError, match="'a.txt' in it is encrypted"):
        try_unpack(bytes(flagged), tmp_path)
    monkeypatch.setattr(archives, "UNPACKED_LIMIT", 999)
    with pytest.raises(InputError, match="has more than"):
        try_unpack(packed, tmp_path)
