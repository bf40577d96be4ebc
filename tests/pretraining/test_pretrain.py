"""Pre-training: the text is cleaned, the examples are BERT's, and a killed run resumes as if it had not been killed."""

import gzip
import lzma
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from other_backend import quick_jax
from paths import TESTS

from bertglue import load_encoder
from bertglue.devices import select_strategy
from bertglue.errors import InputError
from bertglue.models.bert import check_fit
from bertglue.models.bundled import read_pretraining_record
from bertglue.parameters import PretrainingParameters
from bertglue.pretraining import pretrain
from bertglue.pretraining.corpus import Cleaner, Corpus, load_corpus, pack, read_documents, split_sentences, tidy
from bertglue.pretraining.examples import Examples, Vocabulary, draw_pairs, mask_words, pack_pairs
from bertglue.pretraining.pretrain import Pretraining, build_pretrainer
from bertglue.training.optimizer import loss_scale

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
    "rho",
    "sigma",
    "tau",
]
ENTRIES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *(f"##{word}" for word in WORDS)]
VOCABULARY = Vocabulary.of(ENTRIES)
PROSE = "It was a long and quiet evening, and nobody in the house had said a word for an hour. Then she spoke."


def corpus(documents=20, sentences=6, seed=0):
    """Sentences of two to eight pieces; every third piece goes on a word."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 9, documents * sentences)
    ids = rng.integers(5, 5 + len(WORDS), lengths.sum()).astype("uint16")
    ids[2::3] += len(WORDS)
    return Corpus(ids, np.concatenate([[0], np.cumsum(lengths)]), np.arange(documents + 1) * sentences)


@pytest.mark.parametrize(
    ("paragraph", "reason"),
    [
        (PROSE, None),
        ("CHAPTER I.", "short"),
        ("Chapter I. The Road 3 Chapter II. The Inn 17 Chapter III. The Sea 40", "contents"),
        ("The Road . . . . . . . . . . . . . . . . 3 and other matters of the kind", "contents"),
        ("THE HISTORY OF THE HOUSE AND OF ALL WHO LIVED IN IT FOR LONG", "no prose"),
        ("1802 | 3.14 | 2.72 | 1.41 | 1.73 | 0.58 | 1803 | 9.99 | 12.4", "no prose"),
        ("This eBook is for the use of anyone under the Project Gutenberg License.", "boilerplate"),
    ],
)
def test_what_is_no_prose_is_dropped(paragraph, reason):
    cleaner = Cleaner()
    assert cleaner([paragraph]) == ([] if reason else [paragraph])
    assert dict(cleaner.dropped) == ({reason: 1} if reason else {})


def test_a_paragraph_is_kept_once_across_documents():
    cleaner = Cleaner()
    assert cleaner([PROSE]) == [PROSE]
    assert cleaner([PROSE.replace("evening,", "Evening --"), "Another " + PROSE]) == ["Another " + PROSE]


def test_tidy_and_sentences():
    assert tidy("The _Odyssey_ ( , ) of  R&amp;D--so") == "The Odyssey of R&D - so"
    assert split_sentences('He left. "Why?" she asked. It rained.') == ["He left.", '"Why?" she asked.', "It rained."]


def test_documents_are_read_and_packed(tmp_path):
    path = tmp_path / "text.txt.xz"
    documents = [f"{WORDS[number % 18]} {WORDS[number // 18]} {PROSE}" for number in range(300)]
    path.write_bytes(lzma.compress("\n\n".join(documents).encode()))
    tokenize = lambda sentences: [np.full(len(s.split()), 7) for s in sentences]  # noqa: E731
    counts = pack(read_documents([path]), tokenize, tmp_path / "corpus")
    train, held_out = (load_corpus(tmp_path / "corpus" / name) for name in ("train", "held_out"))
    assert counts["train documents"] + counts["held_out documents"] == 300
    assert 0 < counts["held_out documents"] < 12
    assert train.ids.size == train.sentences[-1] == counts["train tokens"]
    assert train.documents[-1] == len(train.sentences) - 1 == 2 * counts["train documents"]
    assert held_out.ids[0] == 7


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.xz", b"no archive"),
        ("text.gz", b"no archive"),
        ("text.xz", lzma.compress(PROSE.encode() * 50)[:-20]),
        ("text.gz", gzip.compress(PROSE.encode() * 50)[:-20]),
        ("text.gz", gzip.compress(b"")[:10] + b"\xff" * 40),
    ],
    ids=["no xz", "no gz", "cut xz", "cut gz", "damaged gz"],
)
def test_a_text_that_cannot_be_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} cannot be read .*give text, plain, .xz or .gz"):
        list(read_documents([tmp_path / name]))


def test_pairs_cover_the_text_and_half_of_them_follow():
    text = corpus(documents=300)
    pairs = draw_pairs(text, 24, (0,))
    covered = np.zeros(text.ids.size, bool)
    for (start, stop), (start_b, stop_b), follows in zip(pairs.first, pairs.second, pairs.follows, strict=True):
        covered[start:stop] = True
        if follows:
            assert start_b == stop
            covered[start_b:stop_b] = True
    assert covered.all()
    assert 0.35 < pairs.follows.mean() < 0.55  # the last sentence of a document has nothing that follows
    again, other = draw_pairs(text, 24, (0,)), draw_pairs(text, 24, (1,))
    assert np.array_equal(pairs.first, again.first)
    assert not np.array_equal(pairs.first[:50], other.first[:50])


def test_a_row_is_laid_out_as_bert_does():
    text = corpus()
    pairs = draw_pairs(text, 24, (0,))
    rows = np.arange(10)
    inputs = pack_pairs(text, pairs, rows, VOCABULARY, 24)
    for row in rows:
        used = inputs["input_mask"][row].sum()
        ids, types = inputs["input_word_ids"][row], inputs["input_type_ids"][row]
        first = np.flatnonzero(ids == VOCABULARY.sep)[0]
        start = pairs.first[row, 0]
        assert ids[0] == VOCABULARY.cls
        assert ids[1:first].tolist() == text.ids[start : start + first - 1].tolist()
        second = ids[first + 1 : used - 1].tolist()
        assert second == text.ids[pairs.second[row, 0] :][: len(second)].tolist()
        assert ids[used - 1] == VOCABULARY.sep
        assert types.tolist() == [0] * (first + 1) + [1] * (used - first - 1) + [0] * (24 - used)
        assert not ids[used:].any()


@pytest.mark.parametrize("whole_words", [True, False])
def test_masking_hides_fifteen_in_a_hundred(whole_words):
    text = corpus(documents=2000)
    pairs = draw_pairs(text, 48, (0,))
    inputs = pack_pairs(text, pairs, np.arange(len(pairs)), VOCABULARY, 48)
    ids = inputs["input_word_ids"]
    hidden, positions, pieces, weights = mask_words(inputs, VOCABULARY, np.random.default_rng(0), whole_words)
    chosen = weights > 0
    at = np.take_along_axis(ids, positions, 1)
    assert np.array_equal(at, pieces)
    assert (pieces[chosen] >= VOCABULARY.first).all()
    eligible = (ids >= VOCABULARY.first).sum()
    assert chosen.sum() / eligible == pytest.approx(0.15, abs=0.01)
    shown = np.take_along_axis(hidden, positions, 1)[chosen]
    assert (shown == VOCABULARY.mask).mean() == pytest.approx(0.8, abs=0.02)
    assert (shown == pieces[chosen]).mean() == pytest.approx(0.1, abs=0.02)
    untouched = np.ones_like(ids, bool)
    np.put_along_axis(untouched, positions, ~chosen, 1)
    assert np.array_equal(hidden[untouched], ids[untouched])
    picked = np.zeros_like(ids, bool)
    np.put_along_axis(picked, positions, chosen, 1)
    goes_on = VOCABULARY.goes_on[ids]
    together = (picked[:, 1:] == picked[:, :-1])[goes_on[:, 1:] & (ids[:, :-1] >= VOCABULARY.first)].mean()
    assert (together > 0.93) if whole_words else (together < 0.9)


RECIPE = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "heads": [2],
    "max_positions": 16,
    "stages": [[12, 4], [16, 4]],
    "batch_size": 4,
    "save_every": 3,
    "evaluate_batches": 2,
}
SHORT = {"stages": [[12, 4]], "save_every": 4}


def run(folder, text=None, **changes):
    parameters = PretrainingParameters.check({**RECIPE, "folder": str(folder), **changes})
    return Pretraining(text or corpus(), text or corpus(seed=1), ENTRIES, parameters)


def test_examples_depend_on_the_step_alone():
    options = {"batch_size": 4, "length": 12, "seed": 0}
    whole = Examples(corpus(), VOCABULARY, start=0, stop=40, **options)
    part = Examples(corpus(), VOCABULARY, start=30, stop=40, **options)
    for left, right in zip(whole[33][0].values(), part[3][0].values(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_words_are_scored_by_their_embeddings(tmp_path):
    pretraining = run(tmp_path)
    pretrainer = build_pretrainer(pretraining.encoder)
    inputs, _, _ = pretraining.examples(corpus(), 0, 1, 12)[0]
    words = pretrainer.get_layer("words")
    words.bias.assign(np.arange(len(ENTRIES)))
    hidden = np.asarray(keras.Model(pretrainer.input, words.input)(inputs))
    table = np.asarray(pretraining.encoder.get_layer("word_embeddings").embeddings)
    logits = np.asarray(pretrainer(inputs)["words"])
    assert logits.shape == (4, 2, len(ENTRIES))
    np.testing.assert_allclose(logits, hidden @ table.T + np.arange(len(ENTRIES)), atol=1e-5)


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def test_float16_learns_as_float32_does(tmp_path, policy):
    losses, scales = [], []
    for precision in ("float32", "mixed_float16"):
        policy(precision)
        pretraining = run(tmp_path / precision, precision=precision, accumulate=2, learning_rate=0.01, **SHORT)
        losses.append(pretraining.run()[-1]["held_out"]["loss"])
        scales.append(loss_scale(pretraining.trainer.optimizer))
    assert losses[1] == pytest.approx(losses[0], abs=0.01)
    assert scales == [None, 2.0**15]  # no step overflowed
    assert int(pretraining.trainer.optimizer.iterations) == 2  # of two batches each


@pytest.mark.parametrize(("precision", "steps", "changes"), [("float32", 8, {}), ("mixed_float16", 4, SHORT)])
def test_a_killed_run_goes_on_as_an_unbroken_one(tmp_path, policy, precision, steps, changes):
    policy(precision)
    unbroken = run(tmp_path / "unbroken", accumulate=2, **changes)
    unbroken.run()
    for until in (3, steps):  # each time a new object: all that it knows is in the checkpoint
        broken = run(tmp_path / "broken", accumulate=2, **changes)
        broken.run(until)
    assert broken.step == unbroken.step == steps
    assert broken.history[-1]["held_out"] == pytest.approx(unbroken.history[-1]["held_out"], abs=1e-6)
    for left, right in zip(broken.variables(), unbroken.variables(), strict=True):
        np.testing.assert_allclose(np.asarray(left), np.asarray(right), atol=1e-9)


@pytest.mark.parametrize("what", ["loss", "scale"])
def test_a_run_that_diverges_ends_and_keeps_the_checkpoint_before(tmp_path, monkeypatch, what):
    pretraining = run(tmp_path)
    pretraining.run(3)
    before = pretraining.checkpoint.read_bytes()
    if what == "loss":
        pretraining.trainer.trainable_variables[0].assign(
            np.full(pretraining.trainer.trainable_variables[0].shape, np.nan)
        )
    else:
        monkeypatch.setattr(pretrain, "loss_scale", lambda optimizer: 2.0**-9)
    with pytest.raises(
        InputError, match=r"the loss at step 4 is no number, or gradients overflow .*; lower learning_rate"
    ):
        pretraining.run()
    assert pretraining.checkpoint.read_bytes() == before


def test_another_text_in_the_folder_of_one_is_refused(tmp_path):
    from bertglue.pretraining.wordpiece import prepare_corpus  # by TensorFlow

    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"{name} {PROSE} {number}" for number in range(300)))
    prepare_corpus([str(tmp_path / "a.txt")], tmp_path / "run", size=120)
    prepare_corpus([str(tmp_path / "a.txt")], tmp_path / "run", size=120)
    prepare_corpus([], tmp_path / "run")  # goes on with what is packed
    for texts, size in ((["b"], 120), (["a"], 130), (["a", "b"], 120)):
        with pytest.raises(
            InputError, match="run was made of other texts, or with another vocabulary_size; give another"
        ):
            prepare_corpus([str(tmp_path / f"{name}.txt") for name in texts], tmp_path / "run", size=size)
    (tmp_path / "a.txt").unlink()
    prepare_corpus([str(tmp_path / "a.txt")], tmp_path / "run", size=120)  # once it is packed it may be gone
    with pytest.raises(InputError, match="run was made of other texts"):
        prepare_corpus([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")], tmp_path / "run", size=120)
    with pytest.raises(InputError, match="misspelt.txt cannot be read"):
        prepare_corpus([str(tmp_path / "misspelt.txt")], tmp_path / "run", size=120)
    with pytest.raises(InputError, match=r"none.txt cannot be read \(No such file or directory\); name a file of text"):
        prepare_corpus([str(tmp_path / "none.txt")], tmp_path / "other")


def test_the_example_shows_what_is_hidden_and_what_is_to_be_found(tmp_path):
    pretraining = run(tmp_path)
    first, second = pretraining.example()
    assert (first["segment"], second["segment"]) == ("a", "b")
    shown = f"{first['as the model sees it']} {second['as the model sees it']}".split()
    assert (shown[0], shown[-1]) == ("[CLS]", "[SEP]")
    inputs, _, weights = pretraining.examples(pretraining.train, 0, 1, 12)[0]
    assert len(shown) == inputs["input_mask"][0].sum()
    found = ", ".join(filter(None, (first["to be found"], second["to be found"]))).split(", ")
    assert len(found) == (weights["words"][0] > 0).sum()


def test_it_learns(tmp_path):
    text = corpus(documents=100)
    one_word = np.repeat(5 + np.arange(600) % 18, np.diff(text.sentences)).astype(
        "uint16"
    )  # a sentence repeats its own
    text = Corpus(one_word, text.sentences, text.documents)
    size = {"hidden_size": 32, "intermediate_size": 64, "batch_size": 32, "heads": [2, 2]}
    history = run(tmp_path, text, stages=[[12, 300]], learning_rate=0.005, save_every=300, **size).run()
    assert history[-1]["held_out"]["words_accuracy"] > 0.3  # of eighteen words


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages": [[256, 10]]}, "stages reach 256 tokens, and max_positions is 128; raise it"),
        ({"stages": [[10, 5], [64, 5]]}, "stages has a length of 10; give 11 or more, room for a pair"),
        ({"hidden_size": 130}, "hidden_size is 130; give a multiple of the 4 heads"),
        ({"step": 3}, "unknown parameter 'step'; the known ones are texts, folder"),
    ],
)
def test_parameters_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        PretrainingParameters.check(values)


def test_the_encoder_is_saved_in_half_precision_and_loaded(tmp_path):
    from bertglue import load_preprocessor  # reads text, which a machine with JAX alone cannot

    pretraining = run(tmp_path)
    pretraining.run(2)
    folder = pretraining.save_encoder(select_strategy())
    encoder, preprocessor = load_encoder(str(folder)), load_preprocessor(str(folder), 12)
    check_fit(encoder, preprocessor)
    assert preprocessor.vocabulary == ENTRIES
    inputs = preprocessor([["alpha beta", "gamma"], ["delta", "pi rho"]])
    for name, value in pretraining.encoder(inputs).items():
        np.testing.assert_allclose(np.asarray(encoder(inputs)[name]), np.asarray(value), atol=5e-3)
    for weight, half in zip(pretraining.encoder.get_weights(), encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(weight.astype("float16"), half)
    story = read_pretraining_record(folder)
    assert story["history"] == pretraining.history
    assert story["text"]["train"] == {"documents": 20, "sentences": 120, "tokens": pretraining.train.ids.size}
    (folder / "encoder.weights.h5").write_bytes(b"cut short")
    with pytest.raises(InputError, match=r"encoder holds no whole encoder \(.*write it again"):
        load_encoder(str(folder))


def test_a_checkpoint_of_other_parameters(tmp_path):
    run(tmp_path).run(1)
    with pytest.raises(InputError, match=r"is of other parameters \(batch_size, seed\); give another folder"):
        run(tmp_path, batch_size=8, seed=1)


def test_a_damaged_checkpoint(tmp_path):
    run(tmp_path).run(1)
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint.npz cannot be read .*remove it to start anew"):
        run(tmp_path)


JAX = """
import sys
sys.modules["tensorflow"] = None  # a machine with JAX alone
sys.path[:0] = sys.argv[1:3]
from test_pretrain import run
print(run(sys.argv[3]).run(2)[-1])
"""


def test_it_runs_on_jax_without_tensorflow(tmp_path):
    command = [sys.executable, "-c", JAX, os.path.dirname(__file__), str(TESTS), str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "jax", **quick_jax()}
    )
    assert done.returncode == 0, done.stderr
    assert "words_accuracy" in done.stdout
