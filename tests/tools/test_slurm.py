"""`make book CLUSTER=slurm`, whole, on a real SLURM: a controller and two nodes on this machine, started for the test.

Runs end by themselves, by scancel, by their memory and time limits; make is killed; two machines train one run.

Debian: `apt install slurm-wlm munge`; where they are absent the test is skipped, and says so.
"""

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from checkout import copy_checkout
from paths import ROOT
from small_glue import write_glue

pytestmark = pytest.mark.whole

DAEMONS = ("munged", "slurmctld", "slurmd")
SBIN = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
MISSING = [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=SBIN) is None]
CONFIG = """ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
KillWait=5
AccountingStorageType=accounting_storage/none
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cores} RealMemory=6000
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cores} RealMemory=6000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
PROFILE = """profile: glue
source: folder
epochs: {epochs}
max_length: 24
hold_out: 0.0
"""
BOTH = ("rte", "mrpc")


def free_ports(number: int) -> list[int]:
    """Return ports of this machine that nothing listens on."""
    listening = [socket.socket() for _ in range(number)]
    for one in listening:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in listening]
    for one in listening:
        one.close()
    return ports


def answers(*command, env) -> bool:
    """Return whether a command succeeds within a minute, tried twice a second."""
    for _ in range(120):
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode == 0 and "idle" in done.stdout:
            return True
        time.sleep(0.5)
    return False


@pytest.fixture(scope="module")
def slurm():
    """Start the daemons in a folder of their own, whose path is short enough for a socket; give the environment."""
    if MISSING:
        pytest.skip(f"no {', '.join(MISSING)} here: apt install slurm-wlm munge")
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    folder.chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    config = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    config.write_text(
        CONFIG.format(folder=folder, host=host, user=getpass.getuser(), ports=free_ports(3), cores=os.cpu_count())
    )
    # a cluster has its configuration under /etc; here srun is told, for Snakemake drops such variables from its jobs
    (folder / "bin").mkdir()
    (folder / "bin/srun").write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun")} "$@"\n')
    (folder / "bin/srun").chmod(0o755)
    env = {**os.environ, "PATH": f"{folder}/bin{os.pathsep}{SBIN}", "SLURM_CONF": str(config)}
    munge = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "key-file", "log-file", "pid-file")]
    started = []
    commands = (
        ["munged", "--foreground", "--force", *munge, f"--seed-file={folder}/munge.seed"],
        ["slurmctld", "-D"], ["slurmd", "-D", "-N", "node1"], ["slurmd", "-D", "-N", "node2"],
    )  # fmt: skip
    try:
        for command in commands:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            started.append(subprocess.Popen(command, env=env, start_new_session=True, **quiet))
            time.sleep(1)  # each needs the one before
        logs = [path.read_text(errors="replace")[-800:] for path in folder.glob("*.log")]
        assert answers("sinfo", "--noheader", env=env), "\n".join(logs)
        yield env
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Login:
    """A checkout on the login node, with the cluster's profile filled in for this machine."""

    def __init__(self, folder: Path, env: dict, epochs=1, rows=64, more: str = ""):
        self.folder, self.env = copy_checkout(folder), env
        write_glue(folder / "glue", train=rows)
        (folder / "params/profiles/glue.yaml").write_text(PROFILE.format(epochs=epochs))
        filled_in = (folder / "params/clusters/slurm/config.yaml").read_text()
        for asked, here in (
            ("  slurm_account: \"'your-account'\"\n", ""), ("your-partition", "main"), ("mem_mb: 8000", "mem_mb: 2000"),
            ("finetune: 8", "finetune: 1"), ("latency-wait: 60", "latency-wait: 5"), ("retries: 2", "retries: 0"),
            ("status-checks: 10", "status-checks: 3"), ("# set-resources:", SET_RESOURCES + more + "# set-resources:"),
        ):  # fmt: skip
            assert asked in filled_in
            filled_in = filled_in.replace(asked, here)
        (folder / "params/clusters/slurm/config.yaml").write_text(filled_in)
        (folder / "venv").symlink_to(sys.prefix)  # by a path without spaces, which jobs on a cluster need

    def start(self, *tasks: str) -> subprocess.Popen:
        """Start `make book` in a session of its own."""
        given = ["CLUSTER=slurm", "PROFILE=glue", f"TASKS={' '.join(tasks)}", "GLUE_DIR=glue", "COMPRESS=none"]
        return subprocess.Popen(
            ["make", "book", *given, "READY=", f"BIN={self.folder}/venv/bin"], cwd=self.folder, env=self.env,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def make(self, *tasks: str) -> tuple[int, str]:
        process = self.start(*tasks)
        said, _ = process.communicate(timeout=560)
        return process.returncode, said

    def call(self, *command: str) -> str:
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=True).stdout

    def jobs(self) -> list[str]:
        return self.call("squeue", "--noheader", "--format=%i").split()

    def wait_for(self, text: str, *logs: Path) -> None:
        """Wait until a log has a text."""
        for _ in range(480):
            if all(log.exists() and text in log.read_text() for log in logs):
                return
            time.sleep(0.25)
        raise AssertionError(f"no {text!r} in {logs}")

    def log(self, task: str) -> Path:
        return self.folder / f"runs/glue/logs/{task}-lr0.0003-seed0.log"

    def record(self, task: str) -> dict:
        return json.loads((self.folder / f"runs/glue/{task}/lr0.0003-seed0/record.json").read_text())


