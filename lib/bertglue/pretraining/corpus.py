"""Text for pre-training: read, cleaned, split into sentences, and packed as token ids.

Takes text files (plain, `.xz` or `.gz`) with one paragraph a line and a blank line between documents.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import lzma
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertglue.atomic_files import write_folder
from bertglue.data.text_lines import read_lines
from bertglue.errors import InputError, one_line

DOCUMENTS_PER_HELD_OUT = 100  # one document in so many is kept for evaluation
MIN_PARAGRAPH_LENGTH = 40  # characters; shorter paragraphs are headings and cries, and teach little
BOILERPLATE = re.compile(
    r"gutenberg|transcriber'?s note|all rights reserved|creative commons|^(title|author|year|release date):", re.I
)
TABLE_OF_CONTENTS = re.compile(
    r"(\. ?){4,}|(chapter|book|part) [ivxlc\d]+\b.*(chapter|book|part) [ivxlc\d]+\b|\t.*\d+$", re.I
)
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
OPENERS = {".xz": lzma.open, ".gz": gzip.open}


def read_documents(paths: Iterable[str | Path]) -> Iterator[list[str]]:
    """Yield each document as the list of its paragraphs."""
    for path in map(Path, paths):
        document: list[str] = []
        try:
            with OPENERS.get(path.suffix, open)(path, "rb") as file:
                for _, _, line in read_lines(file, path):
                    if paragraph := line.decode().strip():
                        document.append(paragraph)
                    elif document:
                        yield document
                        document = []
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise InputError(f"{path} cannot be read ({one_line(error)}); give text, plain, .xz or .gz") from None
        if document:
            yield document


class Cleaner:
    """Drop what is no prose: headings, contents, licences, and paragraphs that were there before; counts them."""

    def __init__(self):
        self.seen: set[bytes] = set()
        self.dropped: Counter = Counter()

    def __call__(self, document: list[str]) -> list[str]:
        kept = []
        for paragraph in document:
            text = tidy(paragraph)
            fault = self.fault(text)
            if fault:
                self.dropped[fault] += 1
            else:
                kept.append(text)
        return kept

    def fault(self, text: str) -> str | None:
        if len(text) < MIN_PARAGRAPH_LENGTH:
            return "short"
        if BOILERPLATE.search(text):
            return "boilerplate"
        if TABLE_OF_CONTENTS.search(text):
            return "contents"
        letters = sum(map(str.isalpha, text))
        if letters < 0.6 * len(text) or sum(map(str.isupper, text)) > 0.5 * letters:
            return "no prose"
        # two paragraphs that begin with the same letters are the same but for an edition's spelling of the rest
        key = hashlib.blake2b("".join(filter(str.isalpha, text.lower()))[:120].encode(), digest_size=8).digest()
        if key in self.seen:
            return "repeated"
        self.seen.add(key)
        return None


def tidy(text: str) -> str:
    """Undo what files do to text: entities, marks for italics, empty brackets, runs of blanks."""
    text = unicodedata.normalize("NFC", html.unescape(text)).replace("_", "").replace("--", " - ")
    return " ".join(re.sub(r"\(\s*[,;]?\s*\)", "", text).split())


def split_sentences(paragraph: str) -> list[str]:
    return SENTENCE_END.split(paragraph)


def held_out(document: list[str]) -> bool:
    """Choose documents for evaluation by their own text, so that the choice does not depend on their order."""
    digest = hashlib.blake2b(document[0].encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % DOCUMENTS_PER_HELD_OUT == 0


@dataclass(frozen=True)
class Corpus:
    """Tokens of a corpus: `ids` uint16 [tokens]; sentence i is `ids[sentences[i]:sentences[i + 1]]`; document j is
    the sentences from `documents[j]` to `documents[j + 1]`."""

    ids: np.ndarray
    sentences: np.ndarray
    documents: np.ndarray


def count(corpus: Corpus) -> dict[str, int]:
    return {
        "documents": len(corpus.documents) - 1,
        "sentences": len(corpus.sentences) - 1,
        "tokens": corpus.ids.size,
    }


def pack(documents: Iterable[list[str]], tokenize, folder: Path) -> dict[str, int]:
    """Clean, tokenize and write a corpus in two parts, `train` and `held_out`, document by document.

    `tokenize` gives the ids of each of a list of sentences. The folder appears only when all of it is there.
    """
    with write_folder(folder) as partial:
        parts = {name: PartWriter(partial / name) for name in ("train", "held_out")}
        cleaner = Cleaner()
        for document in documents:
            paragraphs = cleaner(document)
            if paragraphs:
                sentences = [sentence for paragraph in paragraphs for sentence in split_sentences(paragraph)]
                parts["held_out" if held_out(paragraphs) else "train"].add(tokenize(sentences))
        counts = {f"{name} {what}": n for name, part in parts.items() for what, n in part.close().items()}
        counts |= {f"dropped, {why}": n for why, n in cleaner.dropped.items()}
        (partial / "counts.json").write_text(json.dumps(counts, indent=1) + "\n")
    return counts


class PartWriter:
    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.folder = folder
        self.file = (folder / "ids.bin").open("wb")
        self.sentences, self.documents = [np.zeros(1, "int64")], [0]
        self.count = self.tokens = 0

    def add(self, ids: list[np.ndarray]) -> None:
        lengths = [len(sentence) for sentence in ids if len(sentence)]
        if not lengths:
            return
        np.concatenate(ids).astype("<u2").tofile(self.file)
        self.sentences.append(self.tokens + np.cumsum(lengths))
        self.tokens += sum(lengths)
        self.count += len(lengths)
        self.documents.append(self.count)

    def close(self) -> dict[str, int]:
        self.file.close()
        np.save(self.folder / "sentences.npy", np.concatenate(self.sentences))
        np.save(self.folder / "documents.npy", np.array(self.documents))
        return {"documents": len(self.documents) - 1, "sentences": self.count, "tokens": self.tokens}


def load_corpus(folder: Path) -> Corpus:
    """Map one part of a packed corpus."""
    if (folder / "ids.bin").is_file() and not (folder / "ids.bin").stat().st_size:
        raise InputError(f"{folder} holds no text; give more documents, one in {DOCUMENTS_PER_HELD_OUT} is held out")
    try:
        ids = np.memmap(folder / "ids.bin", "<u2", mode="r")
        return Corpus(ids, np.load(folder / "sentences.npy"), np.load(folder / "documents.npy"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no packed corpus ({one_line(error)}); pack the text again") from None
