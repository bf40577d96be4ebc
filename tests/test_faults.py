"""What goes wrong around a run: full disks, damaged caches, killed processes, files that carry code.

Nothing half-written is read as finished, and what is said names the file and what to do.
"""

import io
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
import zipfile

import keras
import nbformat
import numpy as np
import pytest
from paths import ROOT
from typer.testing import CliRunner

from bertglue import cli, errors
from bertglue.atomic_files import write_json
from bertglue.data.dataset import Split
from bertglue.errors import InputError
from bertglue.export import export
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.encoder_files import save_encoder
from bertglue.models.preprocessor import Preprocessor, tokenize
from bertglue.models.saved_classifier import load_classifier, save_classifier
from bertglue.runs import execute, leaderboard
from bertglue.runs import record as run_record
from bertglue.tasks import TASKS
from bertglue.tools import lock
from bertglue.training import checkpoint

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(45))]
SPLIT = Split({"sentence": [f"w{i % 45} w{i % 7} w{i % 3}" for i in range(3000)]}, np.zeros(3000, "int32"))


@pytest.fixture(scope="module")
def classifier():
    return build_classifier(build_encoder(EncoderConfig(50, 8, 16, (2, 2), 4, 16)), 2)


WRITERS = {
    "record.json": lambda folder, _: write_json(folder / "record.json", {"key": "x" * 500}),
    "logits.npz": lambda folder, _: run_record.write_arrays(folder / "logits.npz", {"validation": np.ones(500)}),
    "resume.npz": lambda folder, _: checkpoint.save_checkpoint(folder / "resume.npz", {}, state=[np.ones(500)]),
    "vocab.txt": lambda folder, classifier: save_classifier(classifier, Preprocessor(VOCABULARY, 16), folder),
    "submission.zip": lambda folder, _: leaderboard.write_zip(
        folder / "submission.zip", {"RTE.tsv": "0123456789" * 50}
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_what_was_there_and_says_which_file(tmp_path, classifier, full_disk, name):
    (tmp_path / name).write_bytes(b"before")
    with pytest.raises(InputError, match=rf"{name} cannot be written \(File too large\); free space there"):
        WRITERS[name](tmp_path, classifier)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(name, b"before")]


@pytest.mark.parametrize("room", [64, 5000, 10**6])  # where HDF5 fails in ways of its own
def test_a_full_disk_leaves_the_encoder_that_was_there(tmp_path, tiny_config, full_disk, capfd, room):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    (tmp_path / "encoder").mkdir()
    with pytest.raises(InputError, match=r"encoder cannot be written \(.*\); free space there, or name another folder"):
        save_encoder(build_encoder(tiny_config), tiny_config, VOCABULARY, tmp_path / "encoder", {})
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]
    assert not capfd.readouterr().err


@pytest.mark.parametrize("kind", ["savedmodel", "litert", "keras"])
def test_a_full_disk_leaves_no_export(tmp_path, classifier, full_disk, kind):
    preprocessor, task, out = Preprocessor(VOCABULARY, 16), TASKS["sst2"], tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before[1], before[1]))
    save_classifier(classifier, preprocessor, tmp_path / "run")
    write_json(tmp_path / "run/record.json", {"task": "sst2"})
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writers = {
        "savedmodel": lambda: export.export_savedmodel(classifier, preprocessor, task, out),
        "litert": lambda: export.export_litert(classifier, preprocessor, task, out, "float32"),
        "keras": lambda: export.export_keras(tmp_path / "run", out, "float16"),
    }
    with pytest.raises(InputError, match=r"cannot be written \(.*File too large.*\); free space there") as error:
        writers[kind]()
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_leaves_no_tokens(tmp_path, full_disk):
    with pytest.raises(InputError, match="cannot be written .*; free space there, or set cache_dir to a folder"):
        tokenize(SPLIT, Preprocessor(VOCABULARY, 16), tmp_path)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("file", ["ids.bin", "rows.npz", "tokens.json", "whole.json"])
