"""Files of a task of one's own: what is read of each form, and what is said of each defect."""

import csv
import json
import shutil
import tempfile
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from bertglue import InputError, Parameters, get_task, load_data, load_data_for
from bertglue.data.own_files import OwnFiles, load, read_rows
from bertglue.data.text_columns import TextColumn
from bertglue.runs.describe_task import describe_task
from bertglue.runs.record import read_labels, write_arrays
from bertglue.runs.statistics import label_counts
from bertglue.runs.text_samples import label_text
from bertglue.tools.book_plan import read_plan

ROWS = [("good film", "pos"), ('a "quoted", word\nand a line', "neg"), ("señor's film", "pos"), ("bad film", "neg")]


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def write_csv(path, rows, header=("text", "label"), **dialect):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, **dialect).writerows([header, *rows])
    return str(path)


def texts_of(split):
    return [tuple(column[i] for column in split.segments) for i in range(len(split))]


def forms(folder):
    """The same rows in every form."""
    write_csv(folder / "a.csv", ROWS)
    write_csv(folder / "b.CSV", ROWS, lineterminator="\n", quoting=csv.QUOTE_ALL)
    (folder / "c.jsonl").write_text("\n\n".join(json.dumps({"text": t, "label": n, "more": [1]}) for t, n in ROWS))
    columns = {"label": [name for _, name in ROWS], "text": [text for text, _ in ROWS]}
    pq.write_table(pa.table(columns), folder / "d.parquet")
    mark = b"\xef\xbb\xbf"
    (folder / "e.csv").write_bytes(mark + (folder / "a.csv").read_bytes())
    return ["a.csv", "b.CSV", "c.jsonl", "d.parquet", "e.csv"]


def test_what_a_run_asks_for_is_loaded(tmp_path):
    """Of GLUE's tasks and of one's own, each parameter reaches what it is for."""
    asked = {"hold_out": 0.2, "train_rows": 50, "seed": 3}
    found = load_data_for(Parameters(task="cola", **asked))
    wanted = load_data(get_task("cola"), "toy", hold_out=0.2, train_rows=50, train_seed=3)
    assert found.examples == wanted.examples
    assert found["train"].fingerprint() == wanted["train"].fingerprint()
    rows = [(f"row {i}", "ab"[i % 2]) for i in range(100)]
    own = Parameters(task="mine", files={"train": write_csv(tmp_path / "x.csv", rows)}, **asked)
    assert load_data_for(own).examples == {"train": 50, "validation": 10, "held_out": 18}
    with pytest.raises(InputError, match="glue_dir is not given"):
        load_data_for(Parameters(task="cola", source="folder"))


def test_every_form_gives_the_same_rows(tmp_path):
    for name in forms(tmp_path):
        own = OwnFiles("mine", dict.fromkeys(("train", "validation"), str(tmp_path / name)), columns=["text"])
        task, splits = load(own)
        assert (task.columns, task.labels, task.metrics) == (("text",), ("neg", "pos"), ("accuracy", "f1"))
        assert texts_of(splits["validation"]) == [(text,) for text, _ in ROWS]
        assert splits["train"].labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(("name", "dialect", "options"), [
    ("x.csv", "semicolon", {"delimiter": ";"}), ("x.txt", "excel-tab", {"delimiter": "\t"}), ("x.data", "csv", {}),
])  # fmt: skip
def test_dialects_are_named(tmp_path, name, dialect, options):
    path = write_csv(tmp_path / name, ROWS, **options)
    assert [tuple(cells.values()) for _, cells in read_rows(tmp_path / name, dialect)] == ROWS
    task, _ = load(OwnFiles("mine", {"train": path, "validation": path}, dialect=dialect))
    assert task.columns == ("text",)


def test_tabs_separate_and_quotes_are_text(tmp_path):
    path = write(tmp_path / "x.tsv", 'text\tlabel\nhe said "no\t1\nan inch is 1"\t0\n')
    _, splits = load(OwnFiles("mine", {"train": path, "validation": path}))
    assert texts_of(splits["train"]) == [('he said "no',), ('an inch is 1"',)]


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip),
                          st.sampled_from("ab")), min_size=2, max_size=20))  # fmt: skip
