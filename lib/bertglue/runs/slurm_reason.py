"""Why SLURM ended a run, read from the logs that Snakemake keeps of what it submitted."""

from __future__ import annotations

import re
from pathlib import Path

SNAKEMAKE_LOGS = Path(".snakemake/log")
STATUS = re.compile(r"SLURM-job '(?P<job>[\w.]+)' failed.*? SLURM status is: '(?P<status>\w+)")
LOGS = re.compile(r"(?m)^ *log: (?P<paths>.*?)(?: \(check|$)")  # the run's, and after it the job's own
MEMORY = re.compile(r"exceeded (job |step )?memory limit|oom[-_ ]kill", re.IGNORECASE)
WORDS = {
    "CANCELLED": "it was cancelled",
    "TIMEOUT": "it reached its time limit",
    "OUT_OF_MEMORY": "it reached its memory limit",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "it was preempted",
}


def slurm_reason(log: Path, logs: Path = SNAKEMAKE_LOGS) -> str | None:
    """Return in a line why SLURM ended the job with this log, and what to do.

    Args:
        log: of the run, by which Snakemake's logs name the job.
        logs: the folder of Snakemake's logs.

    Returns:
        None where the job was not SLURM's, or failed by itself, which its own log tells.
    """
    for path in sorted(logs.glob("*.snakemake.log"), key=lambda path: path.stat().st_mtime, reverse=True):
        errors = re.split(r"(?m)^(?=.*Error in rule )", path.read_text(encoding="utf-8", errors="replace"))[1:]
        mine = [error for error in errors if f"{log}" in error.partition("\n\n")[0]]
        if mine:
            found = STATUS.search(mine[-1])
            return describe(found["job"], found["status"], job_output(mine[-1]), Path(log)) if found else None
    return None


def job_output(error: str) -> str:
    """Return what a job wrote outside its run's log, from the last of the files that Snakemake's error names."""
    found = LOGS.search(error)
    paths = found["paths"].split(", ")[1:] if found else []
    try:
        return Path(paths[-1]).read_text(encoding="utf-8", errors="replace") if paths else ""
    except OSError:
        return ""


def describe(job: str, status: str, output: str, log: Path) -> str | None:
    """Put the end of a job into a line; None where the run failed by itself, and said so in its own log."""
    if MEMORY.search(output):  # some clusters call it a failure
        status = "OUT_OF_MEMORY"
    if status in WORDS:
        limit = "; ask for more in params/clusters/slurm/config.yaml" if status in ("TIMEOUT", "OUT_OF_MEMORY") else ""
        return f"SLURM ended job {job}: {WORDS[status]}{limit}; the next make resumes it from its last checkpoint"
    if log.exists() and log.stat().st_size:
        return None
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"job {job} failed before its run began: {lines[-1] if lines else 'it wrote nothing'}"[:300]
