"""Hugging Face's way: `Trainer` as the example script run_glue.py sets it up, on PyTorch's CPU.

Run: python run_glue.py RACE [--seed 0] [--dynamic] [--bfloat16] [--compile]
"""

import argparse
import re
import tempfile
import time

import numpy as np
import torch
from datasets import Dataset
from measure import matrix_gflops, read_race, report, since_start
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

NAMES = (  # TF Hub's names -> those of transformers
    (r"^(word|position)_embeddings?/embeddings$", r"embeddings.\1_embeddings.weight"),
    (r"^type_embeddings/embeddings$", "embeddings.token_type_embeddings.weight"),
    (r"^embeddings/layer_norm", "embeddings.LayerNorm"),
    (r"^transformer/layer_(\d+)/", r"encoder.layer.\1."),
    (r"self_attention_layer_norm", "attention.output.LayerNorm"),
    (r"self_attention/attention_output", "attention.output.dense"),
    (r"self_attention/(query|key|value)", r"attention.self.\1"),
    (r"output_layer_norm", "output.LayerNorm"),
    (r"intermediate/", "intermediate.dense/"),
    (r"(\d\.)output/", r"\1output.dense/"),
    (r"^pooler_transform", "pooler.dense"),
    (r"/(kernel|gamma)$", ".weight"),
    (r"/(bias|beta)$", ".bias"),
)


def convert(name: str, value: np.ndarray) -> tuple[str, torch.Tensor]:
    if name.endswith("kernel"):  # [in, out], heads apart
        value = value.reshape(-1, value.shape[-1]) if "attention_output" in name else value.reshape(len(value), -1)
        value = value.T
    elif "self_attention/" in name and "attention_output" not in name:
        value = value.reshape(-1)
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name, torch.tensor(np.ascontiguousarray(value))


def build(race, vocabulary_size: int) -> BertForSequenceClassification:
    if (race.encoder / "config.json").exists():
        return BertForSequenceClassification.from_pretrained(race.encoder)
    with np.load(race.weights) as weights:
        state = dict(convert(name, weights[name]) for name in weights.files)
    config = BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=race.hidden,
        num_hidden_layers=race.layers,
        num_attention_heads=race.heads,
        intermediate_size=4 * race.hidden,
        max_position_embeddings=len(state["embeddings.position_embeddings.weight"]),
        hidden_act="gelu_pytorch_tanh",  # as TF Hub's encoders have it
    )
    model = BertForSequenceClassification(config)
    missing, unexpected = model.bert.load_state_dict(state, strict=False)
    if unexpected or [name for name in missing if "position_ids" not in name]:
        raise SystemExit(f"weights do not fit: {missing} {unexpected}")
    return model


class EpochTimes(TrainerCallback):
    def __init__(self):
        self.seconds, self.first_step = [], None

    def on_step_end(self, *_, **__):
        self.first_step = self.first_step or since_start()

    def on_epoch_begin(self, *_, **__):
        self.started = time.perf_counter()

    def on_epoch_end(self, *_, **__):
        self.seconds.append(time.perf_counter() - self.started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dynamic", action="store_true", help="pad a batch to its longest row, not to the full length")
    parser.add_argument("--bfloat16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--compile", action="store_true", help="compile the model by torch.compile")
    race, options = read_race(parser)
    set_seed(race.seed)  # of the head's weights
    tokenizer = BertTokenizerFast.from_pretrained(race.vocabulary.parent)

    def preprocess(rows):
        texts = list(zip(*rows["segments"], strict=True))
        padding = False if options.dynamic else "max_length"
        return tokenizer(*map(list, texts), padding=padding, max_length=race.length, truncation=True)

    started = time.perf_counter()
    splits = {}
    for split in ("train", "validation"):
        segments, labels = race.rows(split)
        rows = Dataset.from_dict({"segments": segments, "label": labels})
        splits[split] = rows.map(preprocess, batched=True, remove_columns="segments")
    tokenize = time.perf_counter() - started

    times = EpochTimes()
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch, per_device_train_batch_size=race.batch_size, per_device_eval_batch_size=128,
            num_train_epochs=race.epochs, learning_rate=race.learning_rate, weight_decay=0.01,
            warmup_steps=round(0.1 * race.steps(len(splits["train"]))), save_strategy="no", report_to=[],
            use_cpu=True, bf16=options.bfloat16, torch_compile=options.compile, disable_tqdm=True, seed=race.seed,
        )  # fmt: skip
        trainer = Trainer(
            build(race, len(tokenizer)), arguments, train_dataset=splits["train"], callbacks=[times],
            data_collator=DataCollatorWithPadding(tokenizer) if options.dynamic else default_data_collator,
        )  # fmt: skip
        trainer.train()
        started = time.perf_counter()
        logits = trainer.predict(splits["validation"]).predictions
        evaluate = time.perf_counter() - started
    matrix = torch.randn(2048, 2048, dtype=torch.bfloat16 if options.bfloat16 else torch.float32)
    report(
        tokenize=tokenize,
        first_step=times.first_step,
        epochs=times.seconds,
        evaluate=evaluate,
        examples=len(splits["train"]),
        predictions=logits.argmax(-1),
        precision="bfloat16" if options.bfloat16 else "float32",
        matrix_gflops=matrix_gflops(lambda: matrix @ matrix),
    )


if __name__ == "__main__":
    main()