def test_csv_is_read_as_the_standard_writes_it(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("csv")
    write_csv(folder / "x.csv", rows)
    assert [tuple(cells.values()) for _, cells in read_rows(folder / "x.csv", None)] == rows


def test_numbers_are_ordered_by_value_and_classes_may_be_numbers(tmp_path):
    path = write_csv(tmp_path / "x.csv", [("a b", 10), ("c d", 9), ("e f", 2)])
    task, splits = load(OwnFiles("mine", {"train": path, "validation": path}))
    assert task.labels == ("2", "9", "10")
    assert splits["train"].labels.tolist() == [2, 1, 0]
    task, _ = load(OwnFiles("mine", {"train": path, "validation": path}, labels=["10", "9", "2"]))
    assert task.labels == ("10", "9", "2")
    assert task.metrics == ("accuracy", "macro_f1")


def test_a_number_is_regressed_on(tmp_path):
    path = write(tmp_path / "x.jsonl", '{"text": "a b", "score": 1.5}\n{"text": "c", "score": "-2"}\n')
    task, splits = load(OwnFiles("mine", {"train": path, "validation": path}, label="score", labels="number"))
    assert task.regression
    assert task.metrics == ("pearson", "spearman")
    assert splits["train"].labels.dtype == "float32"
    assert splits["train"].labels.tolist() == [1.5, -2.0]


def test_a_score_of_minus_one_is_a_score(tmp_path):
    """-1 stands for a label that GLUE withholds; of scores of one's own NaN does."""
    path = write_csv(tmp_path / "x.csv", [(f"row {i}", i - 4) for i in range(8)])
    files = {"train": path, "validation": path, "test": write(tmp_path / "t.csv", "text\nno label\n")}
    task, splits = load(OwnFiles("mine", files, columns=["text"], labels="number"))
    assert [splits[name].labelled for name in files] == [True, True, False]
    assert splits["train"].take(np.array([3, 4])).labelled
    assert not splits["test"].take(np.array([0])).labelled
    assert label_text(task, splits["test"].labels[0]) == "?"
    assert label_text(task, np.float32(-1)) == "-1.00"
    data = load_data_for(Parameters(task="mine", files=files, columns=["text"], labels="number", hold_out=0.0))
    write_arrays(tmp_path / "labels.npz", {"validation": data["validation"].labels})
    assert read_labels(tmp_path / "labels.npz", task)["validation"].min() == -4


def test_validation_is_taken_from_train_and_test_needs_no_labels(tmp_path):
    rows = [(f"row {i}", "ab"[i % 2]) for i in range(20)]
    path, test = write_csv(tmp_path / "x.csv", rows), write(tmp_path / "t.csv", "text\nno label\n")
    _, splits = load(OwnFiles("mine", {"train": path, "test": test}, columns=["text"], validation_share=0.25))
    assert {name: len(split) for name, split in splits.items()} == {"train": 15, "validation": 5, "test": 1}
    assert sorted(texts_of(splits["train"]) + texts_of(splits["validation"])) == sorted((text,) for text, _ in rows)
    assert splits["test"].labels.tolist() == [-1]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.37, 0.5])
@pytest.mark.parametrize("counts", [{"a": 90, "b": 9, "c": 1}, {"a": 20, "b": 20}, {"a": 31, "b": 17, "c": 2, "d": 64}])
def test_validation_is_stratified(tmp_path, counts, share):
    labels = [label for label, count in counts.items() for _ in range(count)]
    path = write_csv(tmp_path / "x.csv", [(f"row {i}", label) for i, label in enumerate(labels)])
    own = OwnFiles("mine", {"train": path}, columns=["text"], validation_share=share)
    (_, splits), (_, again) = load(own), load(own)
    rows = {name: [int(text.split()[1]) for (text,) in texts_of(splits[name])] for name in ("train", "validation")}
    assert sorted(rows["train"] + rows["validation"]) == list(range(len(labels)))
    drawn = Counter(labels[row] for row in rows["validation"])
    assert sum(drawn.values()) == round(share * len(labels))
    for label, count in counts.items():
        assert abs(drawn[label] - count * sum(drawn.values()) / len(labels)) < 1
    assert texts_of(again["validation"]) == texts_of(splits["validation"])


