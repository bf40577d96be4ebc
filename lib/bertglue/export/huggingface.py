"""A fine-tuned classifier as a Hugging Face folder, which transformers reads without this project."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import save_file

from bertglue.errors import InputError
from bertglue.models.bert import EncoderConfig, encoder_config
from bertglue.models.bert_names import flat_shape, huggingface_name
from bertglue.models.classifier import pooling_of
from bertglue.models.encoder_files import VOCABULARY_FILE
from bertglue.models.encoder_source import weights_of
from bertglue.models.heads import OUTPUT_KERNEL, heads_axis
from bertglue.models.huggingface import MODEL_CONFIG_FILE, SAFETENSORS_FILE, TOKENIZER_CONFIG_FILE
from bertglue.models.preprocessor import Preprocessor
from bertglue.tasks import Task

SPECIAL_NAMES = {"cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]", "pad": "[PAD]", "mask": "[MASK]"}


def write_huggingface(classifier: keras.Model, preprocessor: Preprocessor, task: Task, folder: Path) -> None:
    """Write `config.json`, `model.safetensors`, `vocab.txt` and `tokenizer_config.json` into a folder that is there.

    Heads that were pruned are written as zeros, which computes the same.
    """
    if pooling_of(classifier) != "cls":
        raise InputError(
            "the classifier reads the mean over the tokens, and transformers' BertForSequenceClassification [CLS]; "
            "export it as savedmodel, or train with pooling: cls"
        )
    encoder = classifier.get_layer("encoder")
    sizes = encoder_config(encoder)
    if any(variable.dtype == "int8" for variable in classifier.variables):
        raise InputError("the classifier is stored in 8 bits; export the run that it was made from")
    if max(sizes.heads) > sizes.hidden_size // sizes.head_size:
        raise InputError(
            f"a layer has {max(sizes.heads)} heads of {sizes.head_size}, more than {sizes.hidden_size} holds, which "
            "transformers' BERT cannot; export it as savedmodel"
        )
    tensors = encoder_tensors(encoder, sizes)
    kernel, bias = classifier.get_layer("head").get_weights()
    tensors |= {"classifier.weight": kernel.T, "classifier.bias": bias}
    save_file(
        {name: np.ascontiguousarray(value, "float32") for name, value in tensors.items()},
        folder / SAFETENSORS_FILE,
        metadata={"format": "pt"},
    )
    config = model_config(sizes, task, classifier.get_layer("pooled_dropout").rate)
    write_object(folder / MODEL_CONFIG_FILE, config)
    write_object(folder / TOKENIZER_CONFIG_FILE, tokenizer_config(preprocessor))
    (folder / VOCABULARY_FILE).write_text("\n".join(preprocessor.vocabulary) + "\n", encoding="utf-8")


def encoder_tensors(encoder: keras.Model, sizes: EncoderConfig) -> dict[str, np.ndarray]:
    """Return the weights of an encoder under Hugging Face's names, matrices as [outputs, inputs]."""
    number, found = sizes.hidden_size // sizes.head_size, {}
    for name, value in with_all_heads(weights_of(encoder), sizes, number).items():
        flat = value.reshape(flat_shape(name, value.shape))
        found[f"bert.{huggingface_name(name)}"] = flat.T if name.endswith("/kernel") else flat
    return found


def with_all_heads(weights: dict[str, np.ndarray], sizes: EncoderConfig, number: int) -> dict[str, np.ndarray]:
    """Fill every attention up with heads of zeros: they add nothing to its output."""
    shapes = attention_shapes(sizes.hidden_size, number, sizes.head_size)
    found = {}
    for name, value in weights.items():
        axis = heads_axis(name) if "_self_attention/" in name else None
        if name.endswith("_self_attention/bias"):  # of a layer without heads: the bias of its output is left
            layer = name.removesuffix("bias")
            found |= {f"{layer}{part}": np.zeros(shape, "float32") for part, shape in shapes.items()}
            found[f"{layer}attention_output/bias"] = value
        elif axis is None:
            found[name] = value
        else:
            missing = [(0, number - value.shape[axis] if i == axis else 0) for i in range(value.ndim)]
            found[name] = np.pad(value, missing)
    return found


def attention_shapes(hidden: int, heads: int, size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight of an attention but the bias of its output."""
    parts = ("query", "key", "value")
    kernels = {f"{part}/kernel": (hidden, heads, size) for part in parts} | {OUTPUT_KERNEL: (heads, size, hidden)}
    return kernels | {f"{part}/bias": (heads, size) for part in parts}


def model_config(sizes: EncoderConfig, task: Task, dropout: float) -> dict:
    """Return what `config.json` says."""
    labels = {str(i): label for i, label in enumerate(task.labels)} or {"0": "score"}
    same = ("hidden_size", "intermediate_size", "hidden_act", "layer_norm_eps")
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        **{name: asdict(sizes)[name] for name in same},
        "vocab_size": sizes.vocabulary_size,
        "num_hidden_layers": len(sizes.heads),
        "num_attention_heads": sizes.hidden_size // sizes.head_size,
        "max_position_embeddings": sizes.max_positions,
        "type_vocab_size": sizes.type_vocabulary_size,
        "hidden_dropout_prob": sizes.dropout,
        "attention_probs_dropout_prob": sizes.dropout,
        "classifier_dropout": dropout,
        "position_embedding_type": "absolute",
        "pad_token_id": 0,
        "id2label": labels,
        "label2id": {label: int(i) for i, label in labels.items()},
        "problem_type": "regression" if task.regression else "single_label_classification",
        "dtype": "float32",
    }


def tokenizer_config(preprocessor: Preprocessor) -> dict:
    """Return what `tokenizer_config.json` says."""
    options = preprocessor.tokenization.options
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": options["lower_case"],
        "strip_accents": options["strip_accents"],
        "tokenize_chinese_chars": options["split_chinese"],
        "model_max_length": preprocessor.seq_length,
        **{f"{name}_token": token for name, token in SPECIAL_NAMES.items()},
    }


def write_object(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
