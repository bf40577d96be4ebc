"""SavedModels by folder, archive or address; what is unpacked or fetched is kept in a cache, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import platformdirs

from bertglue.cache_entries import cached, check_owner
from bertglue.errors import InputError, one_line
from bertglue.models.archives import unpack

HUB_SITES = ("tfhub.dev/", "kaggle.com/models/", "www.kaggle.com/models/")
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")
HUB_CACHE_VARIABLE = "TFHUB_CACHE_DIR"  # TF Hub's own
HUB_CACHE_REMEDY = f"set {HUB_CACHE_VARIABLE} to a folder of your own"
SAVEDMODEL_FILE = "saved_model.pb"
FETCH_TIMEOUT = 60  # seconds without an answer


def hub_cache_dir() -> Path:
    """Return where SavedModels are kept: what `TFHUB_CACHE_DIR` names, or else a folder of this user.

    TF Hub's own default is one path for all users in the shared temporary folder, which anybody may fill beforehand.
    """
    named = os.environ.get(HUB_CACHE_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("bertglue") / "tfhub"


def resolve(source: str) -> Path:
    """Find the folder of a SavedModel: a folder as it is, a tar unpacked, an address fetched, both once."""
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.is_file() and path.name.endswith(ARCHIVE_SUFFIXES):
        return unpacked(path)
    address = f"https://{source}" if source.startswith(HUB_SITES) else source
    if not address.startswith(("https://", "http://")):
        raise InputError(
            f"{source!r} is no SavedModel folder, no .tar.gz of one, and no address; give one of these, or `bundled`"
        )
    return kept(address, address, lambda: fetch(address))


def unpacked(path: Path) -> Path:
    """Unpack a tar once; one that changed is another."""
    state = path.stat()

    def read() -> BinaryIO:
        try:
            return path.open("rb")
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); give an archive that you may read") from None

    return kept(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}", str(path), read)


def kept(key: str, source: str, read: Callable[[], BinaryIO]) -> Path:
    """Return the folder of the SavedModel that is kept under a key; `read` gives its archive where it is not there."""

    def make(entry: Path) -> None:
        with read() as packed:
            unpack(packed, entry / "savedmodel", source)
        if not (savedmodel_in(entry) / SAVEDMODEL_FILE).is_file():
            raise InputError(f"{source} holds no SavedModel ({SAVEDMODEL_FILE}); give the archive of one")

    cache = hub_cache_dir()
    if not os.environ.get(HUB_CACHE_VARIABLE):
        for folder in (cache.parent, cache):
            check_owner(folder, HUB_CACHE_REMEDY)
    return savedmodel_in(cached(cache / hashlib.sha256(key.encode()).hexdigest(), make, HUB_CACHE_REMEDY))


def savedmodel_in(entry: Path) -> Path:
    """Return the SavedModel's own folder, which some archives hold and others are."""
    inside = [found.parent for found in entry.glob(f"savedmodel/*/{SAVEDMODEL_FILE}")]
    return inside[0] if len(inside) == 1 else entry / "savedmodel"


def fetch(address: str) -> BinaryIO:
    """Ask for the tar.gz of an address as TF Hub's library does."""
    parts = urllib.parse.urlsplit(address)
    query = "&".join(filter(None, (parts.query, "tf-hub-format=compressed")))
    print(f"fetching {address}, once", flush=True)
    try:
        return urllib.request.urlopen(parts._replace(query=query).geturl(), timeout=FETCH_TIMEOUT)
    except Exception as error:  # whatever the network raised
        raise InputError(
            f"{address} could not be fetched ({type(error).__name__}: {one_line(error)}); "
            "go online once, or fetch its tar.gz elsewhere and give that file"
        ) from error
