"""Small wrong changes, made one at a time: how many do the tests notice? `make mutants` runs it; it takes long.

Cosmic Ray makes a sample of changes in each package, in a copy of the checkout that has no real GLUE files beside it,
and runs the tests of that package against each. What no test can notice is left out: annotations, and the looks of
figures.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkResult
from paths import ROOT

SCRATCH = ROOT / ".mutants"
# what is changed, and the tests that should notice
PACKAGES = {
    "evaluation": ("evaluation", ["tests/evaluation"]),
    "data": ("data", ["tests/data", "tests/test_properties.py"]),
    "runs": ("runs", ["tests/runs", "tests/test_cli.py", "tests/test_properties.py"]),
    "training": ("training", ["tests/training"]),
    "compression": ("compression", ["tests/compression"]),
    "plan": ("tools/book_plan.py", ["tests/tools/test_book_plan.py", "tests/tools/test_graph.py"]),
    "report": ("report", ["tests/report", "--ignore=tests/report/test_site.py"]),
}
LOOKS = {
    *("figsize", "size", "markersize", "mew", "alpha", "linewidth", "linewidths", "capsize", "s", "height", "width"),
    *("color", "zorder", "bbox_to_anchor", "ncols", "rotation", "length", "ha", "va", "fontsize", "aspect", "timeout"),
    *("bbox", "arrowprops", "pad", "shrink", "labelpad", "fmt", "marker", "linestyle", "cmap", "vmin", "vmax"),
}
CONFIG = """[cosmic-ray]
module-path = "lib/bertglue/{module}"
timeout = 240.0
excluded-modules = [{excluded}]
test-command = "{python} -m pytest -x -q -p no:cacheprovider {tests}"

[cosmic-ray.distributor]
name = "local"
"""
# seen in a browser, made up, or held by tests that need minutes
EXCLUDED = ("**/__init__.py", "**/build_pdf.py", "**/sphinx_theme.py", "**/toy/*.py", "**/tfds.py")


def unnoticeable(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the spans of a module in which a change cannot be noticed: annotations, and the looks of figures."""
    spans = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.keyword) and node.arg in LOOKS:
            parts.append(node.value)
        spans += [((p.lineno, p.col_offset), (p.end_lineno, p.end_col_offset)) for p in parts if p is not None]
    return spans


def sample(session: Path, folder: Path, count: int, seed: int) -> int:
    """Leave all but `count` of a session's changes out; return how many there were to choose from."""
    with use_db(session, WorkDB.Mode.open) as db:
        spans, kept = {}, []
        for item in db.work_items:
            (change,) = item.mutations
            path = folder / change.module_path
            for start, end in spans.setdefault(path, unnoticeable(path)):
                if start <= tuple(change.start_pos) and tuple(change.end_pos) <= end:
                    break
            else:
                kept.append(
                    (str(change.module_path), change.start_pos, change.operator_name, change.occurrence, item.job_id)
                )
        kept.sort()  # by place: the jobs' own numbers are drawn anew in each session
        chosen = {job for *_, job in random.Random(seed).sample(kept, min(count, len(kept)))}
        for item in list(db.work_items):
            if item.job_id not in chosen:
                db.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED))
        return len(kept)


def copy_checkout(folder: Path) -> None:
    """Copy what git knows of the checkout, as it is now."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    shutil.rmtree(folder, ignore_errors=True)
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def run_package(name: str, count: int, seed: int) -> tuple[str, int, int, int, list[str]]:
    """Change one package; return its name, changes made, noticed, possible, and the ones that no test noticed."""
    module, tests = PACKAGES[name]
    folder = SCRATCH / name / "checkout"
    copy_checkout(folder)
    (folder / "cosmic-ray.toml").write_text(
        CONFIG.format(
            module=module, excluded=", ".join(f'"{e}"' for e in EXCLUDED), python=sys.executable, tests=" ".join(tests)
        )
    )
    session = folder / "session.sqlite"
    environment = {
        **os.environ, "PYTHONPATH": str(folder / "lib"), "GLUE_DIR": "", "TF_CPP_MIN_LOG_LEVEL": "3",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip

    def cosmic_ray(*words):
        command = [str(Path(sys.executable).with_name("cosmic-ray")), *words]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name}: cosmic-ray {words[0]} failed: {(done.stderr or done.stdout)[-2000:]}")

    cosmic_ray("init", "cosmic-ray.toml", str(session))
    cosmic_ray("baseline", "cosmic-ray.toml")
    possible = sample(session, folder, count, seed)
    cosmic_ray("exec", "cosmic-ray.toml", str(session))
    made, survived = 0, []
    with use_db(session, WorkDB.Mode.open) as db:
        items = {item.job_id: item.mutations[0] for item in db.work_items}
        for job, result in db.results:
            if result.worker_outcome != WorkerOutcome.SKIPPED:
                made += 1
                if not result.is_killed:
                    change = items[job]
                    survived.append(f"{change.module_path}:{change.start_pos[0]} {change.operator_name}\n{result.diff}")
    return name, made, made - len(survived), possible, survived


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES), help=f"of {', '.join(PACKAGES)} (default: all)")
    parser.add_argument("--count", type=int, default=60, help="changes for each package (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="packages at a time (default: 2)")
    options = parser.parse_args()
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, made, noticed, possible, survived in pool.map(
            lambda name: run_package(name, options.count, options.seed), options.packages
        ):
            print(f"{name}: {noticed} of {made} noticed ({noticed / made:.0%}); {possible} are possible", flush=True)
            (SCRATCH / name / "survivors.txt").write_text("\n\n".join(survived))
            print("\n".join(f"  {said.splitlines()[0]}" for said in survived), flush=True)


if __name__ == "__main__":
    main()
