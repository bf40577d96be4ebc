"""BERT's WordPiece with tensorflow-text: from texts to the ids of their pieces, for each way of normalizing text.

The ids are those of Hugging Face's tokenizers and of BERT's own code, but for these texts. Where lower-casing and
stripping accents go together, text is case-folded, as in TF Hub's uncased models: ß becomes ss, and compatibility
characters such as … and ½ are spelled out. `[CLS]` and its like in a text are words in brackets, no special tokens. A
sigma at the end of a word is lower-cased as one, as Python does it. Characters of private use are letters.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tensorflow_text as text

from bertglue.models.encoder_source import Tokenization

# words end at white space and around each of these, as in tensorflow-text's BasicTokenizer
WORD_BREAKS = r"[!-/]|[:-@]|[\[-`]|[{-~]|[\p{P}]"
SHOWN_BY_NOTHING = r"\p{Cf}"  # such as a soft hyphen
LEFT_OUT = r"[\p{Cc}\p{Cf}]|�"  # characters that BERT takes away; white space among them became a space before


def word_pieces(tokenization: Tokenization) -> Callable[[tf.Tensor], tf.RaggedTensor]:
    """Return a function from texts [batch] to the ids of their word pieces [batch, (tokens)]."""
    accents = tokenization.lower_case if tokenization.strip_accents is None else tokenization.strip_accents
    if not tokenization.split_chinese:
        return words_left_whole(tokenization, accents)
    together = accents == tokenization.lower_case  # which the fast tokenizer does by itself, or neither
    # eight times as fast as BertTokenizer, with the same ids but on 16 characters (a test names them)
    fast = text.FastBertTokenizer(
        tokenization.vocabulary,
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=tokenization.lower_case and together,
    )

    def tokenize(texts: tf.Tensor) -> tf.RaggedTensor:
        if not (together and tokenization.lower_case):
            texts = tf.strings.regex_replace(texts, SHOWN_BY_NOTHING, "")  # what the fast tokenizer splits words at
        texts = texts if together else normalize(texts, tokenization.lower_case, accents)
        return fast.tokenize(texts).merge_dims(1, -1)

    return tokenize


def normalize(texts: tf.Tensor, lower_case: bool, strip_accents: bool) -> tf.Tensor:
    """Lower-case texts, strip their accents, both or neither."""
    if lower_case:
        texts = tf.strings.lower(texts, encoding="utf-8")
    if strip_accents:
        texts = tf.strings.regex_replace(text.normalize_utf8(texts, "NFD"), r"\p{Mn}", "")
    return texts


def words_left_whole(tokenization: Tokenization, strip_accents: bool) -> Callable[[tf.Tensor], tf.RaggedTensor]:
    """Return the tokenizer of a model that takes Chinese characters together as words, as other letters."""
    pieces = text.FastWordpieceTokenizer(tokenization.vocabulary, token_out_type=tf.int32, no_pretokenization=True)

    def tokenize(texts: tf.Tensor) -> tf.RaggedTensor:
        texts = tf.strings.regex_replace(texts, r"[\t\n\r]", " ")
        texts = tf.strings.regex_replace(texts, LEFT_OUT, "")
        texts = normalize(texts, tokenization.lower_case, strip_accents)
        words = text.regex_split(texts, rf"\p{{Zs}}+|{WORD_BREAKS}", WORD_BREAKS)
        return pieces.tokenize(words).merge_dims(1, -1)

    return tokenize
