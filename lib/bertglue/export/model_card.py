"""The model card of an exported classifier (Mitchell et al., 2019, arXiv:1810.03993), written from the run's record."""

from __future__ import annotations

import yaml

from bertglue.errors import printable
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.own_tasks import task_of_record
from bertglue.tasks import Task

MODEL_CARD_FILE = "README.md"
CARD_KEYS = (
    "source",
    "encoder",
    "examples",
    "metrics",
    "interval",
    "baseline",
    "parameters",
    "environment",
    "finished",
)
UNCHANGED = ("savedmodel", "huggingface", "onnx", "float32")  # kinds with the weights of the run
CONVERTED = " These are the scores of the model before its weights were converted; this file was not scored."
NOT_A_RECIPE = (
    "profile", "task", "source", "glue_dir", "files", "labels", "samples", "run_dir", "cache_dir", "tracking",
)  # fmt: skip
SOURCES = {
    "toy": "generated toy sentences in the format of this task; **they are not GLUE**, and no score here is one of it",
    "folder": "GLUE, files in the official layout",
    "tfds": "GLUE, from tensorflow-datasets",
    "huggingface": "GLUE, from Hugging Face's parquet files",
    "own": "files of its maker's own, which are not published here",
}
MODEL_CARD_TEMPLATE = """\
---
{header}---

# {title}

A BERT {what}, fine-tuned on {task}, in the format *{kind}*.

- **Takes** {inputs}, of {length} tokens at most; what is longer is cut.
- **Gives** {outputs}.
- **Encoder** {encoder}
- **Data** {source}: {train} rows of train.

## Use

In this folder:

{use}

## Scores

On the labelled splits, which the training did not see.{converted} The interval is of 95 %,
over the examples; the baseline always predicts {constant} of train. One run: other seeds give other scores.

{scores}

## Recipe

{recipe}

Trained on {device}, {finished}; {versions}.

## Limits

It was made to compare recipes on a benchmark, and was tested on the splits above alone: text of another kind, language
or time may be {wrong}. Nobody looked at how it treats groups of
people; do not let it decide about any. {licence}
"""
CLASS_WORDS = {
    "what": "classifier", "constant": "the most frequent label",
    "wrong": "labelled wrongly, and a probability near one is no promise",
}  # fmt: skip
NUMBER_WORDS = {
    "what": "with one output, a number", "constant": "the mean",
    "wrong": "scored wrongly, and no score comes with how sure it is",
}  # fmt: skip
USE_SAVEDMODEL = """\
```python
import tensorflow as tf, tensorflow_text  # whose operations are the tokenizer
model = tf.saved_model.load(".")
model.serve({tensors})  # {outputs}
```"""
USE_HUGGINGFACE = """\
```python
from transformers import pipeline
model = pipeline("text-classification", ".", top_k=None, truncation=True)
model({texts})  # {outputs}
```"""
USE_A_FILE = """\
```console
pip install {runtime} tokenizers numpy
python example.py {words}  # prints {outputs}
```"""
USE_KERAS = """\
```console
bertglue predict . rows.tsv  # {rows}; prints {outputs}
```"""


def render_model_card(record: dict, kind: str) -> str:
    """Write the card of a run's classifier in a format, as Markdown with the header that model hubs read."""
    task: Task = task_of_record(record)
    parameters = record["parameters"]
    return MODEL_CARD_TEMPLATE.format(
        header=yaml.safe_dump(card_header(record, task, kind), sort_keys=False, allow_unicode=True),
        title=f"BERT for {task.title}",
        task=f"the task `{task.name}`" if task.own else f"{task.title} of the GLUE benchmark",
        kind=kind,
        **(NUMBER_WORDS if task.regression else CLASS_WORDS),
        use=describe_use(task, kind),
        inputs=" and ".join(f"`{column}`" for column in task.columns),
        length=record.get("max_length", parameters.get("max_length", "")),
        outputs="a score" if task.regression else f"one of {', '.join(f'`{label}`' for label in task.labels)}",
        encoder=describe_encoder(record),
        source=SOURCES.get(record["source"], code(record["source"])),
        train=f"{record['examples']['train']:,}",
        scores=score_rows(record, task),
        converted=CONVERTED if kind not in UNCHANGED else "",
        recipe="\n".join(
            f"- `{name}`: {code(value)}" for name, value in parameters.items() if name not in NOT_A_RECIPE
        ),
        licence="" if task.own else "The data sets of GLUE have licences of their own, some for research alone.",
        device=code(record["environment"]["device"]),
        finished=code(record["finished"]),
        versions=", ".join(f"{code(name)} {code(v)}" for name, v in record["environment"]["versions"].items()),
    )


