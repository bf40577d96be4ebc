"""Tables of a run in the notebook: of its parameters, tokens, model and files."""

import numpy as np
import pytest
from shown import as_text

from bertglue import Parameters, load_preprocessor
from bertglue.data.dataset import Data, Split
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.report import tables
from bertglue.tasks import TASKS


def test_every_parameter_stands_beside_its_value():
    lines = as_text(tables.parameters_table(Parameters(task="rte", glue_dir=None, epochs=7))).splitlines()
    assert lines[0] == "parameter | value"
    assert "task | rte" in lines
    assert "epochs | 7" in lines
    assert "glue_dir | None" in lines
    assert len(lines) == 1 + len(Parameters.model_fields)


def test_sizes_of_splits_say_of_how_many_rows_those_of_train_are_some():
    split = Split({"sentence": ["a"] * 1000}, np.zeros(1000, "int32"))
    withheld = Split({"sentence": ["a"]}, np.array([-1]))
    splits = {"train": split, "validation": split, "test": withheld}
    rows = "validation | 1,000 | yes\ntest | 1 | withheld\n"
    for drawn_from, train in ((None, "1,000"), (8551, "1,000 of 8,551")):
        shown = as_text(tables.split_sizes(Data(TASKS["cola"], "toy", splits, drawn_from)))
        assert shown == f"split | examples | labels\ntrain | {train} | yes\n{rows}"


def test_counts_are_written_with_their_thousands():
    assert as_text(tables.counts_table({"steps": 1234, "rows": 5})) == "what | count\nsteps | 1,234\nrows | 5\n"


def test_the_tokens_of_the_first_row_stand_one_a_line_with_two_of_the_padding():
    columns = {"sentence1": ["the film .", "not shown"], "sentence2": ["a story", "not shown"]}
    data = Data(TASKS["rte"], "folder", {"train": Split(columns, np.array([0, 1]))})
    lines = as_text(tables.packing(load_preprocessor("bundled", 12), data)).splitlines()
    assert lines[0] == "token | input_word_ids | input_mask | input_type_ids"
    read = [line.split(" | ") for line in lines[1:]]
    assert [row[0] for row in read] == ["[CLS]", "the", "film", ".", "[SEP]", "a", "story", "[SEP]", "[PAD]", "[PAD]"]
    assert [row[2] for row in read] == ["1"] * 8 + ["0"] * 2
    assert [row[3] for row in read] == ["0"] * 5 + ["1"] * 3 + ["0"] * 2


def test_parameters_of_the_model_are_counted_by_part_and_in_all():
    classifier = build_classifier(build_encoder(EncoderConfig(50, 8, 16, (2, 2), 4, 16)), 3)
    rows = [line.split(" | ") for line in as_text(tables.model_summary(classifier)).splitlines()[1:]]
    counts = {part: int(count.replace(",", "")) for part, count in rows}
    assert counts["total"] == classifier.count_params() == sum(counts.values()) - counts["total"]


def test_files_of_a_run_are_listed_with_their_sizes(tmp_path):
    (tmp_path / "record.json").write_text("{}")
    (tmp_path / "model.keras").write_bytes(bytes(1234))
    assert as_text(tables.record_summary(tmp_path / "record.json")) == (
        "file | bytes\nmodel.keras | 1,234\nrecord.json | 2\n"
    )


def test_logits_are_the_same_up_to_the_tolerance():
    first, second = np.array([[0.0, 1.0]]), np.array([[0.0, 1.0 - 2e-6]])
    assert tables.same_predictions(first, second).endswith("the largest difference is 2e-06.")
    assert tables.same_predictions(first, second + 1, tolerance=2).endswith("is 1.")
    for wrong in (second + 1e-4, second * np.nan):
        with pytest.raises(AssertionError, match="more than 1e-05"):
            tables.same_predictions(first, wrong)


def test_text_of_a_data_set_is_text_on_the_page():
    task = TASKS["sst2"]
    split = Split({"sentence": ["<script>alert(1)</script> & so on"]}, np.array([1]))
    shown = tables.examples(Data(task, "folder", {"train": split})).data
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in shown
