"""Train a tiny classifier and save its loss curve, logits and weights.

devices_run.py RESULT.npz DEVICES MACHINES [RUN_DIR [KILLED_AFTER]]: with a folder, its checkpoint lies there; with a
number, what lies there after so many epochs is copied beside it, as a kill would leave it.

On the backend that KERAS_BACKEND names, with that many virtual CPU devices, without dropout, and with row counts that
leave a last partial batch in training and in validation.
"""

import os
import shutil
import sys

result, devices, machines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
run_dir = sys.argv[4] if len(sys.argv) > 4 else f"{result}.run"
killed_after = int(sys.argv[5]) if len(sys.argv) > 5 else None
if os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
else:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)

import keras
import numpy as np

from bertglue import Parameters
from bertglue.data.dataset import Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.devices import select_strategy
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.logits import predict
from bertglue.tasks import TASKS
from bertglue.training.callbacks import EpochRecorder
from bertglue.training.finetune import train

ROWS = {"train": 37, "validation": 19}


def rows(split):
    rng = np.random.default_rng(ROWS[split])
    lengths = rng.integers(4, 12, ROWS[split])
    ids = rng.integers(4, 50, lengths.sum()).astype("int32")
    return Tokens(ids, np.concatenate([[0], np.cumsum(lengths)]), np.full(ROWS[split], 3), 16)


parameters = Parameters(
    task="mrpc", epochs=2, batch_size=8, evaluation_batch_size=6, learning_rate=1e-2, machines=machines,
    run_dir=run_dir,
)  # fmt: skip
keras.utils.set_random_seed(0)
strategy = select_strategy(parameters)
print(strategy)
assert strategy.count == devices * machines
task = TASKS["mrpc"]
tokens = {split: rows(split) for split in ROWS}
labels = {split: (packed.ids[packed.offsets[:-1]] % 2).astype("int32") for split, packed in tokens.items()}
columns = dict.fromkeys(task.columns, [""])
data = Data(task, "toy", {split: Split(columns, labels[split]) for split in ROWS})
if killed_after:
    end_of_epoch = EpochRecorder.on_epoch_end

    def leave_a_copy(self, epoch, logs=None):
        end_of_epoch(self, epoch, logs)
        if epoch + 1 == killed_after:
            shutil.copytree(run_dir, f"{run_dir}.left")  # what a kill would leave

    EpochRecorder.on_epoch_end = leave_a_copy
with strategy.scope():
    encoder = build_encoder(EncoderConfig(50, 8, 16, (2, 2), 4, 16, dropout=0.0))
    classifier = build_classifier(encoder, 2, dropout=0.0)
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        variable.assign(rng.normal(scale=0.2, size=variable.shape))
    training = train(classifier, data, tokens, parameters)
np.savez(
    result,
    curve=[[row[split]["loss"] for split in ROWS] for row in training.history],
    accuracy=[[row[split]["accuracy"] for split in ROWS] for row in training.history],
    logits=training.logits["validation"],
    again=predict(classifier, tokens["validation"], 6),
    weights=np.concatenate([keras.ops.convert_to_numpy(v).ravel() for v in classifier.trainable_variables]),
    parallel=[strategy.distribute is not None],
)
