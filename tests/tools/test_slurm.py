"""`make book CLUSTER=slurm`, whole, on a real SLURM: a controller and two nodes on this machine, started for the test.

Debian: `apt install slurm-wlm munge`; where they are absent the test is skipped, and says so.
"""

import getpass
import json
import os
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
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cores} RealMemory=6000
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cores} RealMemory=6000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
PROFILE = """profile: glue
source: folder
epochs: 1
max_length: 24
hold_out: 0.0
"""


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


def test_make_book_submits_each_run_and_builds_the_book(slurm, tmp_path):
    copy_checkout(tmp_path)
    write_glue(tmp_path / "glue")
    (tmp_path / "params/profiles/glue.yaml").write_text(PROFILE)
    filled_in = (tmp_path / "params/clusters/slurm/config.yaml").read_text()
    for asked, here in (
        ("  slurm_account: \"'your-account'\"\n", ""), ("your-partition", "main"), ("    gres: \"'gpu:1'\"\n", ""),
        ("32000", "3000"), ("8000", "2000"), ("finetune: 8", "finetune: 1"), ("latency-wait: 60", "latency-wait: 5"),
    ):  # fmt: skip
        assert asked in filled_in
        filled_in = filled_in.replace(asked, here)
    (tmp_path / "params/clusters/slurm/config.yaml").write_text(filled_in)
    given = ["CLUSTER=slurm", "PROFILE=glue", "TASKS=rte", "GLUE_DIR=glue", "COMPRESS=none"]
    (tmp_path / "venv").symlink_to(sys.prefix)  # by a path without spaces, which jobs on a cluster need
    done = subprocess.run(
        ["make", "book", *given, "READY=", f"BIN={tmp_path}/venv/bin"],
        cwd=tmp_path, env=slurm, capture_output=True, text=True, timeout=560,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "has been submitted with SLURM jobid 1" in said
    assert (tmp_path / "book/_build/html/tasks/rte.html").exists()
    record = json.loads((tmp_path / "runs/glue/rte/lr0.0003-seed0/record.json").read_text())
    assert record["examples"] == {"train": 64, "validation": 24}
    nbformat.read(tmp_path / "runs/glue/rte/lr0.0003-seed0/finetune.ipynb", as_version=4)


def test_a_checkout_in_a_folder_with_a_space_is_refused_before_any_job():
    given = ["CLUSTER=slurm", "READY=", "BIN=/home/me/my clone/.venv/bin"]
    done = subprocess.run(["make", "book", *given], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first.startswith("error: /home/me/my clone/.venv/bin has a space")
    assert first.endswith("clone into a folder without")