@pytest.mark.parametrize("damage", ["cut short", "edited", "gone"])
def test_damaged_tokens_are_made_anew(tmp_path, capsys, file, damage):
    preprocessor = Preprocessor(VOCABULARY, 16)
    first = tokenize(SPLIT, preprocessor, tmp_path)
    expected = np.array(first.ids), np.array(first.offsets)
    path = next(tmp_path.rglob(file))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content[: len(content) // 3] if damage == "cut short" else content)
    if damage == "gone":
        path.unlink()
    again = tokenize(SPLIT, preprocessor, tmp_path)
    np.testing.assert_array_equal(again.ids, expected[0])
    np.testing.assert_array_equal(again.offsets, expected[1])
    assert "was damaged; it is made anew" in capsys.readouterr().out
    tokenize(SPLIT, preprocessor, tmp_path)
    assert not capsys.readouterr().out


# ---------------------------------------------------------------- killed

KILLED = """
import json, os, sys, traceback
import numpy as np
from bertglue.models.classifier import build_classifier
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.parameters import Parameters
from bertglue.models.preprocessor import Preprocessor, tokenize
from bertglue.models.logits import predict_rest
from bertglue.atomic_files import write_json
from bertglue.runs.record import write_record
from bertglue.models.saved_classifier import save_classifier
from bertglue.data.dataset import Data, Split
from bertglue.tasks import TASKS
from bertglue.training.finetune import train


def run(folder, kind, at):
    replace, done = os.replace, []

    def replace_or_die(*names):
        done.append(names)
        if len(done) == at:
            os.kill(os.getpid(), kind)
        replace(*names)

    os.replace = replace_or_die  # every file of a run gets its name by it
    words, rng = [f"w{i}" for i in range(45)], np.random.default_rng(0)
    texts = {s: [" ".join(rng.choice(words, 4)) for _ in range(24)] for s in ("train", "validation")}
    made = {s: Split({"sentence": rows}, rng.integers(0, 2, 24).astype("int32")) for s, rows in texts.items()}
    data = Data(TASKS["sst2"], "toy", made)
    parameters = Parameters(task="sst2", epochs=2, batch_size=8, max_length=16, learning_rate=0.01, run_dir=folder)
    preprocessor = Preprocessor(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words], 16)
    tokens = {s: tokenize(split, preprocessor, folder + "/cache") for s, split in made.items()}
    classifier = build_classifier(build_encoder(EncoderConfig(50, 8, 16, (2,), 4, 16), seed=1), 2)
    training = train(classifier, data, tokens, parameters)
    save_classifier(classifier, preprocessor, folder)
    write_record(folder, {"metrics": training.history[-1]["validation"]}, data, training.logits)


for folder, kind, at in json.loads(sys.argv[1]):
    child = os.fork()  # TensorFlow is imported and has computed nothing: as a new process after its imports
    if not child:
        code = 1
        try:
            run(folder, kind, at)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ended", status, os.path.exists(folder + "/record.json"), flush=True)
"""


def test_a_run_that_is_killed_at_every_stage_ends_like_one_that_is_not(tmp_path):
    """Killed again and again, by turns as hard and as softly as a system does it: each time a stage further."""
    stages = [(signal.SIGKILL, 1), (signal.SIGTERM, 2), (signal.SIGKILL, 2), (signal.SIGKILL, 4), (signal.SIGTERM, 6)]
    broken, whole = str(tmp_path / "broken"), str(tmp_path / "whole")
    plan = [*((broken, int(kind), at) for kind, at in stages), (broken, 0, 0), (whole, 0, 0)]
    done = subprocess.run([sys.executable, "-c", KILLED, json.dumps(plan)], capture_output=True, text=True, check=False)
    ended = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("ended ")]
    assert ended == [*([str(-int(kind)), "False"] for kind, _ in stages), ["0", "True"], ["0", "True"]], done.stderr
    ends = [(tmp_path / name / "record.json", tmp_path / name / "logits.npz") for name in ("broken", "whole")]
    assert ends[0][0].read_text() == ends[1][0].read_text()
    broken, whole = (run_record.read_arrays(logits)["validation"] for _, logits in ends)
    np.testing.assert_array_equal(broken, whole)
    names = [{file.name for file in (tmp_path / name).iterdir()} for name in ("broken", "whole")]
    assert names[0] == names[1]


