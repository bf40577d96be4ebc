"""A unit of the reference run by Hugging Face's `Trainer`: the same rows, recipe, weights and metrics.

One thing differs: its learning rate is zero in the first step, where this project's first step learns.

Run in the environment of `make .peers/ready`:
python benchmarks/reference_trainer.py mrpc --profile laptop -p glue_dir=folder -p seed=0 --output folder
It leaves in the folder what a run of this project leaves of scores: record.json, logits.npz and labels.npz.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import (
    BertForSequenceClassification,
    BertTokenizerFast,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from bertglue import evaluate, get_task, load_data, load_encoder
from bertglue.environment import describe_environment, versions
from bertglue.errors import exit_status
from bertglue.models.encoder_source import origin_of
from bertglue.models.find_encoder import find_encoder
from bertglue.parameters import Parameters, read_given
from bertglue.runs.record import write_record
from bertglue.tools.book_plan import parameter_files
from bertglue.training.optimizer import ADAM_EPSILON


def tokenized(split, tokenizer, length: int) -> list[dict]:
    """Return the rows of a split as `Trainer` takes them; of a pair the longer text is trimmed, as here."""
    texts = [[str(text) for text in column] for column in split.segments]
    rows = tokenizer(*texts, max_length=length, truncation=True)
    return [
        {**{name: rows[name][at] for name in rows}, "label": label} for at, label in enumerate(split.labels.tolist())
    ]


def train(parameters: Parameters, folder: Path) -> None:
    """Fine-tune as `run_glue.py` sets `Trainer` up, with dynamic padding, and leave the scores in a folder."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()))
    task = get_task(parameters.task)
    data = load_data(task, "folder", glue_dir=parameters.glue_dir)
    encoder, origin = find_encoder(parameters.encoder), origin_of(load_encoder(parameters.encoder))
    set_seed(parameters.seed)  # of the head's weights
    tokenizer = BertTokenizerFast.from_pretrained(encoder.folder)
    model = BertForSequenceClassification.from_pretrained(
        encoder.folder, num_labels=task.outputs, hidden_dropout_prob=parameters.encoder_dropout,
        attention_probs_dropout_prob=parameters.encoder_dropout, classifier_dropout=parameters.dropout,
    )  # fmt: skip
    rows = {name: tokenized(data[name], tokenizer, parameters.max_length) for name in ("train", *task.validation)}
    steps = -(-len(rows["train"]) // parameters.batch_size) * parameters.epochs
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch, per_device_train_batch_size=parameters.batch_size, per_device_eval_batch_size=128,
            num_train_epochs=parameters.epochs, learning_rate=parameters.learning_rate,
            weight_decay=parameters.weight_decay, adam_epsilon=ADAM_EPSILON,
            warmup_steps=round(parameters.warmup_fraction * steps),
            save_strategy="no", logging_strategy="epoch", report_to=[], use_cpu=True, disable_tqdm=True,
            seed=parameters.seed,
        )  # fmt: skip
        collator = DataCollatorWithPadding(tokenizer)
        trainer = Trainer(model, arguments, train_dataset=rows["train"], data_collator=collator)
        trainer.train()
        logits = {split: trainer.predict(rows[split]).predictions for split in task.validation}
    keys = ("task", "source", "encoder", "seed", "learning_rate", "epochs", "batch_size", "max_length")
    environment = describe_environment("CPU")
    record = {
        **{key: getattr(parameters, key) for key in keys},
        "backend": "torch",
        "encoder_origin": origin,
        "log_history": trainer.state.log_history,
        "examples": {name: len(split) for name, split in rows.items()},
        **asdict(evaluate(data, logits)),
        "environment": environment
        | {"precision": "float32", "threads": torch.get_num_threads(), "versions": versions(("torch", "transformers"))},
        "parameters": parameters.model_dump(exclude={"run_dir", "cache_dir"}),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, record, data, logits)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("--profile", required=True, help="a file under params/profiles")
    parser.add_argument("-p", "--parameter", action="append", default=[], help="name=value, over the profile's")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    options = parser.parse_args()

    def work() -> None:
        files, given = parameter_files(options.profile, options.task), read_given(options.parameter)
        train(Parameters.from_files(*files, **given, run_dir=str(options.output)), options.output)

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
