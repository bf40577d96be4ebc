"""Find an encoder by name, folder, archive, address or `organization/name`, and open it in the format that it has."""

from __future__ import annotations

import importlib
from pathlib import Path

from bertglue.encoder_names import BUNDLED, NAMED_ENCODERS, without_random
from bertglue.errors import InputError
from bertglue.models.bundled import BUNDLED_FOLDER
from bertglue.models.encoder_places import Found, find_folder
from bertglue.models.encoder_source import FORMATS, SUPPORTED_FORMATS, EncoderSource, Tokenization, is_cased


def find_encoder(source: str) -> EncoderSource:
    """Open an encoder; `source` is as for `load_encoder`."""
    name = without_random(source)
    return open_folder(Found(BUNDLED_FOLDER, "the library") if name == BUNDLED else find_folder(name))


def open_folder(found: Found) -> EncoderSource:
    """Open a folder in the format that its files tell."""
    for name, (module, kind) in FORMATS.items():
        if (found.folder / name).exists():
            opened = importlib.import_module(f"bertglue.models.{module}")  # some need TensorFlow
            return getattr(opened, kind)(found.folder, found.place, found.revision)
    if (found.folder / "record.json").exists() or (found.folder / "resume.npz").exists():
        raise InputError(f"{found.place} is a run without model.keras; give a finished run, or run it to its end")
    from bertglue.models.huggingface import PICKLES, without_weights

    if any(found.folder.glob(PICKLES[0])):
        raise without_weights(found.place, [path.name for path in found.folder.iterdir()])
    raise InputError(f"{found.place} holds none of {', '.join(FORMATS)}; give {SUPPORTED_FORMATS}")


def find_tokenization(source: str) -> Tokenization:
    """Find the vocabulary of an encoder; `source` may be a `vocab.txt` too."""
    if source.endswith(".txt"):
        from bertglue.data.token_ids import read_vocabulary

        entries = read_vocabulary(Path(source).expanduser())
        return Tokenization(entries, lower_case=not is_cased(entries))
    return find_encoder(source).tokenization


def hidden_act_of(source: str) -> str | None:
    """Return the activation that a named encoder is known to have."""
    named = NAMED_ENCODERS.get(without_random(source))
    return named.hidden_act if named else None
