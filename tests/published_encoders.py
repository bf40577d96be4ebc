"""Small BERTs with random weights, written as Hugging Face and as Google publish theirs: names by another hand."""

import json

import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file
from savedmodels import VOCABULARY

SIZES = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 33,
    "type_vocab_size": 2,
}
OF_GOOGLE = (  # transformers' own table of names, convert_bert_pytorch_checkpoint_to_original_tf.py
    ("layer.", "layer_"),
    ("word_embeddings.weight", "word_embeddings"),
    ("position_embeddings.weight", "position_embeddings"),
    ("token_type_embeddings.weight", "token_type_embeddings"),
    (".", "/"),
    ("LayerNorm/weight", "LayerNorm/gamma"),
    ("LayerNorm/bias", "LayerNorm/beta"),
    ("weight", "kernel"),
)


def random_weights(seed=0, **sizes):
    """Return the weights of a BERT under Hugging Face's names, without prefix."""
    sizes = SIZES | sizes
    hidden, inner, rng = sizes["hidden_size"], sizes["intermediate_size"], np.random.default_rng(seed)
    shapes = {
        "embeddings.word_embeddings.weight": (sizes["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (sizes["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (sizes["type_vocab_size"], hidden),
        "pooler.dense.weight": (hidden, hidden),
        "pooler.dense.bias": (hidden,),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{index}" for index in range(sizes["num_hidden_layers"])):
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        parts = {
            **{f"attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")},
            "attention.output.dense": (hidden, hidden),
            "intermediate.dense": (inner, hidden),
            "output.dense": (hidden, inner),
        }
        for part, shape in parts.items():
            shapes |= {f"{layer}.{part}.weight": shape, f"{layer}.{part}.bias": shape[:1]}
    shapes |= {f"{norm}.{part}": (hidden,) for norm in norms for part in ("weight", "bias")}
    return {
        name: (rng.normal(0, 0.3, shape) + name.endswith("LayerNorm.weight")).astype("float32")
        for name, shape in shapes.items()
    }


def write_huggingface(folder, weights, *, prefix="", shards=1, vocabulary=VOCABULARY, tokenizer=None, **config):
    """Write a folder of Hugging Face; `config` adds to `config.json`, `tokenizer` is `tokenizer_config.json`."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {"model_type": "bert", **SIZES, **config})
    write_json(folder / "tokenizer_config.json", tokenizer or {"do_lower_case": True})
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    named = {f"{prefix}{name}": np.ascontiguousarray(value) for name, value in weights.items()}
    if shards == 1:
        save_file(named, folder / "model.safetensors")
        return folder
    files = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(named)}
    for file in set(files.values()):
        save_file({name: named[name] for name in named if files[name] == file}, folder / file)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": files})
    return folder


def write_google(folder, weights, *, vocabulary=VOCABULARY, **config):
    """Write a folder of Google's: the checkpoint with the optimizer's step, and the head of the masked words."""
    folder.mkdir(parents=True)
    write_json(folder / "bert_config.json", {**SIZES, "hidden_act": "gelu", **config})
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    named = {"global_step": np.int64(7), "cls/predictions/output_bias": np.zeros(len(vocabulary), "float32")}
    for name, value in weights.items():
        theirs = name
        for ours, google in OF_GOOGLE:
            theirs = theirs.replace(ours, google)
        named[f"bert/{theirs}"] = value.T if theirs.endswith("kernel") else value
    tensors = list(named.values())
    tf.raw_ops.SaveV2(
        prefix=str(folder / "bert_model.ckpt"),
        tensor_names=list(named),
        shape_and_slices=[""] * len(named),
        tensors=tensors,
    )
    return folder


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
