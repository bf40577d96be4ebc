"""The guides on the command line and on compression, each line as a user types it in a clone, and what it prints."""

import re

import pytest
from checkout import console_blocks, copy_checkout, type_line
from paths import ROOT

pytestmark = pytest.mark.whole

GUIDES = ROOT / "book/guides"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("guides") / "a clone")


def typed(block: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a block, each with the lines that the guide shows of its output."""
    found = []
    for line in block.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        elif line.strip(" ─") and "..." not in line:
            found[-1][1].append(line)
    return found


def form(text: str) -> str:
    """Return a text with each number as 0, and each space as one: what stays from machine to machine."""
    return " ".join(re.sub(r"\d+([.,]\d+)*(e[+-]?\d+)?", "0", text).replace("+0", "-0").split())


def assert_typed(clone, block: str) -> None:
    for command, shown in typed(block):
        said = form(type_line(clone, command))
        assert "WARNING" not in said
        for line in shown:
            assert form(line) in said, f"{command} does not print {line!r}"


def test_the_command_line(clone):
    blocks = [block for block in console_blocks(GUIDES / "command_line.md") if "OPTIONS" not in block]
    assert len(typed(blocks[0])) > 10
    assert_typed(clone, blocks[0])


def test_compression_and_exports(clone):
    by_hand, exports = console_blocks(GUIDES / "compression.md")
    type_line(clone, by_hand)
    assert_typed(clone, exports)
    for folder in ("mrpc-phone", "mrpc-served"):
        said = type_line(clone / folder, "python example.py 'anna praised peter .' 'peter praised anna .'")
        assert {"equivalent", "not_equivalent"} & set(said.split())  # beside what LiteRT says of its delegate


def test_a_trial_of_pre_training(clone):
    (trial,) = [block for block in console_blocks(GUIDES / "encoders.md") if "mytext" in block]
    said = type_line(clone, trial)
    assert "RTE" in said
