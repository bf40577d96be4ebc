"""Learn a WordPiece vocabulary with tensorflow-text's tool, and pack a corpus with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset

from bertglue.atomic_files import write_json, write_text
from bertglue.checked_files import file_digest, parse_json
from bertglue.data.token_ids import read_vocabulary
from bertglue.errors import InputError
from bertglue.models.preprocessor import Preprocessor
from bertglue.pretraining.corpus import Cleaner, pack, read_documents

MADE_OF = "texts.json"  # names and digests of the texts, and the size that was asked for
RESERVED_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PARAGRAPHS_PER_SAMPLE = 6  # the vocabulary is learned from one paragraph in so many


def prepare_corpus(texts: list[str], folder: str | Path, size: int = 8192, characters: int = 120) -> None:
    """Learn `vocab.txt` and pack the text beside it, each once.

    Raises:
        InputError: no texts are given and none are packed, or others than those that are given.
    """
    folder = Path(folder)
    path, kept = folder / "vocab.txt", folder / MADE_OF
    done = path.exists() and (folder / "corpus").exists()
    begun = texts and path.exists() and kept.exists()
    was = parse_json(kept, "description of a corpus", "give another folder") if begun else {}
    made_of = {"size": size, "characters": characters, "texts": described(texts, was.get("texts", []) if done else [])}
    if begun and was != made_of:
        raise InputError(f"{folder} was made of other texts, or with another vocabulary_size; give another folder")
    if not texts and not done:
        raise InputError("texts is empty; name files with one paragraph a line and a blank line between documents")
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_json(kept, made_of)
        print(f"learning a vocabulary of about {size:,} pieces; this takes minutes", flush=True)
        write_text(path, "\n".join(learn(sample(texts), size, characters)) + "\n")
    if not (folder / "corpus").exists():
        print("cleaning and packing the text", flush=True)
        pack(read_documents(texts), sentence_tokenizer(read_vocabulary(path)), folder / "corpus")


def described(texts: list[str], packed: list[dict]) -> list[dict]:
    """Return the name and the digest of each text; one that is packed already may be gone since."""
    gone = {one.get("name"): one for one in packed}
    return [
        gone[name] if (name := Path(text).name) in gone and not Path(text).expanduser().is_file() else describe(text)
        for text in texts
    ]


def describe(text: str) -> dict:
    """Return the name and the digest of a text."""
    try:
        return {"name": Path(text).name, **file_digest(Path(text).expanduser())}
    except OSError as error:
        raise InputError(f"{text} cannot be read ({error.strerror}); name a file of text") from None


def read_corpus_counts(folder: str | Path) -> dict[str, int]:
    """Return the counts of what was packed, and of what was dropped."""
    return json.loads((Path(folder) / "corpus" / "counts.json").read_text())


def sample(texts: list[str]) -> list[str]:
    """Return one cleaned paragraph in `PARAGRAPHS_PER_SAMPLE`."""
    cleaner = Cleaner()
    paragraphs = (paragraph for document in read_documents(texts) for paragraph in cleaner(document))
    return [paragraph for index, paragraph in enumerate(paragraphs) if index % PARAGRAPHS_PER_SAMPLE == 0]


def learn(paragraphs: Iterable[str], size: int, characters: int) -> list[str]:
    """Learn about `size` uncased pieces; only the most frequent characters become pieces of their own."""
    dataset = tf.data.Dataset.from_tensor_slices(list(paragraphs)).batch(1000)
    return bert_vocab_from_dataset.bert_vocab_from_dataset(
        dataset,
        vocab_size=size,
        reserved_tokens=RESERVED_TOKENS,
        bert_tokenizer_params={"lower_case": True},
        learn_params={"max_unique_chars": characters},
    )


def sentence_tokenizer(entries: list[str]):
    """Return the function that turns sentences into arrays of ids."""
    preprocessor = Preprocessor(entries)

    def tokenize(sentences: list[str]) -> list[np.ndarray]:
        ids = preprocessor.tokenize(sentences)
        return np.split(ids.flat_values.numpy(), ids.row_splits.numpy()[1:-1])

    return tokenize
