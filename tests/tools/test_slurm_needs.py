"""What a run asks of SLURM, and what SLURM's logs say of a run that it ended; no SLURM is needed."""

import os

import pytest

from bertglue import InputError, Parameters
from bertglue.runs.slurm_reason import slurm_reason
from bertglue.tools import slurm

FULL = {"encoder": "somewhere/bert", "epochs": 3, "device": "gpu"}
ERROR = """[Wed Nov 25 10:00:00 2026]
Error in rule finetune:
    message: SLURM-job '{job}' failed, SLURM status is: '{status}'. Detailed failure reason unavailable.
    jobid: 4
    output: runs/glue/{task}/lr2e-05-seed0/finetune.ipynb
    log: {log}, {folder}/.snakemake/slurm_logs/rule_finetune/{task}_2e-05_0/{job}.log (check log file(s) for more)
    shell:
        papermill ...

"""


def test_the_time_limit_follows_the_rows_the_encoder_and_the_attempt():
    # 392,702 rows, 3 epochs, 60 a second, and half an hour around it
    assert slurm.minutes(Parameters(task="mnli", **FULL)) == 30 + round(392_702 * 3 / 60 / 60)
    assert slurm.minutes(Parameters(task="wnli", **FULL)) == 30 + round(635 * 3 / 60 / 60)
    assert slurm.minutes(Parameters(task="rte", epochs=3), 2) == 2 * (30 + round(2490 * 3 / 100 / 60))


def test_memory_and_gpu_follow_the_profile():
    assert slurm.memory_mb(Parameters(**FULL)) == 32_000
    assert slurm.memory_mb(Parameters(), 3) == 24_000
    assert slurm.gres(Parameters(**FULL), "gpu:a100:1") == "gpu:a100:1"
    assert slurm.gres(Parameters(), "gpu:1") == ""


class Logs:
    """Snakemake's logs, a run's and its job's, as SLURM and Snakemake leave them."""

    def __init__(self, folder):
        self.folder, self.run = folder, folder / "rte-lr2e-05-seed0.log"
        self.run.write_text("epoch 1/3\n")
        self.count = 0

    def fail(self, job, status, output="", task="rte"):
        """Add a make in which a job failed; it is the latest."""
        place = self.folder / f".snakemake/slurm_logs/rule_finetune/{task}_2e-05_0/{job}.log"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(output)
        log = self.run.with_name(f"{task}-lr2e-05-seed0.log")
        path = self.folder / f"{self.count}.snakemake.log"
        error = ERROR.format(job=job, status=status, task=task, log=log, folder=self.folder)
        path.write_text(f"Building DAG of jobs...\n{error}Shutting down\n")
        os.utime(path, (self.count, self.count))
        self.count += 1

    @property
    def reason(self):
        return slurm_reason(self.run, self.folder)


@pytest.fixture
def logs(tmp_path):
    return Logs(tmp_path)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("CANCELLED", "SLURM ended job 12: it was cancelled; the next make resumes it from its last checkpoint"),
        ("TIMEOUT", "SLURM ended job 12: it reached its time limit; ask for more in params/clusters/slurm/config"),
        ("OUT_OF_MEMORY", "SLURM ended job 12: it reached its memory limit; ask for more"),
        ("NODE_FAIL", "SLURM ended job 12: its node failed; the next make"),
    ],
)
def test_the_end_that_slurm_made_is_a_line(logs, status, said):
    logs.fail(11, "TIMEOUT", task="mrpc")
    logs.fail(12, status)
    assert logs.reason.startswith(said)


@pytest.mark.parametrize(
    "output",
    [
        "slurmstepd-node1: error: Exceeded job memory limit\n",
        "slurmstepd: error: StepId=12.0 exceeded memory limit (4 > 3), being killed\n",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM Killed.\n",
        "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.0.\n",
    ],
)
def test_memory_that_ran_out_is_known_by_the_jobs_output(logs, output):
    logs.fail(12, "FAILED", output)
    assert logs.reason.startswith("SLURM ended job 12: it reached its memory limit")


def test_what_failed_by_itself_is_not_slurms(logs):
    assert logs.reason is None
    logs.fail(11, "TIMEOUT", task="mrpc")
    assert logs.reason is None
    logs.fail(12, "FAILED", "srun: error: node1: task 0: Exited with exit code 1\n")
    assert logs.reason is None


def test_what_failed_before_the_run_began_is_told_by_the_jobs_output(logs):
    logs.run.unlink()
    logs.fail(12, "FAILED", "bash: line 1: /home/me/my: No such file or directory\n\n")
    assert logs.reason == "job 12 failed before its run began: bash: line 1: /home/me/my: No such file or directory"
    logs.fail(13, "FAILED")
    assert logs.reason == "job 13 failed before its run began: it wrote nothing"


def test_the_latest_try_counts(logs):
    logs.fail(12, "TIMEOUT")
    logs.fail(13, "TIMEOUT", task="mrpc")
    assert "job 12: it reached its time limit" in logs.reason
    logs.fail(14, "CANCELLED")
    assert "job 14: it was cancelled" in logs.reason
    logs.fail(15, "FAILED")
    assert logs.reason is None


def squeue(folder, monkeypatch, *outputs):
    """Put a squeue on the path that prints one output after another."""
    for number, output in enumerate(outputs):
        (folder / f"{number}.txt").write_text(output)
    script = 'n=$(cat "$0".n 2> /dev/null || echo 0); echo $((n + 1)) > "$0".n\n'  # which call this is
    (folder / "squeue").write_text(f'#!/bin/sh\n{script}cat "{folder}/$n.txt"\n')
    (folder / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "QUEUE_WAIT", 0)


def test_jobs_of_an_earlier_make_are_waited_for(tmp_path, monkeypatch, capsys):
    mine, other = "7|RUNNING|/home/me/bertglue\n8|PENDING|/home/me/bertglue\n", "9|RUNNING|/home/me/elsewhere\n"
    squeue(tmp_path, monkeypatch, mine + other, "8|RUNNING|/home/me/bertglue\n" + other, other)
    slurm.wait_for_earlier_jobs(slurm.Path("/home/me/bertglue"))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("waiting for 2 jobs of an earlier make, so that none is submitted twice (scancel 7 8 ends")


def test_without_slurm_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="squeue is not here; CLUSTER=slurm is for a machine from which SLURM takes"):
        slurm.jobs_of(tmp_path)
