"""Parts that several pages share: the banner, a row for each score, and the words for what is missing."""

from __future__ import annotations

from collections.abc import Mapping

from IPython.display import HTML

from bertglue.environment import commit
from bertglue.evaluation import aggregate
from bertglue.report.escaping import escape_line, escape_text
from bertglue.report.figures import split_title
from bertglue.report.reference_runs import runs_by_task
from bertglue.runs.collection import Runs
from bertglue.tasks import AX, TASKS, Task


def banner(runs: Runs) -> HTML:
    """Return a box that names the data and the encoders of these results."""
    own = [f"{escape_text(one['task'])} ({escape_text(one['state'])})" for one in runs.own]
    beside = f" Tasks of your own have pages of their own: {joined(own)}." if own else ""
    if not runs:
        said = "No run of GLUE's tasks has finished, so the tables say of each task what became of it."
        return admonition("What was run", said + beside)
    sources, encoders = (sorted({run[key] for run in runs.values()}) for key in ("source", "encoder"))
    said = f"Source of the examples: {', '.join(map(escape_text, sources))}."
    if "toy" in sources:
        said += (
            " The toy data are generated sentences in the format of GLUE. They are <strong>not GLUE</strong>:"
            " a score here says nothing about the benchmark, and stands beside no published one."
        )
    said += f" Encoder: {', '.join(map(escape_text, encoders))}."
    if drawn := [f"{TASKS[name].title} ({run['examples']['train']:,})" for name, run in runs.items() if is_subset(run)]:
        said += f" Trained on a random subset of train: {joined(drawn)}."
    return admonition("What was run", said + beside)


def is_glue(runs: Runs) -> bool:
    """Return whether the runs of a build are of GLUE's data, so that they may stand beside published scores."""
    return bool(runs) and all(run["source"] != "toy" for run in runs.values())


def real_runs(runs: Runs) -> Runs:
    """Return the runs that may stand beside published numbers: a build's on GLUE, else the reference run's first."""
    if is_glue(runs):
        return runs
    return Runs({"run": "", **same[0]} for same in runs_by_task().values())


def real_banner(runs: Runs) -> HTML:
    """Return the banner of `real_runs`; that they are the reference run's is said."""
    if is_glue(runs):
        return banner(runs)
    return admonition("What was run", "The reference run: MiniLM on GLUE's files, from the records of this repository.")


def who_ran(runs: Runs) -> str:
    """Name whose runs `real_runs` returns."""
    return "this build" if is_glue(runs) else "reference run"


def is_subset(run: dict) -> bool:
    """Return whether a run was trained on some rows of train alone."""
    return run["parameters"].get("train_rows") is not None


def count_rows(run: dict, split: str = "train") -> str:
    """Format the rows of a split; where those of train are a subset, say so."""
    return f"{run['examples'][split]:,}" + (" (a random subset)" if split == "train" and is_subset(run) else "")


def made_of(runs: Runs) -> str:
    """Name the commit that this book was made from, and the date of its last run, as Markdown."""
    finished = [run["finished"][:10] for run in (runs or real_runs(runs)).values()]
    said = [f"from commit `{commit()}`"] if commit() else []
    said += [f"runs of {escape_line(max(finished))}"] if finished else []
    return f"Made {', '.join(said)}." if said else ""


def admonition(title: str, body: str) -> HTML:
    """Box a paragraph of HTML."""
    return HTML(f'<div class="admonition important"><p class="admonition-title">{title}</p><p>{body}</p></div>')


def score_rows(runs: Runs):
    """Yield (task, split, metric, record) of every score, AX behind MNLI."""
    for task in TASKS.values():
        run = runs.get(task.name)
        splits = [split for split in run["metrics"] if split in (*task.validation, "ax")] if run else task.validation
        for split in splits:
            for metric in (AX if split == "ax" else task).metrics:
                yield task, split, metric, run


def main_score_rows(runs: Runs):
    """Yield the same of the tasks that have a run, by the first metric of each."""
    for task, split, metric, run in score_rows(runs):
        if run is not None and metric == (AX if split == AX.name else task).metrics[0]:
            yield task, split, metric, run


def beside_baseline(real: Mapping[str, list[dict]]):
    """Yield (task, split, whether its mean's interval lies above the baseline) of the main scores of {task: runs}."""
    for task, split, metric, run in main_score_rows(Runs(runs[0] for runs in real.values())):
        low, _ = aggregate.mean_interval(real[task.name], split, metric)
        yield task, split, low > run["baseline"][split][metric]


def seeds_said(real: Mapping[str, list[dict]]) -> str:
    """Name how many seeds the tasks of {task: runs} have: `1 to 5`."""
    counts = sorted({len(runs) for runs in real.values()})
    return " to ".join(dict.fromkeys(map(str, (counts[0], counts[-1])))) if counts else ""


def precisions_said(real: Mapping[str, list[dict]]) -> str:
    """Name the tasks of {task: runs} whose runs were computed in more than one precision; nothing where none were."""
    found = {name: {run["environment"]["precision"] for run in runs} for name, runs in real.items()}
    mixed = {name: precisions for name, precisions in found.items() if len(precisions) > 1}
    if not mixed:
        return ""
    titles, kinds = joined([TASKS[name].title for name in mixed]), joined(sorted(set().union(*mixed.values())))
    return f"Runs of {titles} were computed in {kinds}, each in what its processor multiplies in fastest."


def encoders_said(runs: list[dict]) -> str:
    """Name how many fine-tuned encoders the runs of a task began with, where that is more than one."""
    digests = {(run.get("encoder_origin") or {}).get("sha256") for run in runs}
    return f", from {len(digests)} encoders" if len(digests) > 1 else ""


def other_precision_said(runs: list[dict], others: list[dict]) -> str:
    """Name the precisions of the runs of a task that none of the runs beside them was computed in."""
    kinds, beside = ({run["environment"]["precision"] for run in side} for side in (runs, others))
    return f", in {joined(sorted(kind.removeprefix('mixed_') for kind in kinds - beside))}" if kinds - beside else ""


def classified(runs: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """List (title, task, split) of the validation splits of the tasks in `runs` whose predictions are labels."""
    return [
        (row_title(task, split), task.name, split)
        for task in TASKS.values()
        for split in task.validation
        if task.name in runs and not task.regression
    ]


def row_title(task: Task, split: str) -> str:
    if split == "ax":
        return AX.title
    return f"{task.title}, {split_title(split).removeprefix('validation ')}" if "_" in split else task.title


def joined(words: list[str]) -> str:
    """Join words as a sentence does: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def between(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"


def dashed(low: float, high: float) -> str:
    """Write an interval so that no line breaks in it."""
    return f"{low:.3f}\u2060–\u2060{high:.3f}"


def number(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
