"""BERT's pre-training: masked words and next sentences (Devlin et al., 2019, section 3.1 and appendix A).

Runs on either backend, from a packed corpus and without TensorFlow. A run that was killed resumes from its last
checkpoint, with the examples and weights that an unbroken one would have had.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from bertglue import environment
from bertglue.data.token_ids import read_vocabulary
from bertglue.devices import Strategy
from bertglue.errors import InputError
from bertglue.models.bert import EncoderConfig, build_encoder, dense, initializer, layer_norm
from bertglue.models.encoder_files import save_encoder
from bertglue.models.fast_layers import gelu
from bertglue.parameters import PretrainingParameters
from bertglue.pretraining.corpus import Corpus, count, load_corpus
from bertglue.training.checkpoint import assign, load_checkpoint, save_checkpoint
from bertglue.training.optimizer import build_optimizer
from bertglue.training.running_metrics import RunningLoss

FREE_ON_RESUME = {"texts", "folder", "backend"}  # may differ when a run goes on
PAD, CLS, SEP, MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"


@dataclass(frozen=True)
class Vocabulary:
    """The part of a vocabulary that masking needs: its special ids, and which pieces continue a word."""

    size: int
    cls: int
    sep: int
    mask: int
    first: int  # ids below are special
    goes_on: np.ndarray  # bool [size]

    @classmethod
    def of(cls, entries: list[str]) -> Vocabulary:
        special = [index for index, entry in enumerate(entries) if entry.startswith("[") and entry.endswith("]")]
        missing = [token for token in (CLS, SEP, MASK) if token not in entries]
        if missing or entries[0] != PAD:
            raise InputError(f"the vocabulary lacks {', '.join(missing) or PAD} at its place; learn it anew")
        return cls(
            size=len(entries),
            cls=entries.index(CLS),
            sep=entries.index(SEP),
            mask=entries.index(MASK),
            first=max(i for i in special if i < 1000) + 1,
            goes_on=np.array([entry.startswith("##") for entry in entries]),
        )


@dataclass(frozen=True)
class Pairs:
    """An epoch's examples as positions in the corpus [examples]: two segments, and whether the second follows."""

    first: np.ndarray  # [examples, 2], from and to
    second: np.ndarray
    follows: np.ndarray

    def __len__(self) -> int:
        return len(self.follows)


def draw_pairs(corpus: Corpus, length: int, seed: tuple[int, ...], short: float = 0.1) -> Pairs:
    """Cut every document into pairs of segments that fill `length`; half of the second ones come from elsewhere.

    A segment is one sentence or more. A tenth of the pairs is cut shorter, as BERT's are. What a random second segment
    displaces is used next; it has as many sentences as the one that it displaces.
    """
    rng = np.random.default_rng(seed)
    first, second, follows = [], [], []
    for start, stop in zip(corpus.documents[:-1].tolist(), corpus.documents[1:].tolist(), strict=True):
        at = start
        while at < stop:
            target = length - 3 if rng.random() > short else rng.integers(8, length - 2)
            full = np.searchsorted(corpus.sentences[at : stop + 1], corpus.sentences[at] + target, side="right")
            end = min(max(at + int(full) - 1, at + 2), stop)
            middle = int(rng.integers(at + 1, end)) if end - at > 1 else end
            first.append((at, middle))
            if middle < end and rng.random() < 0.5:
                second.append((middle, end))
                follows.append(True)
                at = end
            else:
                second.append(draw_random_segment(corpus, rng, max(1, end - middle)))
                follows.append(False)
                at = middle
    order = rng.permutation(len(follows))
    places = [corpus.sentences[np.array(part)[order]] for part in (first, second)]
    return Pairs(*places, np.array(follows, "int32")[order])


def draw_random_segment(corpus: Corpus, rng: np.random.Generator, count: int) -> tuple[int, int]:
    """Draw some sentences that stand together in some document."""
    at = int(rng.integers(0, len(corpus.sentences) - 1))
    stop = corpus.documents[np.searchsorted(corpus.documents, at, side="right")]
    return at, min(at + count, int(stop))


