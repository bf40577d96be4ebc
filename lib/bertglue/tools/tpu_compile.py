"""Compile the training and the prediction step for a TPU with its real compiler, on a machine without one.

What comes out is what the compiler knows: memory, operations, bytes, and from these the roofline, the time of a step
that computes or moves them at a chip's full speed. It is not a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bertglue.errors import InputError, exit_status, one_line
from bertglue.report.measured_files import TPU_COMPILED_STEPS

ENCODER_SIZES = {  # hidden, inner, heads of each layer
    "small": (128, 512, (2, 2)),
    "base": (768, 3072, (12,) * 12),
}
VOCABULARY_SIZE = 30_522
GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """A kind of TPU: its topologies by number of chips, and a chip's memory [bytes], FLOP/s in bfloat16, bytes/s."""

    topologies: dict[int, str]
    memory: float
    flops: float
    bandwidth: float


# memory, peak and bandwidth as Google Cloud's pages on the TPU v5e and v6e give them
CHIPS = {
    "v5e": Chip({1: "v5e:2x2", 4: "v5e:2x2", 8: "v5e:2x4"}, 16 * GIB, 197e12, 819e9),
    "v6e": Chip({1: "v6e:2x2", 4: "v6e:2x2", 8: "v6e:2x4"}, 32 * GIB, 918e12, 1640e9),
}


@dataclass(frozen=True)
class Compiled:
    """The compiler's report of one step; operations, bytes and memory are those of each chip."""

    step: str
    encoder: str
    chip: str
    chips: int
    batch_size: int
    length: int
    precision: str
    memory: int
    flops: float
    bytes: float
    compile_seconds: float

    @property
    def roofline_seconds(self) -> float:
        """The longer of the time to compute at the peak and the time to move the bytes at the full bandwidth."""
        chip = CHIPS[self.chip]
        return max(self.flops / chip.flops, self.bytes / chip.bandwidth)

    @property
    def examples_per_second(self) -> float:
        return self.batch_size / self.roofline_seconds


def prepare_environment(kind: str, chips: int) -> None:
    """Set the environment in which the TPU's compiler loads without a TPU; call it before JAX is imported."""
    os.environ.update(
        KERAS_BACKEND="jax",
        JAX_PLATFORMS="cpu",
        TPU_SKIP_MDS_QUERY="1",
        ALLOW_MULTIPLE_LIBTPU_LOAD="true",
        TPU_ACCELERATOR_TYPE=f"{'v5litepod' if kind == 'v5e' else kind}-{max(chips, 4)}",
        TPU_WORKER_HOSTNAMES="localhost",
    )


def find_devices(kind: str, chips: int) -> list:
    from jax.experimental import topologies

    known = CHIPS[kind].topologies
    if chips not in known:
        raise InputError(f"chips is {chips}; choose from {', '.join(map(str, known))}")
    try:
        return topologies.get_topology_desc(known[chips], "tpu").devices[:chips]
    except Exception as error:
        raise InputError(
            f"the TPU compiler did not load ({one_line(error)}); `make tpu-check` installs libtpu"
        ) from error


def build(encoder: str, length: int):
    """Build and compile a classifier, as a run does, in bfloat16 with float32 weights."""
    import keras

    from bertglue.models.bert import EncoderConfig, build_encoder
    from bertglue.models.classifier import build_classifier
    from bertglue.parameters import Parameters
    from bertglue.tasks import TASKS
    from bertglue.training.finetune import compile_for_training

    keras.config.set_dtype_policy("mixed_bfloat16")
    hidden, inner, heads = ENCODER_SIZES[encoder]
    config = EncoderConfig(VOCABULARY_SIZE, hidden, inner, heads, max_positions=max(512, length))
    classifier = build_classifier(build_encoder(config), TASKS["mrpc"].outputs)
    compile_for_training(classifier, TASKS["mrpc"], Parameters(task="mrpc"), steps=1000)
    return classifier


def batch_of(size: int, length: int):
    """Return a batch as `batches.Batches` serves it."""
    from bertglue.data.token_ids import ENCODER_INPUTS

    inputs = {name: np.zeros((size, length), "int32") for name in ENCODER_INPUTS}
    return inputs, np.zeros(size, "int32"), np.ones(size, "float32")


def steps(trainer, batch):
    """Yield the functions that Keras compiles for `fit` and `predict`, and what it calls them with."""
    trainer._symbolic_build(data_batch=batch)
    weights = {"trainable_variables": True, "non_trainable_variables": True}
    state = trainer._get_jax_state(**weights, optimizer_variables=True, metrics_variables=True)
    yield "train", trainer.train_step, (state, batch)

    def predict_step(state, batch):  # what Keras's make_predict_function wraps it in
        outputs, non_trainable = trainer.predict_step(state, batch)
        return outputs, (state[0], non_trainable)

    yield "predict", predict_step, (trainer._get_jax_state(**weights), batch[:1])


