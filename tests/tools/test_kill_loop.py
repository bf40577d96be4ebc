"""`make book TASKS=wnli`, killed at every stage and called again; and finished runs that were copied, moved or touched.

Nothing finished is made again or lost, nothing unfinished is shown, and no job runs twice at a time.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkout import copy_checkout

pytestmark = pytest.mark.whole

RUN, LOGS = "runs/toy/wnli/lr0.0003-seed0", "runs/toy/logs"
GIVEN = ["TASKS=wnli", "COMPRESS=none", "GPU=none", "READY=", f"BIN={Path(sys.executable).parent}"]


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        ["make", "book", *GIVEN], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def make(folder: Path) -> str:
    process = start(folder)
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said[-3000:]
    assert "Traceback" not in said
    return said


def main_snakemake(make_process: subprocess.Popen) -> int:
    """Return the process of Snakemake that make started, not those that this one starts."""

    def find() -> int | None:
        found = subprocess.run(
            ["pgrep", "--session", str(make_process.pid), "--full", "snakemake.*--nolock"],
            capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        return next((int(pid) for pid in found if words_of(pid)[1:3] == [b"-m", b"snakemake"]), None)

    return wait_for(find, make_process)


def words_of(pid: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended since
        return []


def wait_for(condition, make_process: subprocess.Popen):
    """Wait until a condition holds, for as long as make goes on: a busy machine takes its time."""
    while not (reached := condition()):
        if make_process.poll() is not None:
            raise AssertionError(f"make ended before it came so far: {make_process.stdout.read()[-3000:]}")
        time.sleep(0.05)
    return reached


STAGES = {
    "planning": lambda folder: True,
    "training": lambda folder: "epoch 1/" in text(folder / LOGS / "wnli-lr0.0003-seed0.log"),
    "filling pages": lambda folder: any((folder / "runs/toy/pages").glob("*.ipynb")),
    "building the book": lambda folder: (folder / LOGS / "book.log").exists(),
}


def text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Kill the make at each stage, and call it again at once; give the folder and what was seen of the record."""
    folder = copy_checkout(tmp_path_factory.mktemp("killed") / "my clone")
    records = []
    for reached in STAGES.values():
        process = start(folder)
        snakemake = main_snakemake(process)
        wait_for(lambda reached=reached: reached(folder), process)
        os.kill(snakemake, signal.SIGKILL)
        process.stdout.close()
        process.wait(60)
        assert not (folder / "book/_build/html/index.html").exists()
        records.append(text(folder / RUN / "record.json"))
    last = make(folder)
    return folder, records, last


def test_after_kills_at_every_stage_the_book_is_whole_and_the_run_was_made_once(killed):
    folder, records, _ = killed
    finished = (folder / RUN / "record.json").read_text()
    assert {record for record in records if record} <= {finished}
    assert len(json.loads(finished)["history"]) == 4
    (shown,) = json.loads((folder / "runs/toy/results.json").read_text())
    assert shown["finished"] == json.loads(finished)["finished"]
    html = folder / "book/_build/html"
    pages = {path.stem for path in (html / "pages").glob("*.html")}
    assert {"results", "status", "errata"} <= pages
    assert (html / "tasks/wnli.html").exists()
    assert not list(folder.glob("runs/toy/wnli/*.partial"))


@pytest.mark.parametrize("change", ["touched inputs", "an edited notebook", "old times", "another place"])
def test_a_finished_run_is_not_made_again_for_its_times_place_or_notebook(killed, change, tmp_path):
    folder, _, _ = killed
    before = (folder / RUN / "record.json").read_text()
    if change == "touched inputs":
        for path in (folder / "notebooks/finetune.ipynb", folder / "params/tasks/wnli.yaml", folder / "Snakefile"):
            path.touch()
    elif change == "an edited notebook":
        path = folder / "notebooks/finetune.ipynb"
        path.write_text(path.read_text().replace("Every step is one call", "Each step is one call"))
    elif change == "old times":
        for path in (folder / RUN).rglob("*"):
            os.utime(path, (1, 1))
    else:  # restored without what Snakemake knows of it, with fresh times
        moved = tmp_path / "restored"
        shutil.copytree(folder, moved, ignore=shutil.ignore_patterns(".snakemake", "_build"), copy_function=shutil.copy)
        folder = moved
    said = make(folder)
    assert "fine-tuning" not in said
    assert (folder / RUN / "record.json").read_text() == before
    assert "wnli" in text(folder / "book/_build/html/pages/results.html").lower()


def test_a_run_that_is_stopped_leaves_the_one_that_it_was_to_replace(killed, tmp_path):
    folder = shutil.copytree(killed[0], tmp_path / "my clone", symlinks=True)
    shutil.rmtree(folder / RUN)
    make(folder)  # one that Snakemake knows
    before = {path.name: path.read_bytes() for path in (folder / RUN).glob("*.*")}
    page = (folder / "book/_build/html/index.html").read_bytes()
    path = folder / "params/tasks/wnli.yaml"
    path.write_text(f"{path.read_text()}\nepochs: 2\n")
    process = start(folder)
    wait_for(lambda: "epoch 1/2" in text(folder / LOGS / "wnli-lr0.0003-seed0.log"), process)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=100)
    assert {path.name: path.read_bytes() for path in (folder / RUN).glob("*.*")} == before
    assert (folder / "book/_build/html/index.html").read_bytes() == page
    whole = path.read_text()
    original = whole.removesuffix("\nepochs: 2\n")
    path.write_text(f"{whole}\nmax_length: 129\n")  # more than the encoder reads: each try fails
    for _ in range(2):
        process = start(folder)
        said, _ = process.communicate(timeout=500)
        assert process.returncode != 0
        assert "wnli: InputError: max_length is 129, and the encoder has 128 positions" in said
        assert "the run that was there before stays, with epochs 4, and is not in this book" in said
        assert (folder / RUN / "record.json").read_bytes() == before["record.json"]
    path.write_text(original)
    assert "wnli: the run that is there is this one; it is kept" in make(folder)
    assert {path.name: path.read_bytes() for path in (folder / RUN).glob("*.*")} == before
    assert "fine-tuning" not in make(folder)
    path.write_text(whole)
    assert "wnli: fine-tuning" in make(folder)
    assert "fine-tuning" not in make(folder)
    assert json.loads((folder / RUN / "record.json").read_text())["epochs"] == 2


def test_another_parameter_keeps_the_run_until_its_user_says_so(killed):
    """Of a run that ended after its make was killed Snakemake knows nothing; it is set aside, and never deleted."""
    folder, _, _ = killed
    before = (folder / RUN / "record.json").read_text()
    path = folder / "params/tasks/wnli.yaml"
    path.write_text(f"{path.read_text()}\nepochs: 1\n")
    process = start(folder)
    said, _ = process.communicate(timeout=500)
    assert process.returncode != 0
    assert f"mismatched (epochs is 4 there, and 1 in this book; remove {RUN})" in said
    assert (folder / RUN / "record.json").read_text() == before
    shutil.rmtree(folder / RUN)
    assert re.search("wnli: fine-tuning", make(folder))
    assert json.loads((folder / RUN / "record.json").read_text())["epochs"] == 1