SET_RESOURCES = "set-resources:\n  finetune:\n    mem_mb: 2900\n"  # which two nodes of this machine have


def test_make_book_submits_each_run_and_builds_the_book(slurm, tmp_path):
    login = Login(tmp_path, slurm)
    status, said = login.make("rte")
    assert status == 0, said[-3000:]
    assert said.count("has been submitted with SLURM jobid") == 1
    assert (tmp_path / "book/_build/html/tasks/rte.html").exists()
    assert login.record("rte")["examples"] == {"train": 64, "validation": 24}
    nbformat.read(tmp_path / "runs/glue/rte/lr0.0003-seed0/finetune.ipynb", as_version=4)

    record, profile = login.record("rte"), tmp_path / "params/profiles/glue.yaml"
    profile.write_text(PROFILE.format(epochs=1).replace("max_length: 24", "max_length: 999"))
    status, said = login.make("rte")
    assert status != 0
    assert "the run that was there before stays, with max_length 24, and is not in this book" in said
    assert login.record("rte") == record
    profile.write_text(PROFILE.format(epochs=1))
    status, said = login.make("rte")
    assert status == 0, said[-3000:]
    assert login.record("rte") == record, "what was there is kept"


def test_a_cancelled_run_is_a_line_and_resumes_and_no_job_of_a_killed_make_is_submitted_twice(slurm, tmp_path):
    login = Login(tmp_path, slurm, epochs=30, rows=2000)
    process = login.start("rte")
    login.wait_for("epoch 2/30", login.log("rte"))
    (job,) = login.jobs()
    login.call("scancel", job)
    said, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    (last,) = [line for line in said.splitlines() if line.startswith("the book lacks")]
    assert f"rte/lr0.0003-seed0: failed (SLURM ended job {job}: it was cancelled; the next make resumes it" in last

    process = login.start(*BOTH)
    login.wait_for("epoch 4/30", *map(login.log, BOTH))
    os.killpg(process.pid, signal.SIGKILL)
    jobs = login.jobs()
    assert len(jobs) == 2
    status, said = login.make(*BOTH)
    assert status == 0, said[-3000:]
    assert f"waiting for 2 jobs of an earlier make, so that none is submitted twice (scancel {' '.join(jobs)}" in said
    assert "has been submitted" not in said
    assert "resuming after epoch" in login.log("rte").read_text()
    for task in BOTH:
        assert len(login.record(task)["history"]) == 30
        assert (tmp_path / f"book/_build/html/tasks/{task}.html").exists()


def test_limits_of_memory_and_time_are_lines(slurm, tmp_path):
    limits = "    runtime: 1\n"
    login = Login(tmp_path, slurm, epochs=900, rows=2000, more=limits)
    config = tmp_path / "params/clusters/slurm/config.yaml"
    config.write_text(
        config.read_text().replace("mem_mb: 2900", "mem_mb: \"300 if wildcards.task == 'mrpc' else 2900\"")
    )
    status, said = login.make(*BOTH)
    assert status != 0, said[-3000:]
    (last,) = [line for line in said.splitlines() if line.startswith("the book lacks 2 of its 2")] or [said[-3000:]]
    assert re.search(r"rte/lr0.0003-seed0: failed \(SLURM ended job \d+: it reached its time limit; ask for more", last)
    assert re.search(r"mrpc/lr0.0003-seed0: failed \(SLURM ended job \d+: it reached its memory limit; ask for", last)


def test_the_guides_line_trains_on_two_machines_and_resumes(slurm, tmp_path):
    """The srun line of the guide, on these files; the nodes have no names here, so the first's address is given."""
    login = Login(tmp_path, slurm, epochs=4, rows=600)
    guide = (ROOT / "book/guides/clusters.md").read_text()
    line = re.search(r"(?m)^srun (?:.*\\\n)*.*$", guide)[0].replace("\\\n", " ")
    for asked, here in (
        (" --gres gpu:4", " --mem 2500"), ("profiles/full.yaml", "profiles/glue.yaml"),
        ("-p backend jax", "--log-output -p glue_dir glue -p backend jax"),
    ):  # fmt: skip
        assert asked in line
        line = line.replace(asked, here)
    env = {**slurm, "PATH": f"{tmp_path}/venv/bin{os.pathsep}{slurm['PATH']}"}
    env["JAX_COORDINATOR_ADDRESS"] = f"127.0.0.1:{free_ports(1)[0]}"

    def start() -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(["bash", "-c", line], cwd=tmp_path, env=env, **pipes)

    process = start()
    for said in process.stdout:
        if "epoch 2/4" in said:
            break
    login.call("scancel", *login.jobs())
    process.communicate(timeout=120)
    assert process.returncode != 0
    process = start()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    assert said.count("resuming after epoch") == 2
    first, second = (json.loads((tmp_path / f"runs/rte-{index}/record.json").read_text()) for index in range(2))
    assert first["environment"]["devices"] == 2
    assert first["metrics"] == second["metrics"]
    assert len(first["history"]) == 4


def test_a_checkout_in_a_folder_with_a_space_is_refused_before_any_job():
    given = ["CLUSTER=slurm", "READY=", "BIN=/home/me/my clone/.venv/bin"]
    done = subprocess.run(["make", "book", *given], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first.startswith("error: /home/me/my clone/.venv/bin has a space")
    assert first.endswith("clone into a folder without")
