"""A machine with NVIDIA GPUs, simulated by a nvidia-smi that lists them: detection, refusal, and a GPU for each run."""

import re
import subprocess
import sys

import pytest
from fake_gpus import fake_gpus
from paths import ROOT

from bertglue import InputError, Parameters
from bertglue.devices import select_strategy
from bertglue.environment import has_accelerator, nvidia_gpus
from bertglue.tools.book_plan import ACCELERATOR, read_plan
from bertglue.tools.doctor import gpus


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Put some GPUs into the machine."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def with_gpus(count):
        monkeypatch.setenv("PATH", fake_gpus(tmp_path / "bin", count))

    return with_gpus


def test_what_nvidia_smi_lists_is_found(machine):
    machine(2)
    assert nvidia_gpus() == ["0", "1"]
    assert has_accelerator()
    machine(0)
    assert nvidia_gpus() == []


@pytest.mark.parametrize(("visible", "found"), [("1", ["1"]), ("0, 1", ["0", "1"]), ("", []), ("-1", [])])
def test_what_the_user_hid_is_not_there(machine, monkeypatch, visible, found):
    machine(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert nvidia_gpus() == found


def test_a_gpu_that_the_backend_does_not_see_is_one_line(machine, capsys):
    machine(2)
    strategy = select_strategy(Parameters())
    assert strategy.device == "CPU"
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("this machine has 2 NVIDIA GPUs, and tensorflow sees none: ")
    assert "`make GPU=cuda` installs the CUDA builds" in line


def test_where_it_must_be_used_the_run_stops(machine, capsys):
    machine(1)
    with pytest.raises(InputError, match=r"has 1 NVIDIA GPU, .* device: cpu \(make DEVICE=cpu\) trains on"):
        select_strategy(Parameters(device="gpu"))
    assert select_strategy(Parameters(device="cpu")).device == "CPU"
    assert capsys.readouterr().out == ""


def test_a_machine_without_gpu_says_nothing(machine, capsys):
    machine(0)
    assert select_strategy(Parameters(device="gpu")).device == "CPU"
    assert capsys.readouterr().out == ""


def test_the_doctor_counts_both(machine):
    machine(2)
    assert gpus("tensorflow").startswith("2 found by nvidia-smi, 0 seen by tensorflow; make GPU=cuda installs")
    machine(0)
    assert gpus("tensorflow") == "none found by nvidia-smi"


def test_profiles_of_bert_base_ask_for_the_gpu_and_no_other_does():
    for path in (ROOT / "params/profiles").glob("*.yaml"):
        asked = Parameters.from_files(path).device
        assert asked == ("gpu" if path.stem in ("full", "tuned") else "auto")


@pytest.mark.parametrize(
    ("count", "given", "share", "threads"),
    [
        (0, {}, 0, 1),
        (1, {}, ACCELERATOR, 16),
        (4, {}, ACCELERATOR // 4, 4),
        (4, {"jobs": "2"}, ACCELERATOR // 4, 8),
        (4, {"gpus": "all"}, ACCELERATOR, 16),
        (4, {"device": "cpu"}, 0, 1),
        (4, {"cluster": "slurm"}, 0, 1),
    ],
)
def test_each_run_has_a_gpu_and_its_share_of_the_cores(machine, count, given, share, threads):
    machine(count)
    plan = read_plan({"tasks": "rte", **given}, 16)
    assert plan.accelerator == share
    assert plan.threads == threads
    assert bool(plan.on_its_gpu) == (share == ACCELERATOR // 4)


def test_commands_side_by_side_have_a_gpu_each_and_a_third_one_waits(machine, tmp_path):
    machine(2)
    script = "import os, sys; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); sys.stdin.read()"
    slot = [sys.executable, "-m", "bertglue.tools.gpu_slot", str(tmp_path / "gpus"), sys.executable, "-c", script]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    first, second = (subprocess.Popen(slot, **pipes) for _ in range(2))
    try:
        taken = [process.stdout.readline().strip() for process in (first, second)]
        assert sorted(taken) == ["0", "1"]
        third = subprocess.Popen(slot, **pipes)
        first.communicate("")  # which ends it
        assert third.stdout.readline().strip() == taken[0]
        third.communicate("")
    finally:
        second.communicate("")


def test_a_wrong_number_of_gpus_is_named():
    with pytest.raises(InputError, match="GPUS is 3; give 1"):
        read_plan({"tasks": "rte", "gpus": "3"}, 2)


def make(*words, path=None):
    environment = {"PATH": path} if path else None
    done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True, env=environment)
    return done.stdout + done.stderr


def test_make_takes_the_cuda_packages_where_there_is_a_gpu_or_they_are_asked_for(tmp_path):
    cuda = r"making \S+ from requirements\.lock requirements-cuda\.lock"
    with_gpu = fake_gpus(tmp_path, 1)
    fresh = ["BIN=nowhere", "READY=nowhere/ready"]
    assert re.search(cuda, make("book", *fresh, path=with_gpu))
    assert re.search(cuda, make("GPU=cuda", *fresh))
    assert not re.search(cuda, make("book", "GPU=none", *fresh, path=with_gpu))
    assert "GPU is rocm; give cuda" in make("book", "GPU=rocm")
    for jobs in ("abc", "-1", "2 3", "0"):
        assert f"JOBS is {jobs}; give one number, 1 or more" in make("book", f"JOBS={jobs}")


def test_the_cuda_lock_adds_to_the_other_and_names_no_address():
    pinned = re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    text = (ROOT / "requirements-cuda.lock").read_text()
    added = re.findall(r"^([a-z0-9._-]+)==.*\\$", text, re.MULTILINE)
    assert {"nvidia-cudnn-cu12", "jax-cuda12-plugin"} <= set(added)
    assert not set(added) & set(pinned)
    assert len(re.findall("--hash=sha256:", text)) >= len(added)
    assert "://" not in text