def compile_steps(encoder: str, kind: str, chips: int, per_chip: int, length: int):
    """Compile both steps for some chips, the batch split among them and the weights on each, as in a run."""
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(find_devices(kind, chips)), ("batch",))
    everywhere, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))

    def shapes(values, sharding):
        return jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding), values)

    size = per_chip * chips
    for name, function, (state, batch) in steps(build(encoder, length), batch_of(size, length)):
        say(f"compiling the {name} step of the {encoder} encoder for {chips} x {kind}, batch {size} ...")
        started = time.perf_counter()
        # as Keras's trainer does under DataParallel: the state is given away, and its new value lies where it lay
        jitted = jax.jit(function, donate_argnums=0, out_shardings=(None, everywhere))
        done = jitted.lower(shapes(state, everywhere), shapes(batch, split)).compile()
        cost, memory = done.cost_analysis(), done.memory_analysis()
        yield Compiled(
            step=name,
            encoder=encoder,
            chip=kind,
            chips=chips,
            batch_size=size,
            length=length,
            precision="bfloat16",
            memory=memory.argument_size_in_bytes
            + memory.output_size_in_bytes
            - memory.alias_size_in_bytes
            + memory.temp_size_in_bytes
            + memory.generated_code_size_in_bytes,
            flops=cost["flops"],
            bytes=cost["bytes accessed"],
            compile_seconds=round(time.perf_counter() - started, 1),
        )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def table(compiled: list[Compiled]):
    """Tabulate what was compiled, one step a row."""
    import pandas as pd

    return pd.DataFrame(
        {
            "step": c.step,
            "chips": f"{c.chips} x {c.chip}",
            "batch x length": f"{c.batch_size} x {c.length}",
            "precision": c.precision,
            "GiB": f"{c.memory / GIB:.2f} of {CHIPS[c.chip].memory / GIB:.0f}",
            "TFLOP": f"{c.flops / 1e12:.3f}",
            "GB": f"{c.bytes / 1e9:.2f}",
            "roofline, ms": f"{c.roofline_seconds * 1e3:.2f}",
            "examples/s": f"{c.examples_per_second:,.0f}",
        }
        for c in compiled
    )


def write_compiled_steps(compiled: list[Compiled], path: Path) -> None:
    """Record what was compiled, with the versions that did it."""
    from importlib.metadata import version

    versions = {package: version(package) for package in ("jax", "libtpu", "keras")}
    record = {"versions": versions, "compiled": [asdict(c) for c in compiled]}
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_compiled_steps(path: Path = TPU_COMPILED_STEPS) -> tuple[list[Compiled], dict[str, str]]:
    """Read what `--record` wrote: the steps, and the versions that compiled them."""
    record = json.loads(path.read_text(encoding="utf-8"))
    return [Compiled(**row) for row in record["compiled"]], record["versions"]


def findings(compiled: list[Compiled], versions: dict[str, str]) -> str:
    """Describe in words what the table shows, for one chip in training, and what it was made with."""
    one = min((c for c in compiled if c.step == "train"), key=lambda c: c.chips)
    chip = CHIPS[one.chip]
    computing, moving = one.flops / chip.flops * 1e3, one.bytes / chip.bandwidth * 1e3
    bound = (
        "The compiler counts what every operation reads and writes, also what it keeps in the chip's own memory, which "
        "is many times as fast: the second time is an upper bound, and a step may be bound by arithmetic all the same."
        if moving > computing
        else "The step is bound by arithmetic."
    )
    return (
        f"The roofline is the longer of two times: that of the operations at a chip's peak "
        f"({chip.flops / 1e12:.0f} TFLOP/s in bfloat16), {computing:.1f} ms for a training step on one chip, and that "
        f"of the bytes at the full bandwidth of its memory ({chip.bandwidth / 1e9:.0f} GB/s), {moving:.1f} ms. {bound} "
        f"The step takes {one.memory / chip.memory:.0%} of the chip's memory. "
        f"Compiled with {', '.join(f'{package} {version}' for package, version in versions.items())}."
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.tpu_compile", description=__doc__)
    parser.add_argument(
        "--encoder", choices=ENCODER_SIZES, default="small", help="size of the encoder (default: small)"
    )
    parser.add_argument("--chip", choices=CHIPS, default="v5e", help="kind of TPU (default: v5e, as Colab lends)")
    parser.add_argument("--chips", type=int, nargs="+", default=[1, 8], help="how many (default: 1 8)")
    parser.add_argument("--batch-size", type=int, default=32, help="examples on each chip (default: 32)")
    parser.add_argument("--length", type=int, default=128, help="tokens of an example (default: 128)")
    parser.add_argument("--record", action="store_true", help="keep the table for the book")
    options = parser.parse_args(arguments)
    return exit_status(lambda: compile_and_print(options))


def compile_and_print(options: argparse.Namespace) -> None:
    """Compile the steps for each number of chips, print the table, and record it where that is asked for."""
    prepare_environment(options.chip, max(options.chips))
    compiled: list[Compiled] = []
    for chips in options.chips:
        compiled += compile_steps(options.encoder, options.chip, chips, options.batch_size, options.length)
    print(table(compiled).to_string(index=False))
    print(
        "GiB, TFLOP and GB are each chip's. Roofline and examples/s are computed from what the compiler counts, as if"
    )
    print("every byte went through the chip's memory at full speed; they are not measured.")
    if options.record:
        write_compiled_steps(compiled, TPU_COMPILED_STEPS)


if __name__ == "__main__":
    sys.exit(main())
