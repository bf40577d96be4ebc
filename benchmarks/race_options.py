"""What the races share: their options, and how they run a process."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"is {text}; give a whole number of at least 1")
    return int(text)


def home_expanded(text: str) -> Path:
    return Path(text).expanduser()


def race_parser(title: str, folders: str, turns: str, rows: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every race: `turns` and `rows` complete the help of theirs."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--glue-dir", type=home_expanded, required=True, help=f"folder of GLUE files: {folders}")
    parser.add_argument("--only", help="run the races whose name contains this", default="")
    parser.add_argument("--turns", type=positive, help=f"how often each contestant runs (default: {turns})")
    parser.add_argument("--rows", type=positive, help=f"{rows}: to try the command")
    parser.add_argument("--keep", action="store_true", help="make the result the one that the README and the book show")
    parser.add_argument("--anew", action="store_true", help="run again what is kept already")
    return parser


def choose(parser: argparse.ArgumentParser, options: argparse.Namespace, settings: Sequence) -> list:
    """Return the races that were asked for; end with the remedy where there are none, or --rows would be kept."""
    chosen = [setting for setting in settings if options.only in setting.name]
    if not chosen:
        parser.error(f"no race is called {options.only}; there are {'; '.join(one.name for one in settings)}")
    if options.rows and options.keep:
        parser.error("--rows races on fewer rows than the result that is kept; leave out one of --rows and --keep")
    return chosen


def turns_to_run(options: argparse.Namespace, race: str, turns: int, kept: Path, *peers: Sequence[str]) -> list[int]:
    """Return the turns of a race that are to run: without those that are kept already, unless --anew is given."""
    from bertglue.report.race_results import has_turn

    fresh = options.anew or not options.keep
    return [turn for turn in range(1, (options.turns or turns) + 1) if fresh or not has_turn(kept, race, turn, *peers)]


def finish(command: list[str]) -> str:
    """Run a command, which is told when it was started; return its output, or end with what it wrote where it failed.

    It inherits TF_ENABLE_ONEDNN_OPTS, which bertglue sets when it is imported: both of TensorFlow's have its kernels.
    All keep large arrays on huge pages, which bertglue asks for where it starts a run; PyTorch's user would have to.
    """
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RACE_STARTED": str(time.time())})
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout
