"""Tasks of one's own, whole: through `make book`, by the guide's commands, and from an installed package."""

import csv
import json
import random
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bs4 import BeautifulSoup
from checkout import BIN, console_blocks, copy_checkout, type_line
from paths import ROOT

from bertglue.own_tasks import task_of_record

pytestmark = pytest.mark.whole

GUIDE = ROOT / "book/guides/own_data.md"
WORDS = {
    "ham": ["see you in the garden, on friday", 'the "report" is attached'],
    "news": ["the minister said", "the team won\nthe game"],
    "spam": ["win money now", "cheap watches; click here"],
}


def write_rows(folder: Path) -> None:
    """Write a CSV of three classes, JSON Lines with a number, and pairs as parquet."""
    draw = random.Random(0)
    named = [(label, draw.choice(WORDS[label]) + f" {i}") for i in range(120) for label in draw.sample(list(WORDS), 1)]
    for name, rows in (("train", named[:90]), ("dev", named[90:])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("mail", "class"), *((text, label) for label, text in rows)])
    scored = [{"review": f"it is {'very ' * (i % 5)}good, {i}", "stars": 10 + 2.5 * (i % 5)} for i in range(80)]
    (folder / "stars.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scored))
    pairs = {"q": [f"is {i} even ?" for i in range(80)], "a": ["yes , it is", "no , it is not"] * 40}
    pairs |= {"fits": [i % 2 for i in range(80)]}
    pq.write_table(pa.table(pairs), folder / "pairs.parquet")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = copy_checkout(tmp_path_factory.mktemp("own") / "with a space")
    write_rows(folder)
    type_line(folder, "bertglue init mail --from train.csv --validation dev.csv")
    type_line(folder, "bertglue init stars --from stars.jsonl")
    type_line(folder, "bertglue init pairs --from pairs.parquet --label fits --column q --column a")
    for name in ("mail", "stars", "pairs"):
        with (folder / f"params/tasks/{name}.yaml").open("a") as file:
            file.write("epochs: 1\n")
    (folder / "params/compression/toy.yaml").write_text(
        "trials: 1\ntrial_rows: 32\npruning_seeds: 1\npruning_rows: 16\nretrain_epochs: 1\n"
    )
    type_line(folder, f'make book TASKS="mail stars pairs" COMPRESS=mail READY= BIN="{BIN}"')
    return folder


def record_of(folder: Path, name: str) -> dict:
    return json.loads((folder / f"runs/toy/{name}/lr0.0003-seed0/record.json").read_text())


def text_of(page: Path) -> str:
    return " ".join(BeautifulSoup(page.read_text(), "html.parser").find("main").get_text(" ").split())


@pytest.mark.parametrize(("name", "columns", "labels", "metrics"), [
    ("mail", ("mail",), ("ham", "news", "spam"), ("accuracy", "macro_f1")),
    ("stars", ("review",), (), ("pearson", "spearman")),
    ("pairs", ("q", "a"), ("0", "1"), ("accuracy", "f1")),
])  # fmt: skip
def test_a_record_says_what_the_task_is_and_a_page_shows_it(place, name, columns, labels, metrics):
    record = record_of(place, name)
    task = task_of_record(record)
    assert (task.columns, task.labels, task.metrics) == (columns, labels, metrics)
    assert record["source"] == "own"
    assert set(record["baseline"]["validation"]) == set(metrics)
    page = text_of(place / f"book/_build/html/tasks/{name}.html")
    for shown in (name, "95 % interval", "baseline", *columns, *labels[1:]):
        assert shown in page


def test_a_compression_shows_its_scores_in_its_chapter(place):
    page = text_of(place / "book/_build/html/compressed/mail.html")
    for shown in ("mail, compressed", "Accuracy", "retrained"):
        assert shown in page


def test_they_share_no_table_with_glue(place):
    pages = place / "book/_build/html/pages"
    for page in sorted(pages.glob("*.html")):
        tables = BeautifulSoup(page.read_text(), "html.parser").select("table")
        words = {word for found in tables for word in found.text.split()}
        assert ("stars" in words) == (page.stem == "status"), page
    front = BeautifulSoup((pages.parent / "intro.html").read_text(), "html.parser").text
    assert "Tasks of your own have pages of their own: " in front
    assert "stars (finished)" in front
    assert "reference run" in text_of(pages / "results.html").lower()  # no GLUE was run here
    assert "not GLUE" not in BeautifulSoup((pages / "results.html").read_text(), "html.parser").text[:400]


def test_nothing_is_run_again_until_a_file_changes(place):
    command = f'make book TASKS="mail stars pairs" COMPRESS=mail READY= BIN="{BIN}"'
    before = {name: record_of(place, name)["finished"] for name in ("mail", "stars")}
    type_line(place, command)
    assert {name: record_of(place, name)["finished"] for name in before} == before
    with (place / "stars.jsonl").open("a") as file:
        file.write('{"review": "one more", "stars": 20}\n')
    type_line(place, command)
    assert record_of(place, "mail")["finished"] == before["mail"]
    assert record_of(place, "stars")["finished"] > before["stars"]


def test_it_predicts_is_evaluated_compared_exported_and_left_out_of_a_submission(place):
    run = "runs/toy/mail/lr0.0003-seed0"
    said = type_line(place, f"echo 'win money' | bertglue predict {run}")
    assert said.splitlines()[0] == "prediction\tp(ham)\tp(news)\tp(spam)"
    said = type_line(place, f"printf 'win money\\tspam\\nthe minister\\tnews\\n' | bertglue evaluate {run}")
    assert "Macro F1" in said
    assert "mail, 30 rows" in type_line(place, f"bertglue evaluate {run} dev.csv")
    assert len(type_line(place, f"bertglue predict {run} dev.csv").splitlines()) == 31
    assert "signif." in type_line(place, f"bertglue compare {run} {run}")
    assert "mail" in type_line(place, "bertglue results runs/toy/mail runs/toy/stars")
    type_line(place, f"bertglue export {run} 'for others' --kind huggingface")
    config = json.loads((place / "for others/config.json").read_text())
    assert config["id2label"] == {"0": "ham", "1": "news", "2": "spam"}
    assert "nyu-mll/glue" not in (place / "for others/README.md").read_text()
    assert json.loads((place / "runs/toy/compressed/mail/lr0.0003-seed0/compression.json").read_text())["own_task"]
    assert "CoLA" in type_line(place, "bertglue submit runs/toy --fill -o submission.zip")
    said = type_line(place, f"bertglue reproduce {run}")
    assert "the same logits to the bit" in said


def test_the_guides_commands_from_the_first_to_the_last(tmp_path):
    folder = copy_checkout(tmp_path / "a clone")
    commands = console_blocks(GUIDE)
    assert len(commands) > 6
    for command in commands:
        if "laptop" in command:  # minutes with all rows
            command = command.replace("laptop", "laptop -p epochs=1 -p train_rows=32")
            command = command.replace("epochs=2", "epochs=1 -p train_rows=320")
        if command.startswith("make"):
            command = command.strip() + f" READY= BIN='{BIN}'"
        said = type_line(folder, command)
        if "init" in command:
            shown = re.search(r"^```yaml\n(.*?)```", GUIDE.read_text(), re.MULTILINE | re.DOTALL).group(1)
            assert shown in said
    assert "tweets" in text_of(folder / "book/_build/html/tasks/tweets.html")


def test_from_an_installed_package_outside_of_a_checkout(tmp_path):
    """The notebook and the parameters are in the wheel."""
    type_line(ROOT, f"pip wheel --quiet --no-deps --no-build-isolation --wheel-dir '{tmp_path}' .")
    type_line(tmp_path, "pip install --quiet --no-deps --target site bertglue-*.whl")
    write_rows(tmp_path)
    elsewhere = {"PYTHONPATH": str(tmp_path / "site")}
    code = "import bertglue; print(bertglue.__file__)"
    assert str(tmp_path / "site") in type_line(tmp_path, f"python -c '{code}'", **elsewhere)
    type_line(tmp_path, "python -m bertglue.cli init mail --from train.csv", **elsewhere)
    type_line(tmp_path, "python -m bertglue.cli run mail -p epochs=1", **elsewhere)
    assert (tmp_path / "runs/notebook/mail/record.json").exists()
    code = (
        "record = bertglue.finetune('stars', files={'train': 'stars.jsonl'}, label='stars', labels='number', epochs=1)"
    )
    shown = "print(record['metrics'])"
    said = type_line(tmp_path, f'python -c "import bertglue; {code}; {shown}"', **elsewhere)
    assert "'pearson'" in said
