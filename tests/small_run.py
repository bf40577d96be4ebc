"""A fine-tuning of seconds, for tests of what happens around one."""

import numpy as np

from bertglue.data.dataset import HELD_OUT, Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.evaluation import metrics
from bertglue.models.bert import build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.logits import predict
from bertglue.parameters import Parameters
from bertglue.tasks import TASKS
from bertglue.training.finetune import train


def rows(count, seed, signal):
    """Rows of uneven length whose first word gives the label away, as far as there is `signal`."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 12, count)
    ids = rng.integers(4, 50, lengths.sum()).astype("int32")
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    labels = np.where(rng.random(count) < signal, ids[offsets[:-1]] % 2, rng.integers(0, 2, count)).astype("int32")
    return Tokens(ids, offsets, np.full(count, 3), 16), labels


class Run:
    """One small run; a new object is a new process, as far as the state is concerned.

    `against` adds held-out rows whose labels are the wrong ones: what is learned makes them worse.
    """

    def __init__(self, folder, config, signal=0.9, against=False, head_dropout=0.3, **changes):
        task = TASKS["sst2"]
        made = {split: rows(count, count, signal) for split, count in (("train", 37), ("validation", 30))}
        if against:
            tokens, labels = rows(30, 31, signal)
            made[HELD_OUT] = tokens, 1 - labels
        self.tokens = {split: tokens for split, (tokens, _) in made.items()}
        columns = dict.fromkeys(task.columns, [""])
        self.data = Data(task, "toy", {split: Split(columns, labels) for split, (_, labels) in made.items()})
        recipe = {"epochs": 4, "batch_size": 8, "learning_rate": 0.02, "bucket_lengths": [8], **changes}
        self.parameters = Parameters(task="sst2", run_dir=str(folder), **recipe)
        encoder, pooling = build_encoder(config, seed=1), self.parameters.pooling
        self.classifier = build_classifier(encoder, task.outputs, dropout=head_dropout, pooling=pooling)

    def train(self):
        return train(self.classifier, self.data, self.tokens, self.parameters)

    def score(self):
        logits = predict(self.classifier, self.tokens["validation"], 8)
        return metrics.scores(self.data.task, self.data["validation"].labels, logits.argmax(1))["accuracy"]