def test_a_folder_of_glue_is_no_matter_to_a_task_of_ones_own(tmp_path, monkeypatch):
    """It may be in the environment, for the profile's sake."""
    rows = [(f"row {i}", "ab"[i % 2]) for i in range(40)]
    path = write_csv(tmp_path / "x.csv", rows)
    shutil.copytree(ROOT / "params", tmp_path / "params")
    (tmp_path / "params/tasks/mine.yaml").write_text(f"task: mine\nfiles: {path}\n")
    monkeypatch.chdir(tmp_path)
    plan = read_plan({"profile": "laptop", "tasks": "mine", "glue_dir": str(tmp_path)}, 1)
    assert (plan.parameters["mine"].source, plan.parameters["mine"].glue_dir) == ("own", None)


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "id", "Index"])
def test_a_column_that_numbers_the_rows_is_no_text(tmp_path, name):
    """As pandas writes one, where it is not told otherwise."""
    rows = [(at, text, label) for at, (text, label) in enumerate(ROWS)]
    path = write_csv(tmp_path / "a.csv", rows, (name, "text", "label"))
    task, splits = load(OwnFiles("mine", {"train": path, "validation": path}))
    assert task.columns == ("text",)
    assert texts_of(splits["train"]) == [(text,) for text, _ in ROWS]


def test_a_thousand_classes(tmp_path):
    rows = [(f"row {i}", f"c{i % 1000}") for i in range(2000)]
    path = write_csv(tmp_path / "x.csv", rows)
    task, _ = load(OwnFiles("mine", {"train": path, "validation": path}))
    assert task.outputs == 1000
    with pytest.raises(InputError, match="row 1002: 'c1000' is the 1,001th class .* labels: number"):
        load(OwnFiles("mine", {"train": write_csv(tmp_path / "y.csv", [*rows[:1000], ("more", "c1000")])}))


