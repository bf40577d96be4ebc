"""A fine-tuned classifier for use elsewhere: a SavedModel that takes texts, a LiteRT or ONNX file with its tokenizer, a
Hugging Face folder, or the folder of a run with quantized weights. Each has a model card, where one is given."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import keras

from bertglue.atomic_files import write_folder
from bertglue.data.token_ids import Tokens
from bertglue.errors import InputError, one_line
from bertglue.export.huggingface import write_huggingface
from bertglue.export.keras_quantization import STORED_TYPES, store_in_type
from bertglue.export.litert import LITERT_KINDS, STATIC, convert_to_litert
from bertglue.export.model_card import MODEL_CARD_FILE
from bertglue.export.onnx import ONNX_FILE, ONNX_KINDS, convert_to_onnx
from bertglue.models.preprocessor import Preprocessor
from bertglue.models.saved_classifier import VOCABULARY_FILE, load_classifier, save_classifier
from bertglue.runs.record import RECORD_FILE
from bertglue.tasks import Task

EXPORT_KINDS = (  # that `bertglue export` writes
    *("savedmodel", "huggingface", *ONNX_KINDS),
    *(kind for kind in LITERT_KINDS if kind != STATIC),  # which takes rows to calibrate on
    *(f"keras-{kind}" for kind in STORED_TYPES),
)
LITERT_FILE, METADATA_FILE, EXAMPLE_FILE = "model.tflite", "model.json", "example.py"
# what travels with a file; ten lines that need neither TensorFlow nor this project
LITERT_EXAMPLE = '''\
"""Predict with model.tflite: pip install ai-edge-litert tokenizers numpy, then python example.py TEXT [TEXT]"""
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from tokenizers import BertWordPieceTokenizer
about = json.load(open("model.json"))
words = BertWordPieceTokenizer("vocab.txt", **about["tokenizer"])
words.enable_truncation(about["length"]); words.enable_padding(length=about["length"])
row, model = words.encode(*sys.argv[1:3]), Interpreter("model.tflite")
model.allocate_tensors()
rows = {"input_word_ids": row.ids, "input_mask": row.attention_mask, "input_type_ids": row.type_ids}
for place in model.get_input_details():
    model.set_tensor(place["index"], np.array([next(rows[name] for name in rows if name in place["name"])], "int32"))
model.invoke()
logits = model.get_tensor(model.get_output_details()[0]["index"])[0]
print(about["labels"][logits.argmax()] if about["labels"] else logits[0])
'''
ONNX_EXAMPLE = '''\
"""Predict with model.onnx: pip install onnxruntime tokenizers numpy, then python example.py TEXT [TEXT]"""
import json, sys
import numpy as np
from onnxruntime import InferenceSession
from tokenizers import BertWordPieceTokenizer
about = json.load(open("model.json"))
words = BertWordPieceTokenizer("vocab.txt", **about["tokenizer"])
words.enable_truncation(about["length"])
row, model = words.encode(*sys.argv[1:3]), InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
rows = {"input_ids": row.ids, "attention_mask": row.attention_mask, "token_type_ids": row.type_ids}
logits = model.run(None, {name: np.array([values], "int64") for name, values in rows.items()})[0][0]
print(about["labels"][logits.argmax()] if about["labels"] else logits[0])
'''


def check_kind(kind: str) -> None:
    """Check what a classifier is to be written as, before it is loaded."""
    if kind not in EXPORT_KINDS:
        raise InputError(f"kind is {kind!r}; choose from {', '.join(map(repr, EXPORT_KINDS))}")


def export_savedmodel(
    classifier: keras.Model, preprocessor: Preprocessor, task: Task, folder: str | Path, card: str = ""
) -> Path:
    """Write a SavedModel whose `serve` takes one tensor of strings [rows] for each text of the task.

    It gives `label` (string) and `probabilities` [rows, labels] in the order of `labels`, or `score` for STS-B. Loading
    it needs `import tensorflow_text`, which brings the tokenizer's operations. The folder appears whole or not at all.
    """
    import tensorflow as tf

    require_tensorflow("a SavedModel is TensorFlow's")
    labels = tf.constant(task.labels or [""])

    def serve(*segments):
        logits = tf.cast(classifier(preprocessor(segments), training=False), tf.float32)
        if task.regression:
            return {"score": logits[:, 0]}
        return {"label": tf.gather(labels, tf.argmax(logits, axis=-1)), "probabilities": tf.nn.softmax(logits)}

    archive = keras.export.ExportArchive()
    archive.track(classifier)
    signature = [tf.TensorSpec([None], tf.string, name=name) for name in input_names(task)]
    archive.add_endpoint("serve", serve, signature)
    with new_folder(folder, card) as partial:
        try:
            archive.write_out(partial, verbose=False)
        except tf.errors.OpError as error:  # as TensorFlow reports a full disk
            raise OSError(one_line(error, 2000).rpartition("; ")[2].partition(" [")[0]) from None
    return Path(folder)


def input_names(task: Task) -> list[str]:
    """Name the inputs of a SavedModel by the columns, or text1 and text2 where TensorFlow allows no such name."""
    columns = list(task.columns)
    allowed = all(re.fullmatch(r"[A-Za-z0-9]\w*", name, re.ASCII) for name in columns)
    if allowed and len({name.lower() for name in columns}) == len(columns):  # case does not tell two names apart
        return columns
    return [f"text{place}" for place, _ in enumerate(columns, 1)]


def export_litert(
    classifier: keras.Model, preprocessor: Preprocessor, task: Task, folder: str | Path, kind: str = "int8 dynamic",
    calibration: Tokens | None = None, card: str = "",
) -> Path:  # fmt: skip
    """Write a LiteRT file with its vocabulary, its labels, and ten lines that use it; all of it or nothing.

    `kind` and `calibration` are those of `deployment.convert`.
    """
    with new_folder(folder, card) as partial:
        convert_to_litert(classifier, partial / LITERT_FILE, kind, preprocessor.seq_length, calibration)
        write_what_a_file_needs(preprocessor, task, kind, LITERT_EXAMPLE, partial)
    return Path(folder)


def export_onnx(
    classifier: keras.Model, preprocessor: Preprocessor, task: Task, folder: str | Path, kind: str = "onnx",
    card: str = "",
) -> Path:  # fmt: skip
    """Write an ONNX file with its vocabulary, its labels, and ten lines that use it; all of it or nothing.

    `kind` is one of `onnx.ONNX_KINDS`.
    """
    require_tensorflow("an ONNX file is converted from TensorFlow's graph")
    with new_folder(folder, card) as partial:
        convert_to_onnx(classifier, partial / ONNX_FILE, kind)
        write_what_a_file_needs(preprocessor, task, kind, ONNX_EXAMPLE, partial)
    return Path(folder)


def write_what_a_file_needs(preprocessor: Preprocessor, task: Task, kind: str, example: str, folder: Path) -> None:
    """Write what travels with a file: its labels and how it cuts texts up, its vocabulary, and code that uses it."""
    options = preprocessor.tokenization.options
    about = {
        "task": task.name,
        "labels": list(task.labels),
        "length": preprocessor.seq_length,
        "kind": kind,
        "tokenizer": {
            "lowercase": options["lower_case"],
            "strip_accents": options["strip_accents"],
            "handle_chinese_chars": options["split_chinese"],
        },
    }
    (folder / METADATA_FILE).write_text(json.dumps(about, indent=1) + "\n")
    (folder / VOCABULARY_FILE).write_text("\n".join(preprocessor.vocabulary) + "\n", encoding="utf-8")
    (folder / EXAMPLE_FILE).write_text(example)


def export_huggingface(
    classifier: keras.Model, preprocessor: Preprocessor, task: Task, folder: str | Path, card: str = ""
) -> Path:
    """Write a folder that transformers reads, `pipeline("text-classification", folder)` among it; all of it or nothing.

    Its probabilities are those of the classifier; `id2label` names the task's labels.
    """
    with new_folder(folder, card) as partial:
        write_huggingface(classifier, preprocessor, task, partial)
    return Path(folder)


def export_keras(run_dir: str | Path, folder: str | Path, kind: str, card: str = "") -> Path:
    """Write a finished run's classifier with quantized weights; `predict` reads the folder as it does the run's.

    `kind` is one of `keras_quantization.STORED_TYPES`.
    """
    classifier, preprocessor = load_classifier(run_dir)
    stored = store_in_type(classifier, kind)
    with new_folder(folder, card) as partial:
        shutil.copy(Path(run_dir) / RECORD_FILE, partial / RECORD_FILE)
        save_classifier(stored, preprocessor, partial)
    return Path(folder)


def require_tensorflow(why: str) -> None:
    if (backend := keras.backend.backend()) != "tensorflow":
        raise InputError(f"Keras runs on {backend}, and {why}; export in a process with KERAS_BACKEND=tensorflow")


@contextlib.contextmanager
def new_folder(folder: str | Path, card: str) -> Iterator[Path]:
    """Write a folder whole or not at all, its model card last; what is there already is not written over."""
    if Path(folder).exists():
        raise InputError(f"{folder} is there already; name another folder, or remove it")
    with write_folder(Path(folder)) as partial:
        yield partial
        if card:
            (partial / MODEL_CARD_FILE).write_text(card, encoding="utf-8")
