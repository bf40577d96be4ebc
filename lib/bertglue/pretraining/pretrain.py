"""BERT's pre-training: masked words and next sentences (Devlin et al., 2019, section 3.1 and appendix A).

Runs on either backend, from a packed corpus and without TensorFlow. A run that was killed resumes from its last
checkpoint, with the examples and weights that an unbroken one would have had.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated

import keras
from keras import layers, ops
from pydantic import Field

from bertglue import environment
from bertglue.checked_files import FileSchema, find_problem
from bertglue.data.token_ids import read_vocabulary
from bertglue.devices import Strategy
from bertglue.errors import InputError
from bertglue.models.bert import EncoderConfig, build_encoder, dense, initializer, layer_norm
from bertglue.models.encoder_files import save_encoder
from bertglue.models.fast_layers import gelu
from bertglue.parameters import PretrainingParameters
from bertglue.pretraining.corpus import Corpus, count, load_corpus
from bertglue.pretraining.examples import Examples, Vocabulary
from bertglue.training.checkpoint import assign, fits, load_checkpoint, save_checkpoint
from bertglue.training.finetune import check_accumulation
from bertglue.training.optimizer import MIN_LOSS_SCALE, build_optimizer, loss_scale, with_loss_scaling
from bertglue.training.running_metrics import RunningLoss

FREE_ON_RESUME = {"texts", "folder", "backend"}  # may differ when a run goes on


@keras.saving.register_keras_serializable("bertglue")
class TiedWords(layers.Layer):
    """Score every piece of the vocabulary by its embedding: [.., hidden] to logits [.., vocabulary]."""

    def __init__(self, embedding, **kwargs):
        super().__init__(**kwargs)
        self.embedding = embedding

    def build(self, shape):
        self.bias = self.add_weight(shape=(self.embedding.input_dim,), initializer="zeros", name="bias")

    def call(self, inputs):
        table = ops.cast(self.embedding.embeddings, inputs.dtype)
        return ops.cast(ops.matmul(inputs, ops.transpose(table)), "float32") + ops.cast(self.bias, "float32")


def build_pretrainer(encoder: keras.Model) -> keras.Model:
    """Build the heads of pre-training on an encoder: `words` [batch, masked, vocabulary], `follows` [batch, 2]."""
    positions = keras.Input((None,), dtype="int32", name="masked_positions")
    inputs = {**encoder.input, "masked_positions": positions}
    outputs = encoder(encoder.input)
    chosen = ops.take_along_axis(outputs["sequence_output"], ops.expand_dims(positions, -1), axis=1)
    hidden = chosen.shape[-1]
    x = layer_norm("words_layer_norm")(dense(hidden, gelu, "words_transform")(chosen))
    words = TiedWords(encoder.get_layer("word_embeddings"), name="words")(x)
    follows = layers.Dense(2, kernel_initializer=initializer(), dtype="float32", name="follows")
    return keras.Model(inputs, {"words": words, "follows": follows(outputs["pooled_output"])}, name="pretrainer")


class PretrainingState(FileSchema):
    """What a checkpoint says beside its arrays."""

    parameters: dict
    step: Annotated[int, Field(ge=0)]
    history: list[dict]


class Pretraining:
    """A pre-training run in its folder: it starts there, or resumes from the checkpoint that it finds."""

    def __init__(self, train: Corpus, held_out: Corpus, entries: list[str], parameters: PretrainingParameters):
        self.train, self.held_out, self.parameters = train, held_out, parameters
        self.folder = Path(parameters.folder)
        self.entries, self.vocabulary = entries, Vocabulary.of(entries)
        self.config = EncoderConfig(
            vocabulary_size=self.vocabulary.size,
            hidden_size=parameters.hidden_size,
            intermediate_size=parameters.intermediate_size,
            heads=tuple(parameters.heads),
            head_size=parameters.hidden_size // parameters.heads[0],
            max_positions=parameters.max_positions,
            dropout=0.0,
        )
        self.encoder = build_encoder(self.config, parameters.seed)
        self.trainer = compile_pretrainer(build_pretrainer(self.encoder), parameters)
        self.step, self.history = 0, []
        if self.checkpoint.exists():
            self.load()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.npz"

    def run(self, until: int | None = None) -> list[dict]:
        """Train to the end, or to a step; score the held-out text and save as it goes."""
        stop = min(until or self.parameters.steps, self.parameters.steps)
        while self.step < stop:
            length, end = self.parameters.stage(self.step)
            step = min(stop, end, (self.step // self.parameters.save_every + 1) * self.parameters.save_every)
            started = time.perf_counter()
            logs = self.trainer.fit(self.examples(self.train, self.step, step, length), verbose=0, shuffle=False)
            seconds = time.perf_counter() - started
            rate = (step - self.step) * self.parameters.batch_size / seconds
            self.step = step
            row = {"step": step, "length": length, "sequences_per_second": round(rate, 1)}
            row["train"] = {name: values[0] for name, values in logs.history.items()}
            row["held_out"] = self.evaluate(length)
            self.check_losses(row)
            self.history.append(row)
            self.save()
            print(line(row, self.parameters.steps), flush=True)
        return self.history

    def check_losses(self, row: dict) -> None:
        """End in one line where nothing is learned any more; the checkpoint before stays."""
        losses = {split: row[split]["loss"] for split in ("train", "held_out")}
        scale = loss_scale(self.trainer.optimizer)
        if all(map(math.isfinite, losses.values())) and (scale is None or scale >= MIN_LOSS_SCALE):
            return
        said = ", ".join(f"{split.replace('_', ' ')} {loss:.4g}" for split, loss in losses.items())
        stays = f"; {self.checkpoint} is of the steps before" if self.history else ""
        raise InputError(
            f"the loss at step {row['step']} is no number, or gradients overflow ({said}); lower learning_rate, or set "
            f"precision to float32{stays}"
        )

    def examples(self, corpus: Corpus, start: int, stop: int, length: int) -> Examples:
        s = self.parameters
        return Examples(
            corpus, self.vocabulary, start=start, stop=stop, batch_size=s.batch_size, length=length, seed=s.seed,
            whole_words=s.whole_words,
        )  # fmt: skip

    def example(self) -> list[dict[str, str]]:
        """Show the first pair of the run, a row for each segment: as the model sees it, and what it must find."""
        length, _ = self.parameters.stage(0)
        inputs, targets, weights = self.examples(self.train, 0, 1, length)[0]
        asked = {
            int(position): self.entries[piece]
            for position, piece, weight in zip(
                inputs["masked_positions"][0], targets["words"][0], weights["words"][0], strict=True
            )
            if weight
        }
        pieces, types = (
            inputs[name][0][: inputs["input_mask"][0].sum()] for name in ("input_word_ids", "input_type_ids")
        )
        return [
            {
                "segment": "ab"[segment],
                "as the model sees it": " ".join(self.entries[piece] for piece in pieces[types == segment]),
                "to be found": ", ".join(piece for position, piece in asked.items() if types[position] == segment),
            }
            for segment in (0, 1)
        ]

    def evaluate(self, length: int) -> dict[str, float]:
        batches = self.examples(self.held_out, 0, self.parameters.evaluate_batches, length)
        return self.trainer.evaluate(batches, verbose=0, return_dict=True)

    def save_encoder(self, strategy: Strategy) -> Path:
        """Write the encoder without its heads, and how it came about, for `load_encoder` and `load_preprocessor`."""
        story = {
            "parameters": self.parameters.model_dump(exclude={"texts", "folder"}),
            "text": {"train": count(self.train), "held_out": count(self.held_out)},
            "history": self.history,
            "environment": environment.describe_environment(strategy.device),
        }
        return save_encoder(self.encoder, self.config, self.entries, self.folder / "encoder", story)

    def variables(self) -> list:
        return [*self.trainer.trainable_variables, *self.trainer.optimizer.variables]

    def save(self) -> None:
        """Write weights, optimizer, step and history as one file, whole or not at all."""
        about = {
            "parameters": self.parameters.model_dump(exclude=FREE_ON_RESUME),
            "step": self.step,
            "history": self.history,
        }
        save_checkpoint(self.checkpoint, about, v=self.variables())

    def load(self) -> None:
        about, groups = load_checkpoint(self.checkpoint, "v")
        if wrong := find_problem(about, PretrainingState):
            raise InputError(f"{self.checkpoint} is damaged ({wrong}); remove it to start anew")
        mine, theirs = self.parameters.model_dump(exclude=FREE_ON_RESUME), about["parameters"]
        other = [name for name in mine if mine[name] != theirs.get(name)]
        if other:
            raise InputError(f"{self.checkpoint} is of other parameters ({', '.join(other)}); give another folder")
        if not fits(self.variables(), groups["v"]):
            raise InputError(f"{self.checkpoint} holds arrays of another model; remove it to start anew")
        assign(self.variables(), groups["v"])
        self.step, self.history = about["step"], about["history"]


def open_pretraining(parameters: PretrainingParameters) -> Pretraining:
    """Open a run over the vocabulary and the corpus that `vocabulary.prepare` left in its folder."""
    folder = Path(parameters.folder)
    entries = read_vocabulary(folder / "vocab.txt")
    train, held_out = (load_corpus(folder / "corpus" / part) for part in ("train", "held_out"))
    return Pretraining(train, held_out, entries, parameters)


def compile_pretrainer(trainer: keras.Model, parameters: PretrainingParameters) -> keras.Model:
    """Compile both heads with loss and accuracy; the losses are added, as BERT's are."""
    check_accumulation(parameters.accumulate)
    optimizer = build_optimizer(
        parameters.learning_rate,
        parameters.steps // parameters.accumulate,
        warmup_fraction=parameters.warmup_fraction,
        weight_decay=parameters.weight_decay,
        accumulate=parameters.accumulate,
    )
    optimizer = with_loss_scaling(optimizer, trainer)
    optimizer.build(trainer.trainable_variables)
    loss = {name: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for name in ("words", "follows")}
    accuracy = keras.metrics.sparse_categorical_accuracy
    metrics = {name: [RunningLoss(accuracy, name="accuracy")] for name in loss}
    trainer.compile(optimizer, loss, weighted_metrics=metrics)
    return trainer


def line(row: dict, steps: int) -> str:
    held = row["held_out"]
    return (
        f"step {row['step']:,}/{steps:,} | {row['sequences_per_second']:.0f} x {row['length']} a second | "
        f"train loss {row['train']['loss']:.3f} | held out: loss {held['loss']:.3f}, "
        f"words {held['words_accuracy']:.3f}, follows {held['follows_accuracy']:.3f}"
    )
