"""The tutorial's way: `hub.KerasLayer` on the SavedModel, in legacy Keras, all rows padded to the full length."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # before TensorFlow is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text as text
import tf_keras
from measure import matrix_gflops, read_race, report, since_start

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


class WarmupLinearDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak, steps, warmup):
        self.peak, self.steps, self.warmup = peak, float(steps), float(max(warmup, 1))

    def __call__(self, step):
        step = tf.cast(step, tf.float32) + 1
        fall = (self.steps + 1 - step) / (self.steps + 1 - self.warmup)
        return self.peak * tf.clip_by_value(tf.minimum(step / self.warmup, fall), 0.0, 1.0)


class EpochTimes(tf_keras.callbacks.Callback):
    def __init__(self):
        self.seconds, self.first_step = [], None

    def on_train_batch_end(self, batch, logs=None):
        self.first_step = self.first_step or since_start()

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.started)


def packer(race):
    """Return the preprocessing of the tutorial's pipeline, batch by batch: tokenize, trim, combine, pad."""
    tokenizer = text.BertTokenizer(str(race.vocabulary), token_out_type=tf.int32, lower_case=True)
    entries = race.vocabulary.read_text().split("\n")
    start, end = entries.index("[CLS]"), entries.index("[SEP]")

    def pack(segments, labels):
        tokens = [tokenizer.tokenize(segment).merge_dims(1, -1) for segment in tf.unstack(segments, axis=1)]
        trimmed = text.RoundRobinTrimmer(race.length - 1 - len(tokens)).trim(tokens)
        ids, types = text.combine_segments(trimmed, start, end)
        word_ids, mask = text.pad_model_inputs(ids, race.length)
        return dict(zip(INPUTS, (word_ids, mask, text.pad_model_inputs(types, race.length)[0]), strict=True)), labels

    return pack


def build(race) -> tf_keras.Model:
    inputs = {name: tf_keras.Input((race.length,), dtype=tf.int32, name=name) for name in INPUTS}
    pooled = hub.KerasLayer(str(race.encoder), trainable=True, name="encoder")(inputs)["pooled_output"]
    return tf_keras.Model(inputs, tf_keras.layers.Dense(2)(tf_keras.layers.Dropout(0.1)(pooled)))


def main() -> None:
    race, _ = read_race()
    tf_keras.utils.set_random_seed(race.seed)
    pack = packer(race)
    started = time.perf_counter()
    served, labels = {}, {}
    for split, size in (("train", race.batch_size), ("validation", 128)):
        segments, labels[split] = race.rows(split)
        rows = tf.data.Dataset.from_tensor_slices((np.array(segments), labels[split]))
        if split == "train":
            rows = rows.shuffle(len(segments), seed=race.seed)
        served[split] = rows.batch(size).map(pack).cache().prefetch(tf.data.AUTOTUNE)
    for _ in served["train"]:
        pass  # tokenizes, and fills the cache
    tokenize = time.perf_counter() - started

    model, times = build(race), EpochTimes()
    steps = race.steps(len(labels["train"]))
    optimizer = tf_keras.optimizers.AdamW(
        WarmupLinearDecay(race.learning_rate, steps, round(0.1 * steps)), weight_decay=0.01, epsilon=1e-6,
        global_clipnorm=1.0,
    )  # fmt: skip
    optimizer.exclude_from_weight_decay(var_names=["bias", "layer_norm"])
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.fit(served["train"], epochs=race.epochs, callbacks=[times], verbose=0)
    started = time.perf_counter()
    logits = model.predict(served["validation"], verbose=0)
    evaluate = time.perf_counter() - started
    matrix = tf.random.normal((2048, 2048))
    report(
        tokenize=tokenize,
        first_step=times.first_step,
        epochs=times.seconds,
        evaluate=evaluate,
        examples=len(labels["train"]),
        predictions=logits.argmax(-1),
        precision="float32",
        matrix_gflops=matrix_gflops(lambda: tf.matmul(matrix, matrix).cpu()),
    )


if __name__ == "__main__":
    main()
