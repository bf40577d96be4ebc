"""Every way of normalizing text, against Hugging Face's tokenizers, on text of many scripts."""

import itertools
import unicodedata

import pytest
import tensorflow as tf
from tokenizers import BertWordPieceTokenizer

from bertglue.models.encoder_source import Tokenization
from bertglue.models.word_pieces import word_pieces

TEXTS = [
    "The Quick Brown Fox, it's 3.5% (or so)!",
    "Zürich, Übergröße, Fußball; naïve façade, El Niño, coöperate",
    "crème brûlée à l'œuvre — « déjà vu » …",
    "Москва не сразу строилась; Ёлки-палки, Й",
    "η γρήγορη αλεπούς, ΌΣΟ",
    "中文和English混在一起。日本語のテキスト、カタカナ",
    "한국어 문장입니다. 가나다",
    "हिन्दी में लिखा हुआ वाक्य। नमस्ते",
    "العربية والإنجليزية معا، مرحبا",
    "Tiếng Việt có dấu: Đường phố Hà Nội",
    "e\u0301tude cafe\u0301 A\u030angstrom",  # letters with accents of their own
    "tabs\tand\nlines\r\nand\u00a0spaces\u2003wide",
    "zero\u200bwidth soft\u00adhyphen",
    "emoji 😀👍🏽 and symbols €£¥©™ + = < > | ~ ^ $ `",
    "under_score hy-phen co.uk a/b\\c [x] {x}",
    "",
    "   ",
    "x" * 150,
]


def pieces_of(texts):
    """A vocabulary of every character in the texts, in each case and with and without accents; one is left out."""
    forms = set()
    for text in texts:
        for form in (
            text,
            text.lower(),
            unicodedata.normalize("NFD", text),
            unicodedata.normalize("NFD", text.lower()),
        ):
            forms |= set(form)
    shown = sorted(c for c in forms if not c.isspace() and c not in "qQ")
    words = ["quick", "Quick", "zurich", "zürich", "Zürich", "中文", "##中", "text", "##ing", "The", "the"]
    return list(
        dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *shown, *(f"##{c}" for c in shown)])
    )


VOCABULARY = pieces_of(TEXTS)


def test_what_looks_like_a_special_token_is_text():
    found = word_pieces(Tokenization(VOCABULARY))(tf.constant(["[CLS]"])).to_list()[0]
    assert found[0] == VOCABULARY.index("[")


@pytest.mark.parametrize("split_chinese", [True, False])
@pytest.mark.parametrize(("lower_case", "strip_accents"), list(itertools.product([True, False], [None, True, False])))
def test_the_same_ids_as_hugging_faces_tokenizer(lower_case, strip_accents, split_chinese):
    tokenize = word_pieces(Tokenization(VOCABULARY, lower_case, strip_accents, split_chinese))
    reference = BertWordPieceTokenizer(
        {piece: i for i, piece in enumerate(VOCABULARY)},
        lowercase=lower_case,
        strip_accents=strip_accents,
        handle_chinese_chars=split_chinese,
    )
    ours = tokenize(tf.constant(TEXTS)).to_list()
    for text, found in zip(TEXTS, ours, strict=True):
        if lower_case and strip_accents is not False and split_chinese:
            text = unicodedata.normalize("NFKC", text.casefold())  # the first of the differences that the module states
        wanted = reference.encode(text, add_special_tokens=False)
        assert [VOCABULARY[i] for i in found] == wanted.tokens, text