def pack_pairs(corpus: Corpus, pairs: Pairs, rows: np.ndarray, vocabulary: Vocabulary, length: int) -> dict:
    """Pack pairs as `[CLS] a [SEP] b [SEP]`, the longer segment trimmed first, padded: int32 [rows, length]."""
    a, b = pairs.first[rows], pairs.second[rows]
    room = length - 3
    long_a, long_b = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]
    size_a = np.minimum(long_a, np.maximum(room - long_b, -(-room // 2)))
    size_b = np.minimum(long_b, room - size_a)
    position = np.arange(length)[None]
    end_a = size_a[:, None] + 1  # where the first [SEP] stands
    end_b = end_a + size_b[:, None] + 1
    in_a, in_b = (position >= 1) & (position < end_a), (position > end_a) & (position < end_b)
    at = np.where(in_a, a[:, :1] + position - 1, np.where(in_b, b[:, :1] + position - end_a - 1, 0))
    ids = np.where(in_a | in_b, corpus.ids[at].astype("int32"), 0)
    ids[:, 0] = vocabulary.cls
    ids = np.where((position == end_a) | (position == end_b), vocabulary.sep, ids)
    mask = (position <= end_b).astype("int32")
    return {"input_word_ids": ids.astype("int32"), "input_mask": mask, "input_type_ids": mask * (position > end_a)}


def mask_words(inputs: dict, vocabulary: Vocabulary, rng: np.random.Generator, whole_words: bool, share: float = 0.15):
    """Choose words and hide them: 80 % become [MASK], 10 % another piece, 10 % stay.

    Returns the changed ids, and the positions, pieces and weights of the masked tokens [rows, masked].
    """
    ids = inputs["input_word_ids"]
    rows, length = ids.shape
    eligible = (ids >= vocabulary.first) & (inputs["input_mask"] > 0)
    score = rng.random((rows, length))
    if whole_words:  # the pieces of a word share the score of its first
        word = np.cumsum(~vocabulary.goes_on[ids], axis=1) - 1
        score = np.take_along_axis(score, np.maximum(word, 0), axis=1)
    score = np.where(eligible, score, 2.0)
    places = max(1, round(share * length))
    positions = np.sort(np.argsort(score, axis=1, kind="stable")[:, :places], axis=1)
    wanted = np.maximum(1, np.round(share * eligible.sum(1)))[:, None]
    rank = np.argsort(np.argsort(np.take_along_axis(score, positions, 1), axis=1, kind="stable"), axis=1, kind="stable")
    weights = (rank < wanted) & np.take_along_axis(eligible, positions, 1)
    pieces = np.take_along_axis(ids, positions, 1)
    draw = rng.random((rows, places))
    other = rng.integers(vocabulary.first, vocabulary.size, (rows, places))
    shown = np.where(draw < 0.8, vocabulary.mask, np.where(draw < 0.9, other, pieces))
    hidden = ids.copy()
    np.put_along_axis(hidden, positions, np.where(weights, shown, pieces), axis=1)
    return hidden.astype("int32"), positions.astype("int32"), pieces.astype("int32"), weights.astype("float32")


class Examples(keras.utils.PyDataset):
    """Serve the steps from `start` to `stop` of a run; what a step holds depends on its number and the seed alone."""

    def __init__(self, corpus, vocabulary, *, start, stop, batch_size, length, seed, whole_words=True):
        super().__init__()
        self.corpus, self.vocabulary = corpus, vocabulary
        self.start, self.stop, self.batch_size, self.length, self.seed = start, stop, batch_size, length, seed
        self.whole_words, self.epoch, self.pairs = whole_words, None, None

    def __len__(self):
        return self.stop - self.start

    def __getitem__(self, index):
        step = self.start + index
        per_epoch = max(1, self.corpus.ids.size // (self.length - 3) // self.batch_size)
        self.draw(step // per_epoch)
        rows = ((step % per_epoch) * self.batch_size + np.arange(self.batch_size)) % len(self.pairs)
        inputs = pack_pairs(self.corpus, self.pairs, rows, self.vocabulary, self.length)
        rng = np.random.default_rng((self.seed, self.length, step))
        hidden, positions, pieces, weights = mask_words(inputs, self.vocabulary, rng, self.whole_words)
        weights *= weights.size / max(weights.sum(), 1)  # the mean over all places is that over the chosen
        inputs = {**inputs, "input_word_ids": hidden, "masked_positions": positions}
        targets = {"words": pieces, "follows": self.pairs.follows[rows]}
        return inputs, targets, {"words": weights, "follows": np.ones(self.batch_size, "float32")}

    def draw(self, epoch: int) -> None:
        if self.epoch != epoch:
            self.pairs, self.epoch = draw_pairs(self.corpus, self.length, (self.seed, self.length, epoch)), epoch


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
            self.history.append(row)
            self.save()
            print(line(row, self.parameters.steps), flush=True)
        return self.history

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
        mine, theirs = self.parameters.model_dump(exclude=FREE_ON_RESUME), about["parameters"]
        other = [name for name in mine if mine[name] != theirs.get(name)]
        if other:
            raise InputError(f"{self.checkpoint} is of other parameters ({', '.join(other)}); give another folder")
        assign(self.variables(), groups["v"])
        self.step, self.history = about["step"], about["history"]


def open_run(parameters: PretrainingParameters) -> Pretraining:
    """Open a run over the vocabulary and the corpus that `vocabulary.prepare` left in its folder."""
    folder = Path(parameters.folder)
    entries = read_vocabulary(folder / "vocab.txt")
    train, held_out = (load_corpus(folder / "corpus" / part) for part in ("train", "held_out"))
    return Pretraining(train, held_out, entries, parameters)


def compile_pretrainer(trainer: keras.Model, parameters: PretrainingParameters) -> keras.Model:
    """Compile both heads with loss and accuracy; the losses are added, as BERT's are."""
    optimizer = build_optimizer(
        parameters.learning_rate,
        parameters.steps // parameters.accumulate,
        warmup_fraction=parameters.warmup_fraction,
        weight_decay=parameters.weight_decay,
        accumulate=parameters.accumulate,
    )
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
