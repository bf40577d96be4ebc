"""Measure the time and memory of reading a BERT-base-sized SavedModel of TF Hub into the native encoder.

Run: python benchmarks/conversion.py [SAVEDMODEL]. Without one, random weights are written in TF Hub's format first.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"


def write_base(folder: Path) -> Path:
    sys.path.insert(0, str(TESTS))
    from savedmodels import export_variables, shapes

    named = shapes(vocabulary=30_522, hidden=768, layers=12, heads=12, inner=3072, positions=512)
    return export_variables(folder, named)


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def convert(folder: str) -> None:
    """Run in a process of its own, so that its peak is that of the conversion."""
    import bertglue
    from bertglue.models import tfhub  # noqa: F401  (TensorFlow's own memory and start-up are told apart)

    before = peak_gb()
    started = time.perf_counter()
    encoder = bertglue.load_encoder(folder)
    seconds = time.perf_counter() - started
    print(
        f"{encoder.count_params():,} parameters in {seconds:.1f} s; peak memory {peak_gb():.2f} GB, "
        f"of which {before:.2f} GB were there with the libraries loaded"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("savedmodel", nargs="?", help="a SavedModel folder (default: random BERT-base)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        convert(options.savedmodel)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.savedmodel or write_base(Path(scratch) / "bert")
        for _ in range(3):
            subprocess.run([sys.executable, __file__, str(folder), "--here"], check=True)


if __name__ == "__main__":
    main()
