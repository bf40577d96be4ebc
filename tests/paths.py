"""Where the checkout lies, and the data beside it."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
SHARED = ROOT.parent / "shared"
