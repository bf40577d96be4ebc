"""Ids against TF Hub's published `tokenize` and Hugging Face's tokenizer, on real text and on all of Unicode."""

import itertools
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as text
from savedmodels import export_preprocessor
from tokenizers import BertWordPieceTokenizer

from bertglue.data.dataset import Split
from bertglue.data.glue_files import LAYOUTS
from bertglue.data.load_data import load_data
from bertglue.data.token_ids import read_vocabulary
from bertglue.models.preprocessor import Preprocessor, load_preprocessor, tokenize
from bertglue.models.trusted_preprocessor import SavedModelPreprocessor, load_trusted_preprocessor
from bertglue.tasks import TASKS

# Where FastBertTokenizer gives other ids than TF Hub's `tokenize`: two kinds of white space that TF Hub's graph does
# not know for white space (BERT's own code and Hugging Face's do), and characters assigned after its Unicode tables.
SPACES = [0x1680, 0x2028, 0x2029]
NEW = [0x1B4E, 0x1B4F, 0x1B7F, 0x10D6E, 0x113D4, 0x113D5, 0x113D7, 0x113D8, 0x11BE1, 0x16D6D, 0x16D6E, 0x16D6F, 0x1E5FF]


@pytest.fixture(scope="module")
def preprocess_dir(hub_dir):
    return hub_dir / "bert_en_uncased_preprocess"


@pytest.fixture(scope="module")
def fast(preprocess_dir):
    return load_preprocessor(str(preprocess_dir / "assets" / "vocab.txt"), 128)


@pytest.fixture(scope="module")
def published(preprocess_dir):
    return load_trusted_preprocessor(str(preprocess_dir), 128)


@pytest.fixture(scope="module")
def hugging_face(preprocess_dir):
    return BertWordPieceTokenizer(str(preprocess_dir / "assets" / "vocab.txt"), lowercase=True)


def ids(preprocessor, texts):
    return preprocessor.tokenize(texts).to_list()


def hugging_face_ids(tokenizer, texts):
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def fold(text):
    """Do beforehand what tensorflow-text does beyond lower-casing: NFKC case folding, and blanks for controls.

    The replacement character U+FFFD, which Hugging Face drops, is an unknown piece; another unknown one stands for it.
    """
    blanked = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text).replace(
        "\ufffd", "\u2603"
    )
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", blanked).casefold())


@pytest.mark.parametrize("name", TASKS)
def test_every_sentence_of_glue(glue_dir, fast, published, hugging_face, name):
    """The same ids as TF Hub; as Hugging Face too, but for U+FFFD and what TF Hub folds and it does not (… ½ µ)."""
    if not (glue_dir / LAYOUTS[name].folder).is_dir():
        pytest.skip(f"{glue_dir} has no {LAYOUTS[name].folder}")
    data = load_data(TASKS[name], "folder", glue_dir=str(glue_dir))
    count = different = 0
    for split in data.splits.values():
        for texts in itertools.chain.from_iterable(split.chunks()):
            ours = ids(fast, texts)
            assert ours == ids(published, texts)
            strings = [text.decode() for text in texts]
            theirs = hugging_face_ids(hugging_face, strings)
            unequal = [i for i, (left, right) in enumerate(zip(ours, theirs, strict=True)) if left != right]
            assert all(fold(strings[i]) != strings[i].lower() for i in unequal)
            folded = hugging_face_ids(hugging_face, [fold(strings[i]) for i in unequal])
            assert [ours[i] for i in unequal] == folded
            count, different = count + len(texts), different + len(unequal)
    assert different < count / 100


EMPTY = range(4, 14)  # planes of Unicode without any character


def at_an_end(character: int) -> bool:
    return not 0x100 <= character & 0xFFFF < 0xFF00


@pytest.mark.parametrize("form", ["a{}b", "{}"])
def test_every_character(fast, published, form):
    characters = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and (c >> 16 not in EMPTY or at_an_end(c))]
    unequal = set()
    for start in range(0, len(characters), 1 << 16):
        chunk = characters[start : start + (1 << 16)]
        texts = [form.format(chr(c)) for c in chunk]
        ours, expected = ids(fast, texts), ids(published, texts)
        unequal |= {c for c, left, right in zip(chunk, ours, expected, strict=True) if left != right}
    assert unequal == {*SPACES, *(NEW if form == "a{}b" else ())}


@pytest.mark.parametrize("space", SPACES)
def test_unusual_spaces_are_spaces_as_in_hugging_faces_tokenizer(fast, hugging_face, space):
    texts = [f"one{chr(space)}two"]
    assert ids(fast, texts) == hugging_face_ids(hugging_face, texts) == ids(fast, ["one two"])


@pytest.mark.parametrize("lower_case", [True, False])
def test_cased_and_uncased_equal_the_reference_tokenizer(preprocess_dir, glue_dir, lower_case):
    vocabulary = preprocess_dir / "assets" / "vocab.txt"
    ours = Preprocessor(read_vocabulary(vocabulary), 128, lower_case=lower_case)
    reference = text.BertTokenizer(str(vocabulary), token_out_type=tf.int32, lower_case=lower_case)
    texts = load_data(TASKS["mrpc"], "folder", glue_dir=str(glue_dir))["validation"].segments[0][:]
    assert ids(ours, texts) == reference.tokenize(texts).merge_dims(1, -1).to_list()
    assert ids(ours, ["A"]) == reference.tokenize(["A"]).merge_dims(1, -1).to_list()


LONG = "abc " * 40
PAIRS = [["a b.", LONG, LONG, "", "c?"], ["bb", LONG, "c", "", LONG]]


@pytest.fixture(scope="module", params=["made here", "official"])
def packers(request, tmp_path_factory):
    """The two paths from one vocabulary: a SavedModel's published functions and the library's own."""
    if request.param == "made here":
        folder = export_preprocessor(tmp_path_factory.mktemp("hub") / "preprocess")
    else:
        folder = request.getfixturevalue("preprocess_dir")
    trusted = load_preprocessor("bundled", 16, preprocessor=str(folder))
    return trusted, load_preprocessor(str(folder / "assets" / "vocab.txt"), 16)


@pytest.mark.parametrize("segments", [PAIRS[:1], PAIRS], ids=["one segment", "two segments"])
def test_a_savedmodels_functions_pack_as_the_library_does(packers, tmp_path, segments):
    theirs, ours = packers
    assert isinstance(theirs, SavedModelPreprocessor)
    left, right = theirs(segments), ours(segments)
    assert {name: value.numpy().tolist() for name, value in left.items()} == {
        name: value.numpy().tolist() for name, value in right.items()
    }
    columns = dict(zip(("sentence1", "sentence2"), segments, strict=False))
    rows = Split(columns, np.zeros(len(segments[0]), "int32"))
    batches = [tokenize(rows, packer, tmp_path).batch(np.arange(len(rows))) for packer in packers]
    for name, values in batches[0].items():
        np.testing.assert_array_equal(values, batches[1][name])
    assert len(list((tmp_path / "tokens").iterdir())) == 2  # each path has its own cache
