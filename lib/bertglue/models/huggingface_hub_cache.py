"""Encoders of Hugging Face's hub, by huggingface_hub: its cache, its `HF_HUB_OFFLINE`, its tokens."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.utils import disable_progress_bars

from bertglue.encoder_names import HUGGINGFACE
from bertglue.errors import InputError, one_line
from bertglue.models.encoder_places import Found
from bertglue.models.huggingface import FILES, MODEL_CONFIG_FILE, weight_files, without_weights

REMEDIES = {
    errors.GatedRepoError: "it asks you to accept its terms on its page first, and to log in (hf auth login)",
    errors.RepositoryNotFoundError: "there is no such model there, or it is private; look at its name",
    errors.RevisionNotFoundError: "it has no such revision; give one of its branches, tags or commits after the @",
    errors.LocalEntryNotFoundError: "it was not fetched before, and the hub does not answer",
}


def held(repository: str, revision: str | None) -> Found | None:
    """Return what was fetched before, where config and weights are whole."""
    try:
        folder = snapshot(repository, revision, local_files_only=True)
        weight_files(folder)
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, InputError, OSError, ValueError):
        return None
    return found_in(folder, repository) if (folder / MODEL_CONFIG_FILE).is_file() else None


def fetch(repository: str, revision: str | None) -> Found:
    """Fetch a model's configuration, weights and tokenizer, and nothing else that may lie beside them."""
    if found := held(repository, revision):
        return found
    address = f"{HUGGINGFACE}{repository}"
    print(f"fetching {address}, once", flush=True)
    try:
        folder = snapshot(repository, revision)
    except Exception as error:  # the hub's own kinds, and whatever the network raised
        why = next((said for kind, said in REMEDIES.items() if isinstance(error, kind)), one_line(error, 120))
        raise InputError(f"{address} could not be fetched: {why}") from None
    if not (folder / MODEL_CONFIG_FILE).is_file():
        raise InputError(f"{address} holds no {MODEL_CONFIG_FILE}; give a model of type bert, in transformers' format")
    try:
        weight_files(folder)
    except InputError:
        raise without_weights(address, names_in(repository, folder.name)) from None
    return found_in(folder, repository)


def snapshot(repository: str, revision: str | None, **options) -> Path:
    disable_progress_bars()  # hundreds of lines in a notebook
    return Path(huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=FILES, **options))


def found_in(folder: Path, repository: str) -> Found:
    """Name a snapshot, whose folder has the name of its commit."""
    return Found(folder, f"{HUGGINGFACE}{repository}", folder.name)


def names_in(repository: str, revision: str) -> list[str]:
    """List the files that lie in a repository, as far as the hub answers."""
    try:
        return huggingface_hub.HfApi().list_repo_files(repository, revision=revision)
    except Exception:  # they are for an error's text alone
        return []
