"""Error analysis by groups of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertglue.data.dataset import make_split
from bertglue.evaluation.error_slices import LENGTH, NEGATION, OVERLAP, error_rates, slice_rows, words_of
from bertglue.tasks import TASKS

PAIRS = [
    ("the cat sat on the mat", "the cat did not sit", 1),
    ("he isn't here", "he is here", 1),
    ("a red boat", "a blue car", 0),
    ("nobody came", "they came in the evening of that day", 0),
    ("snow fell", "snow fell", 0),
    ("it knows nothing of nought", "it knows it", 1),
]


def pairs(rows=PAIRS):
    first, second, labels = zip(*rows, strict=True)
    return make_split(TASKS["rte"], [first, second], labels, "here")


def rows_of(mask):
    return np.flatnonzero(mask).tolist()


def test_words_of_negation_are_whole_words():
    assert words_of("It isn't nought, cannot; Noah") == ["it", "is", "n't", "nought", "cannot", "noah"]
    found = slice_rows(pairs())[NEGATION]
    assert {name: rows_of(mask) for name, mask in found.items()} == {"with a negation": [0, 1, 3, 5], "without": [2, 4]}


def test_overlap_is_the_share_of_the_second_texts_words():
    found = slice_rows(pairs())[OVERLAP]
    shares = {0: 40, 1: 66, 2: 33, 3: 12, 4: 100, 5: 100}
    for title, mask in found.items():
        low, *high = (int(word) for word in title.removesuffix(" %").split(" to "))
        assert all(low <= shares[row] <= max([low, *high]) for row in rows_of(mask))


def test_a_single_sentence_has_no_overlap():
    split = make_split(TASKS["sst2"], [["good", "not so good", "a very very good film"]], [1, 0, 1], "here")
    assert set(slice_rows(split)) == {LENGTH, NEGATION}


def test_rates_by_hand():
    predictions = np.array([1, 0, 0, 1, 1, 1])  # rows 1, 3 and 4 are wrong
    found = {(one["by"], one["group"]): one for one in error_rates(TASKS["rte"], pairs(), predictions)}
    assert (found[NEGATION, "with a negation"]["error"], found[NEGATION, "with a negation"]["rows"]) == (0.5, 4)
    assert found[NEGATION, "without"]["error"] == 0.5
    one = found[NEGATION, "with a negation"]
    assert (one["low"], one["high"]) == pytest.approx((0.1500, 0.8500), abs=1e-4)  # Wilson's, of 2 in 4


def test_scores_have_a_mean_difference():
    split = make_split(TASKS["stsb"], [["a", "b c"], ["a", "d"]], [1.0, 4.0], "here")
    rows = error_rates(TASKS["stsb"], split, np.array([1.5, 3.0]))
    both = next(one for one in rows if one["group"] == "without")
    assert (both["low"], both["high"]) == pytest.approx((0.26, 1.24), abs=1e-3)  # 1.96 standard errors of 0.5 and 1
    found = {one["group"]: one["error"] for one in rows}
    assert found == {"2 words": 0.5, "3 words": 1.0, "without": 0.75, "0 %": 1.0, "100 %": 0.5}


@given(st.lists(st.tuples(st.text("ab no't ", max_size=12), st.text("ab ", max_size=9)), min_size=1, max_size=30))
def test_each_row_is_in_one_group_of_each_kind(texts):
    split = pairs([(a, b, 0) for a, b in texts])
    for groups in slice_rows(split).values():
        assert np.equal(sum(mask.astype(int) for mask in groups.values()), 1).all()
        assert len(groups) <= 3


def test_groups_of_length_are_even():
    texts = [" ".join(["word"] * length) for length in range(1, 31)]
    split = make_split(TASKS["sst2"], [texts], [0] * 30, "here")
    assert [int(mask.sum()) for mask in slice_rows(split)[LENGTH].values()] == pytest.approx([10, 10, 10], abs=1)