DEFECTS = {
    "a missing column": ("a,b\nx,1\n", {"columns": ["text"]}, "row 2: there is no 'text'; it has a, b"),
    "no label": ("text,class\nx,1\n", {"columns": ["text"]}, "row 2: there is no 'label'"),
    "an empty text": ("text,label\n,1\ny,0\n", {}, "row 2: text is empty; give it a text or remove the row"),
    "a blank text": ("text,label\nx,1\n  ,0\n", {}, "row 3: text is empty"),
    "a row too long": ("text,label\nx,1\na,b,0\n", {}, r"row 3 \(line 3\): 3 fields, .* 2; a delimiter"),
    "a row too short": ("text,label\nx,1\na\n", {}, "row 3 .*: 1 fields, and the header has 2; a row is cut"),
    "a quote within": ('text,label\nx,1\n"a"b,0\n', {}, 'row 3 .*a quote inside a quoted field is written ""'),
    "an open quote": ('text,label\nx,1\n"a,0\ny,1\n', {}, r"row 3 \(line 3\).*unexpected end"),
    "a name twice": ("text,text,label\nx,y,1\n", {}, "row 1: the column 'text' is there twice; rename one"),
    "no header": ("", {}, "there is no header"),
    "no rows": ("text,label\n", {"columns": ["text"]}, "holds no rows below its header"),
    "one class": ("text,label\nx,1\ny,1\n", {}, "every row has the label '1'; a task needs two classes"),
    "a label of two lines": ('text,label\nx,"a\nb"\ny,c\n', {}, "row 2: label is .* no name"),
    "an empty label": ("text,label\nx,\ny,1\n", {}, "row 2: label is '', no class; give it a class"),
    "fractions": ("text,label\nx,0.5\ny,1.25\n", {}, "label has numbers such as 0.5; .* labels: number"),
    "no number": ("text,label\nx,1\ny,high\n", {"labels": "number"}, "row 3: label is 'high', no number"),
    "not finite": ("text,label\nx,1\ny,nan\n", {"labels": "number"}, "row 3: label is 'nan', no number"),
    "a class not named": ("text,label\nx,1\ny,7\n", {"labels": ["0", "1"]}, "unknown label '7'; labels has 0, 1"),
    "not UTF-8": (b"text,label\nx,1\n\xe9t\xe9,0\n", {}, "row 3: text is not UTF-8; save the file as UTF-8"),
    "too many columns": ("a,b,c,label\nx,y,z,1\n", {}, "has the columns a, b, c, label and none is named as text"),
    "f1 of three": ("text,label\nx,1\ny,2\nz,3\n", {"metrics": ["f1"]}, "f1, which is of two classes, and it has 3"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_one_line_with_file_row_and_remedy(tmp_path, defect):
    text, options, said = DEFECTS[defect]
    path = write(tmp_path / "x.csv", text)
    with pytest.raises(InputError, match=said) as error:
        load(OwnFiles("mine", {"train": path, "validation": path}, **options))
    assert "\n" not in str(error.value)
    assert "x.csv" in str(error.value) or "metrics" in str(error.value)


@pytest.mark.parametrize(("line", "said"), [
    ('{"text": 3, "label": "a"}', "row 2: text is 3, no text"), ('{"text": null, "label": "a"}', "text is None"),
    ('{"text": "x", "label": 1.5}', "label is 1.5, no class; for a score to regress on set labels: number"),
    ('{"text": "x", "label": true}', "label is True, no class"), ("[1]", "row 2 is no object"),
    ('{"text": "x"', "row 2 is no JSON"), ('{"text": "x", "text": "y"}', "row 2: 'text' is there twice"),
    ('{"text": "x"}', "row 2: there is no 'label'"), ('{"text": "x", "label": "new"}', None),
])  # fmt: skip
def test_mixed_types_in_json_are_named(tmp_path, line, said):
    path = write(tmp_path / "x.jsonl", '{"text": "x", "label": "a"}\n' + line + "\n")
    own = OwnFiles("mine", {"train": path, "validation": path}, columns=["text"])
    if said is None:
        assert load(own)[0].labels == ("a", "new")
        return
    with pytest.raises(InputError, match=said):
        load(own)


def test_a_class_that_train_lacks_is_named(tmp_path):
    files = {
        "train": write_csv(tmp_path / "t.csv", ROWS),
        "validation": write_csv(tmp_path / "v.csv", [("x y", "odd")]),
    }
    with pytest.raises(InputError, match="v.csv, row 2: unknown label 'odd'; train has neg, pos: correct the row"):
        load(OwnFiles("mine", files))


@pytest.mark.parametrize(("values", "said"), [
    ({"task": "imdb"}, "choose one of cola, .* or write params/tasks/imdb.yaml"),
    ({"task": "cola", "files": {"train": "x.csv"}}, "is 'cola', which is GLUE's"),
    ({"task": "My task", "files": {"train": "x.csv"}}, "small letters"),
    ({"task": "book", "files": {"train": "x.csv"}}, "not ax, book, cache"),  # whose folder the book is made in
    ({"task": "mine", "files": {"validation": "x.csv"}}, "files has no train"),
    ({"task": "mine", "files": {"trian": "x.csv"}}, "files.trian"),
    ({"task": "mine", "source": "own"}, "choose one of"),
    ({"task": "rte", "source": "own"}, "files is not given"),
    ({"task": "mine", "files": {"train": "x.csv"}, "labels": [True, False]}, "put it in quotes"),
    ({"task": "mine", "files": {"train": "x.csv"}, "labels": ["a", "a"]}, "'a' twice"),
    ({"task": "mine", "files": {"train": "x.csv"}, "labels": "number", "metrics": ["f1"]}, "choose from pearson"),
    ({"task": "mine", "files": "x.csv", "labels": "numbers"}, "list the classes, or write number"),
    ({"task": "mine", "files": "x.csv", "metrics": "F1"}, "metrics has 'F1'; choose from accuracy"),
    ({"task": "mine", "files": {"train": "x.csv"}, "columns": "label"}, "among columns too"),
    ({"task": "mine", "files": {"train": "x.csv"}, "columns": ["a", "b"], "samples": ["one"]}, "takes 2 .a and b."),
])  # fmt: skip
def test_a_wrong_description_is_named(values, said):
    with pytest.raises(InputError, match=said):
        Parameters.check(values)


@pytest.mark.parametrize("name", ["gone.csv", "folder.csv", "x.xlsx"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    write(tmp_path / "x.xlsx", "x")
    with pytest.raises(InputError, match=name):
        load_data_for(Parameters(task="mine", files={"train": str(tmp_path / name)}))


def test_a_damaged_parquet_is_named(tmp_path):
    path = write(tmp_path / "x.parquet", b"PAR1 no")
    with pytest.raises(InputError, match="x.parquet cannot be read as parquet"):
        load(OwnFiles("mine", {"train": path}))


def test_init_sees_columns_labels_and_length(tmp_path):
    rows = [(i, f"the title {i}", f"many words {i} " * 20, ["a", "b", "c"][i % 3]) for i in range(30)]
    path = write_csv(tmp_path / "x.csv", rows, header=("id", "title", "body", "category"))
    found, remarks = describe_task("mine", {"train": path, "validation": path})
    assert found == {
        "task": "mine", "files": {"train": path, "validation": path}, "columns": ["title", "body"], "label": "category",
        "labels": ["a", "b", "c"], "metrics": ["accuracy", "macro_f1"], "max_length": 112,
    }  # fmt: skip
    assert remarks == [
        "rows: train 30, validation 30",
        "rows of each class: a 10, b 10, c 10",
        "longer than max_length 112, so truncated to it: no row of train, by their words",
    ]
    assert load_data_for(Parameters.check(found)).examples == {"train": 27, "validation": 30, "held_out": 3}
    scores = [(f"some text {i}", i / 4) for i in range(40)]
    path = write_csv(tmp_path / "y.csv", scores, header=("text", "y"))
    found, remarks = describe_task("mine", {"train": path})
    assert found["labels"] == "number"
    assert remarks[1].startswith("scores from ")
    with pytest.raises(InputError, match="which is GLUE's"):
        describe_task("rte", {"train": path})


TWENTY = range(20)
GUESSES = {  # header, a function of the row's number, and the label and columns, or the error
    "constant": (("lang", "text", "emotion"), lambda i: ("en", f"film {i}", "ab"[i % 2]), ("emotion", ["text"])),
    "dates": (("date", "text", "mood"), lambda i: (f"2024-01-{i} 10:00", f"t {i}", "ab"[i % 2]), ("mood", ["text"])),
    "called label": (("label", "emotion"), lambda i: (f"a very nice film {i}", "ab"[i % 2]), ("emotion", ["label"])),
    "no spaces": (("text", "label"), lambda i: (f"好看的电影{i}", "ab"[i % 2]), ("label", ["text"])),
    "whole floats": (("text", "label"), lambda i: (f"film {i}", f"{i % 2}.0"), ("label", ["text"])),
    "several": (("text", "airline", "mood"), lambda i: (f"t {i}", "ab"[i % 2], "cd"[i % 2]), "airline, mood may be"),
    "two names": (("text", "rating", "sentiment"), lambda i: (f"t {i}", i % 3, "cd"[i % 2]), "rating, sentiment"),
    "no labels": (("one", "two"), lambda i: (f"t {i}", f"u {i}"), "none looks like labels; give --label"),
    "no texts": (("one", "label"), lambda i: (i, i % 2), "none looks like text; give --column"),
}  # fmt: skip


@pytest.mark.parametrize("case", GUESSES)
def test_init_guesses_what_is_plain_and_asks_for_the_rest(tmp_path, case):
    header, row, wanted = GUESSES[case]
    path = write_csv(tmp_path / "x.csv", [row(i) for i in TWENTY], header=header)
    if isinstance(wanted, str):
        with pytest.raises(InputError, match=wanted):
            describe_task("mine", {"train": path})
        return
    found, _ = describe_task("mine", {"train": path})
    assert (found["label"], found["columns"]) == wanted


def test_init_says_how_many_rows_its_length_cuts(tmp_path):
    rows = [("word " * (200 if i < 3 else 20) + str(i), "ab"[i % 2]) for i in range(100)]
    path = write_csv(tmp_path / "x.csv", rows)
    found, remarks = describe_task("mine", {"train": path, "validation": path})
    assert found["max_length"] == 48
    assert (
        remarks[-1] == "longer than max_length 48, so truncated to it: about 3 of the 100 rows of train, by their words"
    )


def test_init_remarks_on_classes_that_are_perhaps_misspelt(tmp_path):
    names = ["Good", "good", "bad", "bad"] * 6 + ["baad"]
    path = write_csv(tmp_path / "x.csv", [(f"text {i}", name) for i, name in enumerate(names)])
    _, remarks = describe_task("mine", {"train": path, "validation": path})
    assert remarks[2:-1] == ["few rows, perhaps misspelt: baad", "differ by capitals alone: Good, good"]


@pytest.mark.parametrize(("name", "content", "options", "said"), [
    ("x.xlsx", "PK", {}, "ends in none of .csv"), ("x.csv.gz", "", {}, "ends in none"), ("x", "a", {}, "ends in"),
    ("x.csv", "text;label\na b;c\n", {}, "one column, 'text;label'; .* give --dialect semicolon to"),
    ("x.csv", "sep=;\ntext;label\n", {"dialect": "semicolon"}, "remove the line"),
    ("x.csv", "text,label\na b,c\n", {"dialect": ";"}, "--dialect is ;; choose from csv, semicolon"),
    ("x.csv", "text,label\na b,c\n".encode("utf-16"), {}, "is UTF-16; save it as UTF-8"),
    ("x.csv", "texte,catégorie\na b,c\n".encode("cp1252"), {}, "row 1 is not UTF-8"),
    ("x.csv", "text,label\na b,café\nc d,e\n".encode("cp1252") * 9, {}, "row 2: label is not UTF-8"),
    ("x.csv", "text,label\n" + "a b,c\nd e,f\n" * 3, {}, "has 6 rows, too few to take validation from"),
    ("x.csv", "text,label\n" + "a b,1\nc d,0\n" * 9 + "e f,nan\n", {}, "label is nan, an empty cell"),
    ("x.csv", 'text,label\n"he said "hi" to me",pos\n', {}, r"row 2 \(line 2\)"),
    ("x.jsonl", "[" * 100_000, {}, "row 1 is no JSON"),
])  # fmt: skip
def test_what_init_is_given_may_be_anything(tmp_path, name, content, options, said):
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=said) as error:
        describe_task("mine", {"train": path}, **options)
    assert "\n" not in str(error.value)


def test_nameless_columns_and_names_of_any_writing_are_read(tmp_path):
    """As a spreadsheet writes them: columns without a name at the end, a no-break space, an emoji of several parts."""
    path = write(tmp_path / "x.csv", "v1,v2,,,\nfamily\u00a0,a b,,,\n\U0001f468\u200d\U0001f469,c d,,,\n")
    task, _ = load(OwnFiles("mine", {"train": path, "validation": path}, columns=["v2"], label="v1"))
    assert task.labels == ("family", "\U0001f468\u200d\U0001f469")
    path = write(tmp_path / "y.jsonl", '{"text": "a", "label": 1.0}\n{"text": "b", "label": 2.0}\n')
    task, _ = load(OwnFiles("mine", {"train": path, "validation": path}))
    assert task.labels == ("1", "2")
    path = write_csv(tmp_path / "z.csv", [("a b", "+1"), ("c d", "-1"), ("e f", "0")])
    task, _ = load(OwnFiles("mine", {"train": path, "validation": path}))
    assert task.labels == ("-1", "0", "+1")


def test_rows_do_not_fill_the_memory(tmp_path):
    """The texts stay in a file: what is kept of a row in memory is where it lies and its label."""
    path = write_csv(tmp_path / "x.csv", [("word " * 200, "ab"[i % 2]) for i in range(3000)])
    _, splits = load(OwnFiles("mine", {"train": path, "validation": path}))
    column = splits["train"].segments[0]
    assert not isinstance(column.buffer, bytes)
    assert np.ndim(column.starts) == 1


def test_samples_have_as_many_texts_as_the_columns_that_are_found(tmp_path):
    pairs = [("a b", "c d", "yes"), ("e f", "g h", "no")] * 20
    path = write_csv(tmp_path / "pairs.csv", pairs, ("first", "second", "label"))
    asked = Parameters(task="mine", files={"train": path}, samples=["one text"])
    with pytest.raises(
        InputError, match=r"samples has 'one text', and mine takes 2 \(first and second\); give as many"
    ):
        load_data_for(asked)


def test_scores_that_are_close_together_are_counted_in_bins_of_their_own(tmp_path):
    rows = [(f"text {number}", 1_000_000 + number) for number in range(100)]
    path = write_csv(tmp_path / "scores.csv", rows)
    data = load_data_for(Parameters(task="mine", files={"train": path}, labels="number"))
    found = label_counts(data)
    assert len(found["train"]) == 5
    assert {name: sum(counts.values()) for name, counts in found.items()} == {
        name: len(split) for name, split in data.splits.items()
    }


def test_init_takes_whole_numbers_for_scores_where_it_is_told_to(tmp_path):
    path = write_csv(tmp_path / "stars.csv", [(f"text {number}", number % 5) for number in range(100)])
    assert describe_task("mine", {"train": path})[0]["labels"] == ["0", "1", "2", "3", "4"]
    found, _ = describe_task("mine", {"train": path}, number=True)
    assert (found["labels"], found["metrics"]) == ("number", ["pearson", "spearman"])


def test_texts_that_have_no_room_name_the_folder_and_what_moves_it(tmp_path, full_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    with pytest.raises(
        InputError, match="cannot be written .File too large.; free space there, or set TMPDIR to a folder"
    ):
        TextColumn.keep(1, [(b"x" * 100_000,)])
