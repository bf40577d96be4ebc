"""Rate and memory of tokenizing, packing and caching, beside tensorflow-text's BertTokenizer and Hugging Face's.

Run: python benchmarks/tokenization.py --glue-dir FOLDER --vocabulary vocab.txt
SST-2's training phrases, repeated to show that memory does not grow with their number.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def timed(function, repeats: int = 3) -> float:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def repeated(source: Path, folder: Path, times: int) -> Path:
    """Write a GLUE folder whose SST-2 is `times` the given one's."""
    (folder / "SST-2").mkdir(parents=True)
    for name in ("train", "dev"):
        header, *rows = (source / "SST-2" / f"{name}.tsv").read_bytes().splitlines(keepends=True)
        (folder / "SST-2" / f"{name}.tsv").write_bytes(header + b"".join(rows) * times)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glue-dir", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, required=True)
    options = parser.parse_args()

    import tensorflow as tf
    import tensorflow_text as text
    from tokenizers import BertWordPieceTokenizer

    from bertglue.data.load_data import load_data
    from bertglue.models.preprocessor import load_preprocessor, tokenize
    from bertglue.tasks import TASKS

    preprocessor = load_preprocessor(str(options.vocabulary), 128)
    split = load_data(TASKS["sst2"], "folder", glue_dir=str(options.glue_dir))["train"]
    phrases = split.segments[0][:]

    def pack_and_cache():
        with tempfile.TemporaryDirectory() as cache:
            tokenize(split, preprocessor, cache)

    started = time.perf_counter()
    pack_and_cache()
    first = time.perf_counter() - started
    reference = text.BertTokenizer(str(options.vocabulary), token_out_type=tf.int32, lower_case=True)
    theirs = BertWordPieceTokenizer(str(options.vocabulary), lowercase=True)
    rows = [
        ("this project: tokenized, packed, cached; first time, traced", first),
        ("this project: tokenized, packed, cached", timed(pack_and_cache)),
        ("this project: tokenized only", timed(lambda: preprocessor.tokenize(phrases))),
        ("tensorflow-text BertTokenizer: tokenized only", timed(lambda: reference.tokenize(phrases))),
        ("Hugging Face tokenizers: tokenized only", timed(lambda: theirs.encode_batch(phrases))),
    ]
    for name, seconds in rows:
        print(f"{len(phrases) / seconds:>9,.0f} phrases/s  {name}")
    phrases.clear()
    for times in (1, 4, 16):
        with tempfile.TemporaryDirectory() as scratch:
            folder = repeated(options.glue_dir, Path(scratch) / "glue", times)
            before = resident_mb()
            many = load_data(TASKS["sst2"], "folder", glue_dir=str(folder))["train"]
            started = time.perf_counter()
            tokens = tokenize(many, preprocessor, scratch)
            seconds = time.perf_counter() - started
            print(f"{len(tokens):>9,} rows: {len(tokens) / seconds:,.0f}/s, {resident_mb() - before:+.0f} MB of memory")


if __name__ == "__main__":
    main()