def test_two_makes_in_one_checkout(tmp_path):
    """The second says who works there; when the first is killed the lock goes with it."""
    command = [sys.executable, "-m", "bertglue.tools.lock", str(tmp_path)]
    first = subprocess.Popen([*command, "sleep", "60"])
    deadline = time.monotonic() + 30
    while not (tmp_path / "in-use").exists() or not (tmp_path / "in-use").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = subprocess.run([*command, "echo", "begun"], capture_output=True, text=True, check=False)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr.startswith(f"error: another make works in this checkout (process {first.pid}); wait until")
    assert len(second.stderr.splitlines()) == 1
    first.kill()
    first.wait()
    third = subprocess.run([*command, "echo", "begun"], capture_output=True, text=True, check=False)
    assert (third.returncode, third.stdout) == (0, "begun\n")
    assert "bertglue.tools.lock" in (ROOT / "Makefile").read_text()


def test_a_kernel_that_dies_is_one_line(tmp_path, monkeypatch):
    cell = nbformat.v4.new_code_cell("import os; os.kill(os.getpid(), 9)")
    cells = [nbformat.v4.new_code_cell("task = ''", metadata={"tags": ["parameters"]}), cell]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    path = tmp_path / "dies.ipynb"
    nbformat.write(notebook, path)
    monkeypatch.setattr(execute, "find_notebook", lambda: path)
    monkeypatch.chdir(ROOT)
    shown = CliRunner().invoke(cli.app, ["run", "rte", "--output", str(tmp_path / "run")])
    assert isinstance(shown.exception, InputError)
    assert "the notebook's process was killed" in str(shown.exception)
    assert not (tmp_path / "run" / "record.json").exists()


@pytest.mark.parametrize("command", [["-m", "bertglue.cli", "doctor"], ["-m", "bertglue.cli", "run", "--help"]])
def test_nothing_needs_a_home(command):
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, env={**os.environ, "HOME": "/proc/none"}
    )
    assert done.returncode == 0, done.stderr


def test_a_checkout_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "snakemake").write_text("no folder")
    assert lock.main([str(tmp_path / "snakemake/deeper"), "true"]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'snakemake/deeper'} cannot be written (Not a directory); clone into a folder of yours\n"
    )


def test_nothing_is_timed_by_a_clock_that_may_go_backwards():
    for path in (ROOT / "lib/bertglue").rglob("*.py"):
        assert "time.time(" not in path.read_text(), f"{path.name} measures by a clock that can be set"


# ---------------------------------------------------------------- files that carry code


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("hacked",))


def test_no_file_of_a_run_executes_code(tmp_path, classifier, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    save_classifier(classifier, Preprocessor(VOCABULARY, 16), run)
    hostile = np.empty(1, dtype=object)
    hostile[0] = Evil()
    np.savez(run / "logits.npz", validation=hostile)
    np.savez(run / "resume.npz", about=json.dumps({}), state0=hostile)
    with pytest.raises(InputError, match=r"logits.npz cannot be read"):
        run_record.read_arrays(run / "logits.npz")
    with pytest.raises(InputError, match=r"resume.npz cannot be read"):
        checkpoint.load_checkpoint(run / "resume.npz", "state")
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(run / "model.keras")
    with pytest.raises(InputError, match=r"model.keras is not what .*digests.json says; run its notebook again"):
        load_classifier(run)
    (run / "digests.json").unlink()  # as an older version left a run
    with pytest.raises(InputError, match=r"model.keras is of no saved classifier"):
        load_classifier(run)
    (run / "model.keras").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match=r"model.keras is of no saved classifier"):
        load_classifier(run)
    assert not (tmp_path / "hacked").exists()


def test_a_model_file_cannot_write_outside_of_its_place(tmp_path, classifier, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    path = save_classifier(classifier, Preprocessor(VOCABULARY, 16), run)
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("../../outside.txt", "written")
    path.write_bytes(content.getvalue())
    (run / "digests.json").unlink()  # which would not let it be read
    load_classifier(run)
    assert not list(tmp_path.rglob("outside.txt"))
    assert not (tmp_path.parent / "outside.txt").exists()


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\rb", "\x9b2J"])
def test_texts_are_inert_in_a_terminal(text):
    shown = errors.printable(text) + str(InputError(f"the file has {text}"))
    assert not set(shown) & set("\x1b\x07\r\x9b\x08")
