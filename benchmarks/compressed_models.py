"""Measure what pruned heads and quantized weights gain on this processor, for randomly initialized encoders.

Run: python benchmarks/compressed_models.py [2x128 4x256]. Times are medians over turns that alternate.
"""

import argparse
import functools
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bertglue.data.token_ids import Tokens
from bertglue.export import litert, litert_runtime
from bertglue.models.attention import MultiHeadAttention
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.heads import count_heads, keep_heads

LENGTH, BATCHES, HEAD_SIZES = 128, (1, 32), {128: 32}  # the bundled encoder's heads have 32 places, BERT's 64
KINDS = ("float32", "float16", "int8 dynamic", "int8 static")


def medians(calls: dict, turns: int) -> dict[str, float]:
    """Call each once a turn, and give the median of its seconds."""
    seconds = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(turns):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def attention_gain(hidden: int, turns: int) -> dict[int, float]:
    """Return how many times as fast self-attention is with half of its heads, by batch size."""
    size, found = HEAD_SIZES.get(hidden, 64), {}
    for batch in BATCHES:
        x, mask = tf.random.normal((batch, LENGTH, hidden)), tf.ones((batch, 1, LENGTH), "int32")
        calls = {}
        for heads in (hidden // size, hidden // size // 2):
            layer = MultiHeadAttention(num_heads=heads, key_dim=size, output_shape=hidden)
            layer(x, x, attention_mask=mask)
            serve = tf.function(lambda x, layer=layer, mask=mask: layer(x, x, attention_mask=mask))
            calls[heads] = lambda serve=serve, x=x: serve(x).numpy()
        whole, half = medians(calls, turns).values()
        found[batch] = whole / half
    return found


def made_classifier(layers: int, hidden: int, words: int) -> keras.Model:
    size = HEAD_SIZES.get(hidden, 64)
    config = EncoderConfig(words, hidden, 4 * hidden, (hidden // size,) * layers, size, LENGTH)
    return build_classifier(build_encoder(config), 2)


def files_gain(classifier: keras.Model, words: int, turns: int) -> dict[str, tuple[float, dict[int, float]]]:
    """Return of each kind of file its share of float32's size, and how many times as fast it is, by batch size."""
    rng = np.random.default_rng(0)
    offsets = np.arange(33) * LENGTH
    rows = Tokens(rng.integers(5, words, offsets[-1]).astype("int32"), offsets, np.full(32, LENGTH // 2), LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: Path(folder) / f"{kind}.tflite" for kind in KINDS}
        for kind, path in paths.items():
            litert.convert_to_litert(classifier, path, kind, LENGTH, rows)
        sizes = {kind: path.stat().st_size for kind, path in paths.items()}
        gains = {kind: {} for kind in KINDS}
        for batch in BATCHES:
            inputs = rows.batch(np.arange(batch), LENGTH)
            models = {kind: litert_runtime.LiteRTModel(path) for kind, path in paths.items()}
            times = medians({kind: functools.partial(model, inputs) for kind, model in models.items()}, turns)
            for kind in KINDS:
                gains[kind][batch] = times["float32"] / times[kind]
    return {kind: (sizes[kind] / sizes["float32"], gains[kind]) for kind in KINDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "encoders", nargs="*", default=["2x128", "4x256"], help="layers x hidden size (12x768 takes 15 GB, and long)"
    )
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--words", type=int, default=30_522)
    options = parser.parse_args()
    for name in options.encoders:
        layers, hidden = map(int, name.split("x"))
        gain = attention_gain(hidden, options.turns)
        said = ", ".join(f"{value:.2f} x at batch {batch}" for batch, value in gain.items())
        print(f"{name}: attention with half of the heads, length {LENGTH}: {said}", flush=True)
        classifier = made_classifier(layers, hidden, options.words)
        half = [range(heads // 2) for heads in count_heads(classifier)]
        for title, model in (("all heads", classifier), ("half of the heads", keep_heads(classifier, half))):
            for kind, (size, gains) in files_gain(model, options.words, options.turns).items():
                said = ", ".join(f"{value:.2f} x at batch {batch}" for batch, value in gains.items())
                print(f"{name}, {title}, {kind}: {100 * size:.0f} % of float32's size; {said}", flush=True)


if __name__ == "__main__":
    main()
