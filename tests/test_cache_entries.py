"""Entries of a cache are whole, or made anew; a shared cache says whose what is."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from bertglue import cache_entries
from bertglue.cache_entries import MANIFEST_FILE, cached, check_owner
from bertglue.errors import InputError

REMEDY = "set it elsewhere"
NOBODY, ANOTHER = 65534, 65533


def make(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "a").write_text("first")
    (folder / "b").write_text("second")


def contents(folder):
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in files.items() if name != MANIFEST_FILE}


def never(folder):
    raise AssertionError("it was made again")


@pytest.fixture
def entry(tmp_path):
    return cached(tmp_path / "cache" / "key", make, REMEDY)


def test_what_is_whole_is_kept(entry, capsys):
    assert cached(entry, never, REMEDY) == entry
    assert contents(entry) == {"sub/a": "first", "b": "second"}
    assert [path.name for path in entry.parent.iterdir()] == ["key"]
    assert not capsys.readouterr().out


DAMAGES = {
    "emptied": lambda entry: [path.unlink() for path in entry.rglob("*") if path.is_file()],
    "one file gone": lambda entry: (entry / "sub" / "a").unlink(),
    "cut": lambda entry: (entry / "b").write_text("sec"),
    "edited": lambda entry: (entry / "b").write_text("secnod"),
    "without its manifest": lambda entry: (entry / MANIFEST_FILE).unlink(),
    "an empty manifest": lambda entry: (entry / MANIFEST_FILE).write_text("{}"),
    "a manifest of another kind": lambda entry: (entry / MANIFEST_FILE).write_text("[1]"),
    "a manifest that is no JSON": lambda entry: (entry / MANIFEST_FILE).write_bytes(b"\xff{"),
    "a file in its place": lambda entry: (shutil.rmtree(entry), entry.write_text("")),
    "a dangling link in its place": lambda entry: (shutil.rmtree(entry), entry.symlink_to("nowhere")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_made_anew(entry, capsys, damage):
    DAMAGES[damage](entry)
    cached(entry, make, REMEDY)
    assert contents(entry) == {"sub/a": "first", "b": "second"}
    assert [path.name for path in entry.parent.iterdir()] == ["key"]
    assert capsys.readouterr().out == f"{entry} was damaged; it is made anew\n"
    cached(entry, never, REMEDY)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), InputError("the archive is bad")])
def test_a_failure_leaves_nothing_and_takes_nothing_away(entry, error):
    (entry / "b").write_text("edited")

    def fail(folder):
        (folder / "b").write_text("half")
        raise error

    message = r"key cannot be written \(No space left.*\); free space there, or set it elsewhere$|^the archive is bad$"
    with pytest.raises(InputError, match=message):
        cached(entry, fail, REMEDY)
    assert [path.name for path in entry.parent.iterdir()] == ["key"]
    assert contents(entry)["b"] == "edited"  # until another is whole


def test_of_two_that_make_one_the_first_is_kept(tmp_path):
    def overtaken(folder):
        cached(tmp_path / "key", make, REMEDY)
        (folder / "b").write_text("later")

    cached(tmp_path / "key", overtaken, REMEDY)
    assert contents(tmp_path / "key") == {"sub/a": "first", "b": "second"}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_umask_decides_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        entry = cached(tmp_path / "cache" / "key", make, REMEDY)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (entry.parent, entry, entry / "sub")] == [0o750] * 3
    assert (entry / "b").stat().st_mode & 0o777 == (entry / MANIFEST_FILE).stat().st_mode & 0o777 == 0o640


# ---------------------------------------------------------------- two users


@contextmanager
def acting_as(user):
    """Act as another user, which only root may."""
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def place():
    """A folder of a user without rights, whom root acts as; another user's own folder where nobody is root."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid():
        yield folder
    else:
        os.chown(folder, NOBODY, -1)
        with acting_as(NOBODY):
            yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("closed", [".", "sub", "b", MANIFEST_FILE])
def test_what_its_owner_may_not_read_is_made_anew(place, closed):
    entry = cached(place / "key", make, REMEDY)
    (entry / closed).chmod(0)
    cached(entry, make, REMEDY)
    assert contents(entry) == {"sub/a": "first", "b": "second"}
    assert [path.name for path in place.iterdir()] == ["key"]


def test_a_folder_that_may_not_be_written_to_is_named_with_its_owner(place):
    place.chmod(0o500)
    with pytest.raises(InputError) as error:
        cached(place / "new" / "key", make, REMEDY)
    place.chmod(0o700)
    message = f"{place} belongs to {place.owner()}, and you may not write there (Permission denied); {REMEDY}"
    assert str(error.value) == message


@pytest.fixture
def two_users(place):
    if os.getuid():
        pytest.skip("only root may act as two users")
    place.chmod(0o777)
    return place


def test_two_users_share_a_cache_as_the_umask_lets_them(two_users):
    cached(two_users / "open", make, REMEDY)
    before = os.umask(0o077)
    cached(two_users / "closed", make, REMEDY)
    os.umask(before)
    os.seteuid(0)
    with acting_as(ANOTHER):
        assert contents(cached(two_users / "open", never, REMEDY)) == {"sub/a": "first", "b": "second"}
        with pytest.raises(InputError) as error:
            cached(two_users / "closed", make, REMEDY)
        assert contents(cached(two_users / "own", make, REMEDY)) == {"sub/a": "first", "b": "second"}
    os.seteuid(NOBODY)
    whose = (two_users / "closed").owner()
    assert str(error.value) == (
        f"{two_users / 'closed'} is damaged or closed to you, and belongs to {whose}; have it opened "
        f"(chmod -R a+rX) or removed, or {REMEDY}"
    )
    assert contents(two_users / "closed") == {"sub/a": "first", "b": "second"}


@pytest.mark.parametrize("kind", ["folder", "link to a folder"])
def test_a_folder_that_somebody_else_put_there_is_not_used(tmp_path, monkeypatch, kind):
    folder = tmp_path / "cache"
    folder.mkdir() if kind == "folder" else folder.symlink_to(tmp_path)
    check_owner(folder, REMEDY)
    check_owner(tmp_path / "not there", REMEDY)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(InputError) as error:
        check_owner(folder, REMEDY)
    assert str(error.value) == f"{folder} belongs to {folder.owner()} and not to you; remove it, or {REMEDY}"


def test_a_user_without_a_name_is_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "owner", lambda path: {}["no such user"])
    assert cache_entries.owner(tmp_path) == f"user {tmp_path.stat().st_uid}"
