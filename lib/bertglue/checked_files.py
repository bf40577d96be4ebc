"""Read files that somebody could have damaged: what is wrong with one is an InputError of one line that names it."""

from __future__ import annotations

import hashlib
import math
import reprlib
from collections.abc import Container
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError, from_json

from bertglue.errors import InputError, one_line

LACKING_TYPES = ("missing", "lacking")  # of the errors that a reader may not mind, if it needs no such key


class FileSchema(BaseModel):
    """The keys and types of an object in a JSON file; keys that it does not know pass."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


def lacking(name: str) -> PydanticCustomError:
    """Make the error of a value in which something is missing."""
    return PydanticCustomError("lacking", "{name} is missing", {"name": name})


def unfit(said: str) -> PydanticCustomError:
    """Make the error of a value that does not fit what is around it."""
    return PydanticCustomError("unfit", "{said}", {"said": said})


def find_problem(
    value: object, schema: type[FileSchema], needed: Container[str] | None = None, context: dict | None = None
) -> str | None:
    """Describe the first thing that is wrong with a value; None where it fits its schema.

    Args:
        value: parsed JSON.
        schema: what it has to be.
        needed: the keys that have to be there; None: all. Whatever is there has to be of the right type.
        context: what the validators of the schema are given.
    """
    try:
        schema.model_validate(value, context=context)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            forgiven = needed is not None and detail["loc"] and detail["loc"][0] not in needed
            if not (forgiven and detail["type"] in LACKING_TYPES):
                return explain(detail)
    return None


def explain(detail: dict) -> str:
    """Format one of pydantic's errors: which key, what it is, what it must be."""
    key, said = ".".join(str(part) for part in detail["loc"])[:120], detail["msg"]
    if not key:
        return "it holds no object"
    if detail["type"] == "missing":
        return f"{key} is missing"
    if detail["type"] in ("lacking", "unfit"):
        return f"{key}: {said}"
    return f"{key} is {reprlib.repr(detail['input'])}: {said[:1].lower()}{said[1:]}"


def parse_json(path: Path, what: str, advice: str) -> object:
    """Parse a JSON file whose numbers are finite; `what` it should be and `advice` are for the error's line."""
    try:
        found = from_json(path.read_bytes(), allow_inf_nan=False)
        if not is_finite(found):  # 1e999 is a number, and too large for one
            raise ValueError("a number in it is too large")
        return found
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no {what} ({one_line(error)}); {advice}") from None


def is_finite(value: object) -> bool:
    """Return whether every number in parsed JSON is finite; the parser limits how deep it is."""
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def read_object(
    path: Path, schema: type[FileSchema], what: str, advice: str, *,
    needed: Container[str] | None = None, context: dict | None = None,
) -> dict:  # fmt: skip
    """Read an object from a JSON file, as it is there, once it fits its schema; see `find_problem`."""
    found = parse_json(path, what, advice)
    if wrong := find_problem(found, schema, needed, context):
        raise InputError(f"{path} is no {what} ({wrong}); {advice}")
    return found


def read_npz(path: Path, advice: str) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file. Runs no code from the file."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            return {name: saved[name] for name in saved.files}
    except Exception as error:  # numpy, zipfile and zlib raise a dozen kinds of a file that was cut or changed
        raise InputError(f"{path} cannot be read ({one_line(error)}); {advice}") from None


def file_digest(path: Path) -> dict[str, str | int]:
    """Compute the digest and the size of a file."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
