"""The folder source: GLUE's real files, and files with defects."""

import pytest

from bertglue.data.load_data import load_data
from bertglue.errors import InputError
from bertglue.tasks import TASKS

MRPC_HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
ROW = '1\t7\t8\tHe said "no".\tHe said no.\n'


@pytest.fixture
def mrpc(tmp_path):
    """A small MRPC folder, and a function that writes one of its files anew."""
    folder = tmp_path / "MRPC"
    folder.mkdir()

    def write(name, content):
        data = content if isinstance(content, bytes) else content.encode("utf-8-sig")
        (folder / f"{name}.tsv").write_bytes(data)

    for name in ("train", "dev"):
        write(name, MRPC_HEADER + ROW + ROW.replace("1\t", "0\t", 1))
    return write


def load(tmp_path, task="mrpc"):
    return load_data(TASKS[task], "folder", glue_dir=str(tmp_path))


def test_quotes_are_text_and_the_byte_order_mark_is_not(tmp_path, mrpc):
    data = load(tmp_path)
    assert data["train"].columns["sentence1"][0] == 'He said "no".'
    assert data["train"].labels.tolist() == [1, 0]
    assert "test" not in data.splits


def test_test_labels_are_minus_one(tmp_path, mrpc):
    mrpc("test", "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tA\tB\n")
    assert load(tmp_path)["test"].labels.tolist() == [-1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train", MRPC_HEADER + ROW + "1\t7\t8\tonly one\n", r"train.tsv, row 3: 4 fields, 5 needed"),
        ("train", MRPC_HEADER + ROW.replace("1\t", "yes\t", 1), r"train.tsv, row 2: unknown label 'yes'"),
        ("train", MRPC_HEADER.replace("#2 String", "B") + ROW, r"train.tsv has no column '#2 String'"),
        ("train", (MRPC_HEADER + ROW).encode() + b"1\t7\t8\t\xe9t\xe9\tsummer\n", r"row 3: not UTF-8"),
        ("train", MRPC_HEADER, r"train.tsv holds no examples"),
        ("train", b"", r"train.tsv has no column"),
        (
            "dev",
            MRPC_HEADER + ROW.replace("1\t", "\t", 1),
            r"validation lacks 1 of 1 labels, the first in row 1",
        ),
    ],
    ids=[
        "short row",
        "unknown label",
        "missing column",
        "not UTF-8",
        "empty split",
        "empty file",
        "no label",
    ],
)
def test_a_defect_is_named(tmp_path, mrpc, name, content, message):
    mrpc(name, content)
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_missing_folder_and_file(tmp_path, mrpc):
    with pytest.raises(InputError, match="there is no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"CoLA.train.tsv is missing"):
        load(tmp_path, "cola")


def test_broken_rows_of_qqp_are_dropped_as_tfds_drops_them(tmp_path):
    (tmp_path / "QQP").mkdir()
    for name in ("train", "dev"):
        text = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tWhy?\tHow?\t0\n1\t1\t2\tcut off\n"
        (tmp_path / "QQP" / f"{name}.tsv").write_text(text)
    assert load(tmp_path, "qqp").examples == {"train": 1, "validation": 1}


def write_qqp(tmp_path, **last):
    """Write a QQP folder of good rows, with one more at the end of the files that are named."""
    (tmp_path / "QQP").mkdir()
    header, row = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n", "0\t1\t2\tWhy?\tHow?\t0\n"
    for name in ("train", "dev"):
        (tmp_path / "QQP" / f"{name}.tsv").write_text(header + row + last.get(name, ""))
    (tmp_path / "QQP" / "test.tsv").write_text("id\tquestion1\tquestion2\n0\tWhy?\tHow?\n" + last.get("test", ""))


def test_a_row_of_qqp_cut_by_a_line_end_is_dropped_whole(tmp_path):
    write_qqp(tmp_path, train='1\t3\t4\tDid he? "\n"\tDid she?\t0\n', dev='1\t3\t4\tDid he? "\r"\tDid she?\t0\n')
    assert load(tmp_path, "qqp").examples == {"train": 1, "validation": 1, "test": 1}


@pytest.mark.parametrize(
    ("name", "row", "found", "needed"),
    [("train", "1\t3\t4\tDid\the?\tWho?\t0\n", 7, 6), ("test", "1\tWho?\n", 2, 3), ("test", "1\ta\tb\tc\n", 4, 3)],
    ids=["long", "short in test", "long in test"],
)
def test_nothing_else_is_let_through_in_qqp(tmp_path, name, row, found, needed):
    write_qqp(tmp_path, **{name: row})
    with pytest.raises(InputError, match=f"{name}.tsv, row 3: {found} fields, {needed} needed"):
        load(tmp_path, "qqp")


@pytest.mark.parametrize("name", ["train", "dev_matched", "test_mismatched"])
@pytest.mark.parametrize("task", ["cola", "sst2", "mrpc", "stsb", "mnli", "qnli", "rte", "wnli"])
def test_a_row_of_a_field_too_many_or_too_few_is_refused(tmp_path, task, name):
    folder, text, _, _, unlabelled = READ[task]
    (tmp_path / folder).mkdir()
    name = name if task == "mnli" else name.partition("_")[0]
    for split in ("train", *TASKS[task].validation, *TASKS[task].test):
        split = split.replace("validation", "dev")
        (tmp_path / folder / f"{split}.tsv").write_text(unlabelled if split.startswith("test") else text)
    path = tmp_path / folder / f"{name}.tsv"
    good = path.read_text()
    rows, width = good.count("\n"), good.splitlines()[0].count("\t") + 1
    last = good.splitlines()[-1]
    for broken, count in ((last + "\tmore", width + 1), (last.rpartition("\t")[0], width - 1)):
        path.write_text(good + broken)
        with pytest.raises(InputError) as raised:
            load(tmp_path, task)
        cause = "a tab inside a text makes one more" if count > width else "a line end inside a text makes one row two"
        assert str(raised.value) == (
            f"{path}, row {rows + 1}: {count} fields, {width} needed; {cause}; mend or remove the row"
        )


def test_a_pair_with_a_tab_in_a_sentence_is_no_other_pair(tmp_path, mrpc):
    mrpc("train", MRPC_HEADER + "1\t7\t8\tHe said\tno.\tHe did not.\n")
    with pytest.raises(InputError, match="train.tsv, row 2: 6 fields, 5 needed; a tab inside a text makes one more"):
        load(tmp_path)


def test_a_lone_carriage_return_ends_a_row_and_is_counted(tmp_path, mrpc):
    mrpc("train", MRPC_HEADER + "1\t7\t8\tHe said\rno.\tHe did not.\n")
    with pytest.raises(InputError, match="train.tsv, row 2: 4 fields, 5 needed; a line end inside a text"):
        load(tmp_path)


def test_score_outside_the_scale(tmp_path):
    (tmp_path / "STS-B").mkdir()
    for name in ("train", "dev"):
        (tmp_path / "STS-B" / f"{name}.tsv").write_text("sentence1\tsentence2\tscore\na\tb\t5.5\n")
    with pytest.raises(InputError, match=r"row 2: score '5.5' is not a number from 0 to 5"):
        load(tmp_path, "stsb")


@pytest.mark.parametrize(
    ("task", "examples"),
    [
        ("cola", {"train": 8551, "validation": 1043, "test": 1063}),
        ("mrpc", {"train": 3668, "validation": 408, "test": 1725}),
        ("sst2", {"train": 67349, "validation": 872, "test": 1821}),
        ("stsb", {"train": 5749, "validation": 1500, "test": 1379}),
        ("rte", {"train": 2490, "validation": 277, "test": 3000}),
        ("wnli", {"train": 635, "validation": 71, "test": 146}),
    ],
)
def test_real_files_have_the_official_counts(glue_dir, task, examples):
    assert load_data(TASKS[task], "folder", glue_dir=str(glue_dir)).examples == examples


@pytest.mark.parametrize("task", ["mnli", "qnli", "qqp"])
def test_real_files_of_the_other_tasks_load(glue_dir, task):
    data = load_data(TASKS[task], "folder", glue_dir=str(glue_dir))
    assert all(data[name].labelled for name in ("train", *TASKS[task].validation))


# ---------------------------------------------------------------- every task's files, by rows that a person can read

# of each task: the folder, train's text, what is in it; then test's text
READ = {
    "cola": (
        "CoLA",
        "gj04\t1\t\tThe cat sat.\nbc01\t0\t*\tCat the sat.\n",
        {"sentence": ["The cat sat.", "Cat the sat."]},
        [1, 0],
        "index\tsentence\n0\tIt rains.\n",
    ),
    "sst2": (
        "SST-2",
        "sentence\tlabel\na joy \t1\na bore \t0\n",
        {"sentence": ["a joy ", "a bore "]},
        [1, 0],
        "index\tsentence\n0\tIt rains.\n",
    ),
    "mrpc": (
        "MRPC",
        MRPC_HEADER + "1\t7\t8\tHe ran.\tHe was running.\n0\t9\t10\tShe ran.\tShe slept.\n",
        {"sentence1": ["He ran.", "She ran."], "sentence2": ["He was running.", "She slept."]},
        [1, 0],
        "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tIt rains.\tIt pours.\n",
    ),
    "stsb": (
        "STS-B",
        "index\tgenre\tsentence1\tsentence2\tscore\n0\tnews\tA man.\tA boy.\t2.500\n1\tnews\tA dog.\tA cat.\t0.800\n",
        {"sentence1": ["A man.", "A dog."], "sentence2": ["A boy.", "A cat."]},
        [2.5, 0.8],
        "index\tgenre\tsentence1\tsentence2\n0\tnews\tIt rains.\tIt pours.\n",
    ),
    "qqp": (
        "QQP",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tWhy?\tHow so?\t1\n1\t3\t4\tWho?\tWhen?\t0\n",
        {"question1": ["Why?", "Who?"], "question2": ["How so?", "When?"]},
        [1, 0],
        "id\tquestion1\tquestion2\n0\tIt rains.\tIt pours.\n",
    ),
    "mnli": (
        "MNLI",
        "index\tsentence1\tsentence2\tgold_label\n0\tA man runs.\tA man moves.\tentailment\n"
        "1\tA man runs.\tHe is late.\tneutral\n2\tA man runs.\tHe sits.\tcontradiction\n",
        {"premise": ["A man runs."] * 3, "hypothesis": ["A man moves.", "He is late.", "He sits."]},
        [0, 1, 2],
        "index\tsentence1\tsentence2\n0\tIt rains.\tIt pours.\n",
    ),
    "qnli": (
        "QNLI",
        "index\tquestion\tsentence\tlabel\n0\tWho ran?\tHe ran.\tentailment\n1\tWho ran?\tIt rained.\tnot_entailment\n",
        {"question": ["Who ran?"] * 2, "sentence": ["He ran.", "It rained."]},
        [0, 1],
        "index\tquestion\tsentence\n0\tIt rains.\tIt pours.\n",
    ),
    "rte": (
        "RTE",
        "index\tsentence1\tsentence2\tlabel\n0\tHe ran home.\tHe ran.\tentailment\n"
        "1\tHe ran.\tHe won.\tnot_entailment\n",
        {"sentence1": ["He ran home.", "He ran."], "sentence2": ["He ran.", "He won."]},
        [0, 1],
        "index\tsentence1\tsentence2\n0\tIt rains.\tIt pours.\n",
    ),
    "wnli": (
        "WNLI",
        "index\tsentence1\tsentence2\tlabel\n0\tIt fell.\tThe cup fell.\t1\n1\tIt fell.\tThe tea fell.\t0\n",
        {"sentence1": ["It fell."] * 2, "sentence2": ["The cup fell.", "The tea fell."]},
        [1, 0],
        "index\tsentence1\tsentence2\n0\tIt rains.\tIt pours.\n",
    ),
}
MEANINGS = {  # what the labels above mean, in the words of the task
    "cola": ["acceptable", "unacceptable"],
    "sst2": ["positive", "negative"],
    "mrpc": ["equivalent", "not_equivalent"],
    "qqp": ["duplicate", "not_duplicate"],
    "mnli": ["entailment", "neutral", "contradiction"],
    "qnli": ["entailment", "not_entailment"],
    "rte": ["entailment", "not_entailment"],
    "wnli": ["entailment", "not_entailment"],
}


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte-order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("name", READ)
def test_columns_and_labels_of_every_task(tmp_path, name, end, mark):
    folder, text, columns, labels, unlabelled = READ[name]
    (tmp_path / folder).mkdir()
    task = TASKS[name]
    for split in ("train", *task.validation, *task.test):
        content = unlabelled if split.startswith("test") else text
        path = tmp_path / folder / (split.replace("validation", "dev") + ".tsv")
        path.write_bytes((mark + content.replace("\n", end)).encode())
    data = load(tmp_path, name)
    for split in ("train", *task.validation):
        assert {column: list(texts) for column, texts in data[split].columns.items()} == columns
        assert data[split].labels.tolist() == pytest.approx(labels)
        assert data[split].labels.dtype == ("float32" if task.regression else "int32")
        if task.labels:
            assert [task.labels[label] for label in data[split].labels] == MEANINGS[name]
    for split in task.test:
        assert [list(texts) for texts in data[split].segments] == [["It rains."], ["It pours."]][: len(task.columns)]
        assert data[split].labels.tolist() == [-1]
    assert data.source == "folder"


def write_mnli(folder):
    (folder / "MNLI").mkdir()
    for name in ("train", "dev_matched", "dev_mismatched"):
        (folder / "MNLI" / f"{name}.tsv").write_text(READ["mnli"][1])


def test_the_diagnostic_set_is_read_with_its_labels_where_they_are_known(tmp_path):
    write_mnli(tmp_path)
    assert "ax" not in load(tmp_path, "mnli").splits
    (tmp_path / "diagnostic").mkdir()
    plain = tmp_path / "diagnostic/diagnostic.tsv"
    plain.write_text("index\tsentence1\tsentence2\n0\tA man runs.\tA man moves.\n")
    found = load(tmp_path, "mnli")["ax"]
    assert found.labels.tolist() == [-1]
    assert not found.labelled
    full = tmp_path / "diagnostic/diagnostic-full.tsv"  # is taken where both are there; CRLF as published
    full.write_bytes(b"Logic\tPremise\tHypothesis\tLabel\r\nNegation\tHe ran.\tHe did not.\tcontradiction\r\n")
    found = load(tmp_path, "mnli")["ax"]
    assert {name: list(texts) for name, texts in found.columns.items()} == {
        "premise": ["He ran."], "hypothesis": ["He did not."]
    }  # fmt: skip
    assert found.labels.tolist() == [2]


def test_blank_lines_are_passed_over_and_a_last_line_needs_no_end(tmp_path, mrpc):
    mrpc("train", MRPC_HEADER + "\n" + ROW + "\n" + ROW.rstrip("\n"))
    assert load(tmp_path)["train"].labels.tolist() == [1, 1]
    assert list(load(tmp_path)["train"].columns["sentence2"]) == ["He said no."] * 2
    mrpc("train", MRPC_HEADER + "\n" + ROW + "short\n")
    with pytest.raises(InputError, match="train.tsv, row 4: 1 fields, 5 needed"):  # the row as an editor counts it
        load(tmp_path)


@pytest.mark.parametrize("score", ["0", "5", "5.000", "0.0"])
def test_the_ends_of_the_scale_are_scores(tmp_path, score):
    (tmp_path / "STS-B").mkdir()
    for name in ("train", "dev"):
        (tmp_path / "STS-B" / f"{name}.tsv").write_text(f"sentence1\tsentence2\tscore\na\tb\t{score}\n")
    assert load(tmp_path, "stsb")["train"].labels.tolist() == [float(score)]


@pytest.mark.parametrize("score", ["-0.1", "5.01", "high", "nan", "inf"])
def test_what_is_no_score_is_named(tmp_path, score):
    (tmp_path / "STS-B").mkdir()
    for name in ("train", "dev"):
        (tmp_path / "STS-B" / f"{name}.tsv").write_text(f"sentence1\tsentence2\tscore\na\tb\t{score}\n")
    with pytest.raises(InputError, match=f"train.tsv, row 2: score '{score}' is not a number from 0 to 5"):
        load(tmp_path, "stsb")


def test_glue_dir_is_needed_and_may_begin_with_the_home_folder(tmp_path, mrpc, monkeypatch):
    with pytest.raises(InputError, match="glue_dir is not given"):
        load_data(TASKS["mrpc"], "folder")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_data(TASKS["mrpc"], "folder", glue_dir="~").examples == {"train": 2, "validation": 2}
