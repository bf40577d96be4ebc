"""Damage files as disks, editors and attackers do: cut, flipped, retyped, without keys, with hostile values."""

import io
import json
import random

import numpy as np

HOSTILE_TEXTS = (
    "<script>alert(1)</script>",
    '<img src="x" onerror="alert(1)">',
    "{{ 7 * 7 }}",
    "```{literalinclude} /etc/passwd\n```",
    "{raw}`<b>`",
    "a | b | c",
    "$\\frac{1}{$",
    "[x](javascript:alert(1))",
    "../../../etc/passwd",
    "\x1b[31mred\x07\r\n\u202e",
    "\u2028\u0000",
    "x" * 5000,
    "",
)
HOSTILE_NUMBERS = (0, -1, 1e308, -1e308, 10**30, -(10**30), 0.5, 1e-320, 2**63)
OTHER_TYPES = (None, True, "text", 7, 0.5, [], {}, [1, "a"], {"a": 1})
UNPARSABLE_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 5000)


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cut a file, flip some of its bits, blank a part, repeat a part, or put something else in its place."""
    kind, at = rng.randrange(6), rng.randrange(len(content))
    if kind == 0:
        return content[:at]
    if kind == 1:
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 4, 32))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    if kind == 2:
        return content[:at] + bytes(min(64, len(content) - at)) + content[at + 64 :]
    if kind == 3:
        return content[:at] + content[max(0, at - 40) :]
    if kind == 4:
        return content[:at] + rng.randbytes(8) + content[at:]
    return rng.choice((b"", b"\xff\xfe", b"PK\x03\x04", b"[" * 100_000, b"{}", b"null", b"[]", rng.randbytes(200)))


def mutate_json(content: bytes, rng: random.Random) -> bytes:
    """Change a value somewhere in parsed JSON; now and then the bytes themselves."""
    if rng.random() < 0.25:
        return mutate_bytes(content, rng)
    value = json.loads(content)
    holder, key = rng.choice(places(value))
    kind = rng.randrange(6)
    marker = "the number goes here"
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = rng.choice(OTHER_TYPES)
    elif kind == 2:
        holder[key] = rng.choice(HOSTILE_NUMBERS)
    elif kind == 3:
        holder[key] = rng.choice(HOSTILE_TEXTS)
    elif kind == 4:
        holder[key] = marker
    elif isinstance(holder, dict):
        holder[rng.choice(HOSTILE_TEXTS)] = holder[key] if rng.random() < 0.5 else holder.pop(key)
    else:
        holder.extend(holder[:] if rng.random() < 0.5 else [holder[key]])
    text = json.dumps(value)
    return text.replace(f'"{marker}"', rng.choice(UNPARSABLE_NUMBERS)).encode()


def places(value) -> list[tuple]:
    """List (holder, key) of everything inside of parsed JSON, the values near its top as often as those deep in it."""
    levels: list[list[tuple]] = [[]]
    queue = [(value, 0)]
    for holder, depth in queue:
        inside = holder if isinstance(holder, list) else list(holder) if isinstance(holder, dict) else ()
        for key in range(len(inside)) if isinstance(holder, list) else inside:
            while len(levels) <= depth:
                levels.append([])
            levels[depth].append((holder, key))
            queue.append((holder[key], depth + 1))
    most = max(map(len, levels))
    return [place for level in levels if level for place in (level * (most // len(level) + 1))[:most]]


def mutate_npz(content: bytes, rng: random.Random) -> bytes:
    """Change the arrays of an npz file: their names, shapes, types or values; or the bytes themselves."""
    if rng.random() < 0.5:
        return mutate_bytes(content, rng)
    with np.load(io.BytesIO(content)) as saved:
        arrays = dict(saved)
    name = rng.choice(sorted(arrays))
    array = arrays.pop(name)
    changed = {
        "gone": lambda: {},
        "renamed": lambda: {rng.choice(("other", "test", "x" * 300)): array},
        "shorter": lambda: {name: array[:-1]},
        "longer": lambda: {name: np.concatenate([array, array])},
        "empty": lambda: {name: array[:0]},
        "a number": lambda: {name: np.float32(1)},
        "flat": lambda: {name: array.ravel()},
        "deeper": lambda: {name: array[..., None]},
        "wider": lambda: {name: np.repeat(array, 3, axis=-1)},
        "texts": lambda: {name: array.astype(str)},
        "complex": lambda: {name: array.astype(complex)},
        "not finite": lambda: {name: np.full_like(array, rng.choice((np.nan, np.inf, -np.inf)), dtype="float32")},
        "huge": lambda: {name: (array * 1e30).astype("float64")},
        "other integers": lambda: {name: np.full_like(array, rng.choice((-1, 2**31 - 1)), dtype="int64")},
    }
    target = io.BytesIO()
    np.savez(target, **arrays | changed[rng.choice(sorted(changed))]())
    return target.getvalue()


def mutate_lines(content: bytes, rng: random.Random) -> bytes:
    """Drop, repeat, exchange or replace lines of a text file; or change the bytes themselves."""
    if rng.random() < 0.5:
        return mutate_bytes(content, rng)
    lines = content.split(b"\n")
    at, kind = rng.randrange(len(lines)), rng.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines[at:at] = [lines[at]] * rng.choice((1, 1000))
    elif kind == 2:
        lines[at], lines[0] = lines[0], lines[at]
    elif kind == 3:
        lines[at] = rng.choice(HOSTILE_TEXTS).encode()
    else:
        del lines[at:]
    return b"\n".join(lines)
