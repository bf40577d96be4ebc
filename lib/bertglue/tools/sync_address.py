"""Carry the repository's address from `pyproject.toml` to the files that cannot read it there."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

# A badge, an install command or a setting; the owner and the name of the repository in the middle.
ADDRESS_PATTERNS = (
    r"(https://colab\.research\.google\.com/github/)[\w.-]+/[\w.-]+(/blob/)",
    r"(git\+https://github\.com/)[\w.-]+/[\w.-]+?()(?=[\"'\s\\]|$)",
    r"(\(https://github\.com/)[\w.-]+/[\w.-]+(/blob/)",
    r"(git clone https://github\.com/)[\w.-]+/[\w.-]+()",
    r"((?:url|repository-code): \"?https://github\.com/)[\w.-]+/[\w.-]+()",
)
FILES_WITH_ADDRESS = ("README.md", "CITATION.cff", "_config.yml")


def files(root: Path) -> list[str]:
    """List the files that hold the address, every notebook among them and the guides that have it."""
    guides = [path for path in (root / "book/guides").glob("*.md") if "github.com/" in path.read_text(encoding="utf-8")]
    found = [*(root / "notebooks").glob("*.ipynb"), *guides]
    return [*FILES_WITH_ADDRESS, *sorted(str(path.relative_to(root)) for path in found)]


def repository(root: Path) -> str:
    """Return `owner/name` of the address in `pyproject.toml`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["urls"]["Repository"].removeprefix("https://github.com/")


def carry(text: str, name: str) -> str:
    for pattern in ADDRESS_PATTERNS:
        text = re.sub(pattern, rf"\g<1>{name}\g<2>", text, flags=re.MULTILINE)
    return text


def main(root: Path | None = None) -> int:
    root = root or Path(__file__).parents[3]
    for name in files(root):
        path = root / name
        before = path.read_text(encoding="utf-8")
        after = carry(before, repository(root))
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{name}: {repository(root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
