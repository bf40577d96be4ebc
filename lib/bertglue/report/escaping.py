"""Show a text of a file as text, in HTML and in Markdown alike."""

from __future__ import annotations

import re

# what begins markup, a link, a directive, a substitution or mathematics somewhere
ENTITIES = str.maketrans(
    {character: f"&#{ord(character)};" for character in "`*_{}[]|\\$~^#!@:'"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def escape_text(text: object) -> str:
    """Write a text so that a page shows it as it is, whatever is in it; nothing of it is markup."""
    return CONTROLS.sub("�", str(text)).translate(ENTITIES)


def escape_line(text: object) -> str:
    """Write a text as part of a sentence of Markdown, in which a line break could end the paragraph."""
    return escape_text(" ".join(str(text).split()))