def card_header(record: dict, task: Task, kind: str) -> dict:
    """Return what a hub reads of a card; a toy's scores are not among it."""
    library = {"library_name": "transformers"} if kind == "huggingface" else {}
    language = {} if task.own else {"language": "en"}
    header = {**language, **library, "pipeline_tag": "text-classification"}
    header["tags"] = ["bert", "bertglue", task.name]
    if record["source"] == "toy" or kind not in UNCHANGED:  # a model of these weights was not scored
        return header
    metrics = [
        {"type": name, "value": round(value, 4), "name": f"{METRIC_TITLES[name]} ({split})"}
        for split in task.validation
        for name, value in record["metrics"][split].items()
        if name in METRIC_TITLES
    ]
    if task.own:
        return header
    dataset = {"type": "nyu-mll/glue", "name": "GLUE", "config": task.name, "split": task.validation[0]}
    result = {"task": {"type": "text-classification"}, "dataset": dataset, "metrics": metrics}
    return header | {"datasets": ["nyu-mll/glue"], "model-index": [{"name": f"bert-{task.name}", "results": [result]}]}


def describe_use(task: Task, kind: str) -> str:
    """Show how a format is loaded, and name what comes out of it."""
    texts, number = ["a text", "another text"][: len(task.columns)], task.regression
    if kind == "savedmodel":
        tensors = ", ".join(f'tf.constant(["{text}"])' for text in texts)
        outputs = '["score"]' if number else '["label"], and ["probabilities"] in the order above'
        return USE_SAVEDMODEL.format(tensors=tensors, outputs=outputs)
    if kind == "huggingface":
        pair = ", ".join(f'"{name}": "{text}"' for name, text in zip(("text", "text_pair"), texts, strict=False))
        outputs = "the number is `score`" if number else "of each `label` its probability as `score`"
        return USE_HUGGINGFACE.format(texts=f"{{{pair}}}", outputs=outputs)
    if kind.startswith("keras-"):
        rows = "a text a line" if len(texts) == 1 else "two texts a line, with a tab between them"
        outputs = "a score a line" if number else "the label and the probabilities of each"
        return USE_KERAS.format(rows=rows, outputs=outputs)
    return USE_A_FILE.format(
        runtime="onnxruntime" if kind.startswith("onnx") else "ai-edge-litert",
        words=" ".join(f'"{text}"' for text in texts),
        outputs="the score" if number else "the label",
    )


def describe_encoder(record: dict) -> str:
    """Name the encoder that was fine-tuned, and where its weights came from."""
    origin = record.get("encoder_origin") or {}
    known = {"from": origin.get("place"), "revision": origin.get("revision"), "sha256": origin.get("sha256")}
    said = ", ".join(f"{what} {code(value)}" for what, value in known.items() if value)
    return f"{code(record['encoder'])}{f' ({said})' if said else ''}."


def score_rows(record: dict, task: Task) -> str:
    """Tabulate every score with its interval and its baseline."""
    rows = ["| split | metric | score | 95 % interval | baseline |", "|---|---|---|---|---|"]
    for split in (*task.validation, *(other for other in record["metrics"] if other not in task.validation)):
        for name, value in record["metrics"][split].items():
            low, high = record["interval"][split][name]
            base = record["baseline"][split][name]
            title = METRIC_TITLES.get(name, code(name))
            rows.append(f"| {code(split)} | {title} | {value:.3f} | {low:.3f} to {high:.3f} | {base:.3f} |")
    return "\n".join(rows)


def code(value: object) -> str:
    """Quote a value of a record as Markdown shows it: as it is, whatever is in it."""
    text = printable(value).replace("`", "'").replace("|", "¦")[:300]
    return f"`{text}`" if text else "``"
