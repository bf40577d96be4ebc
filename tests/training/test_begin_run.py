"""A run that starts owns its folder, and what it ends with is its own: nothing of an earlier run stands beside it."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from small_run import Run

from bertglue import InputError, locks
from bertglue.atomic_files import write_folder, write_json, write_text
from bertglue.models.encoder_source import Origin
from bertglue.runs.record import begin_run
from bertglue.training import callbacks
from bertglue.training.tracking import TENSORBOARD_FOLDER

ANOTHER = """
import sys, time
from bertglue.locks import claim_folder
from pathlib import Path
claim_folder(Path(sys.argv[1]))
print("claimed", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another(tmp_path):
    """Claim the folder in another process, until the test ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", ANOTHER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "claimed\n"
    yield process
    process.communicate("")


def test_the_second_writer_of_a_folder_is_told(another, tmp_path, tiny_config, monkeypatch):
    write_json(tmp_path / "record.json", {})
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    with pytest.raises(InputError, match=f"another process writes to {tmp_path}; wait until it ends, or give another"):
        Run(tmp_path, tiny_config).train()
    assert (tmp_path / "record.json").exists()


def test_a_writer_that_is_still_dying_is_waited_for(another, tmp_path, monkeypatch):
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: another.communicate(""))
    begin_run(tmp_path)


def test_a_process_that_ended_holds_nothing(another, tmp_path):
    another.communicate("")
    begin_run(tmp_path)
    begin_run(tmp_path)  # the same process may begin again, as a notebook does


@pytest.mark.parametrize("left", ["record.json", "finetune.ipynb", "resume.npz", "partial.here-1.resume.npz"])
def test_a_folder_of_something_else_is_not_written_to_and_one_of_a_run_is(tmp_path, left):
    (tmp_path / "exported").mkdir()
    write_text(tmp_path / "exported" / "saved_model.pb", "a model")
    with pytest.raises(InputError, match="exported holds saved_model.pb and no run; name a new folder, or"):
        begin_run(tmp_path / "exported")
    begin_run(tmp_path)  # it holds a folder alone, such as one of runs
    (tmp_path / "run").mkdir()
    write_text(tmp_path / "run" / left, "")
    begin_run(tmp_path / "run")


def test_where_there_are_no_locks_a_line_says_so(tmp_path, monkeypatch, capsys):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    locks.claim_folder(tmp_path)
    assert capsys.readouterr().out == "this file system has no locks: take care that no other process writes here\n"


def test_the_record_of_an_earlier_run_is_gone_when_training_begins(tmp_path, tiny_config, monkeypatch):
    write_json(tmp_path / "record.json", {"task": "of before"})
    monkeypatch.setattr(callbacks.EpochRecorder, "predict", lambda self: {"validation": np.full((30, 2), np.nan)})
    with pytest.raises(InputError, match="the logits of validation are not all numbers, epoch 1, at a learning"):
        Run(tmp_path, tiny_config).train()
    assert not (tmp_path / "record.json").exists()


def test_a_loss_that_is_no_number_ends_the_run_at_its_step(tmp_path, tiny_config):
    run = Run(tmp_path, tiny_config)
    run.classifier.trainable_variables[-1].assign([np.nan, 0.0])  # the bias of the head
    with pytest.raises(InputError, match=r"^the loss is nan at step 1 of 5, epoch 1, at a learning rate of .*; lower"):
        run.train()
    assert not (tmp_path / "resume.npz").exists()


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("what", ["labels", "ids", "second"])
def test_a_checkpoint_belongs_to_the_rows_of_every_split(tmp_path, tiny_config, split, what):
    def identity(change):
        run = Run(tmp_path, tiny_config)
        array = run.data[split].labels if what == "labels" else getattr(run.tokens[split], what)
        array[1] += change
        return callbacks.EpochRecorder(run.data, run.tokens, run.parameters, [], run.classifier, None).identity()

    assert identity(0) == identity(0)
    assert identity(1) != identity(0)


def test_a_checkpoint_belongs_to_the_weights_that_the_run_began_with(tmp_path, tiny_config):
    """A folder keeps its name when another encoder is put there."""
    run = Run(tmp_path, tiny_config)
    found = []
    for digest in ("one", "another"):
        run.classifier.get_layer("encoder").origin = Origin("a folder", sha256=digest)
        recorder = callbacks.EpochRecorder(run.data, run.tokens, run.parameters, [], run.classifier, None)
        found.append(recorder.identity())
    assert found[0] != found[1]


def test_tensorboard_files_of_another_run_are_taken_away_and_ones_own_kept(tmp_path, tiny_config, monkeypatch):
    old = tmp_path / TENSORBOARD_FOLDER / "events.out.tfevents.old.bertglue"
    write_text(old, "of another run")
    foreign = old.with_name("events.out.tfevents.1.v2")
    write_text(foreign, "of something else")
    save = callbacks.EpochRecorder.save

    def save_and_die(self):
        save(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.EpochRecorder, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, tiny_config).train()
    first = {path.name for path in old.parent.iterdir()}
    assert old.name not in first
    assert foreign.read_text() == "of something else"
    monkeypatch.undo()
    Run(tmp_path, tiny_config).train()
    assert first < {path.name for path in old.parent.iterdir()}


def test_two_processes_that_write_a_file_have_names_of_their_own(tmp_path):
    mine = f"partial.{os.uname().nodename}-{os.getpid()}.a.json"
    dead = subprocess.Popen(["true"])
    dead.wait()
    abandoned = tmp_path / f"partial.{os.uname().nodename}-{dead.pid}.a.json"
    alive = tmp_path / f"partial.{os.uname().nodename}-{os.getppid()}.a.json"
    other = tmp_path / f"partial.{os.uname().nodename}-{dead.pid}.b.json"
    for path in (abandoned, alive, other):
        path.touch()
    write_text(tmp_path / "a.json", "{}")
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", alive.name, other.name}
    assert mine not in {path.name for path in tmp_path.iterdir()}


def test_two_processes_that_write_a_folder_have_places_of_their_own(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    abandoned = tmp_path / f"partial.{os.uname().nodename}-{dead.pid}.out"
    alive = tmp_path / f"partial.{os.uname().nodename}-{os.getppid()}.out"
    users = tmp_path / "out.partial"
    for folder in (abandoned, alive, users):
        write_text(folder / "a.txt", "here")
    with write_folder(tmp_path / "out") as partial:
        write_text(partial / "b.txt", "new")
        assert partial not in (abandoned, alive, users)
    assert {path.name for path in tmp_path.iterdir()} == {"out", alive.name, users.name}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.txt"]
    assert (alive / "a.txt").exists()
    assert (users / "a.txt").exists()
