"""The gain of pre-training: the bundled encoder, pre-trained and randomly initialized, on real GLUE."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from bertglue.encoder_names import BUNDLED, BUNDLED_RANDOM
from bertglue.evaluation import aggregate
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.evaluation.published_scores import PUBLISHED_NAMES, TEST_METRICS, published_numbers
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.pages.common import count_rows, row_title
from bertglue.tasks import TASKS

ENCODER_TITLES = {BUNDLED_RANDOM: "randomly initialized", BUNDLED: "pre-trained"}
SMALL_BERTS = {"BERT-Tiny, test": "tiny_2x128", "BERT-Mini, test": "mini_4x256"}


def comparison(runs: list[dict]) -> pd.DataFrame:
    """Compare both encoders, each with its best learning rate, on every validation metric; one row a metric.

    Columns: task, split, metric, baseline, for each encoder its `SeedMean`, and that of the gain.
    """
    rows = []
    best = {
        key: aggregate.best_learning_rate(same) for key, same in aggregate.group_runs(runs, "task", "encoder").items()
    }
    for name, task in TASKS.items():
        if any((name, encoder) not in best for encoder in ENCODER_TITLES):
            continue
        for split in task.validation:
            for metric in task.metrics:
                random, trained = (aggregate.seed_mean(best[name, one], split, metric) for one in ENCODER_TITLES)
                baseline = best[name, BUNDLED_RANDOM][0]["baseline"][split][metric]
                rows.append((name, split, metric, baseline, random, trained, trained.minus(random)))
    columns = ["task", "split", "metric", "baseline", *ENCODER_TITLES, "gain"]
    return pd.DataFrame(rows, columns=columns)


def scores_frame(runs: list[dict]) -> pd.DataFrame:
    """Format the comparison, with the published test scores of the smallest BERTs beside GLUE's metric."""
    rows = []
    for row in comparison(runs).itertuples(index=False, name=None):
        name, split, metric, baseline, random, trained, gain = row
        low, high = gain.mean - gain.margin, gain.mean + gain.margin
        published, peers = PUBLISHED_NAMES[name, split], published_numbers()["small_bert_test"]
        main = metric == TEST_METRICS.get(published, "accuracy")
        rows.append(
            {
                "task": row_title(TASKS[name], split),
                "metric": METRIC_TITLES[metric],
                "baseline": f"{baseline:.3f}",
                f"{ENCODER_TITLES[BUNDLED_RANDOM]} (± standard error)": f"{random.mean:.3f} ± {random.error:.3f}",
                f"{ENCODER_TITLES[BUNDLED]} (± standard error)": f"{trained.mean:.3f} ± {trained.error:.3f}",
                "gain (95 % interval)": f"{gain.mean:+.3f} ({low:+.3f} to {high:+.3f})",
                **{
                    title: f"{peers[peer][published] / 100:.3f}" if main and published in peers[peer] else ""
                    for title, peer in SMALL_BERTS.items()
                },
            }
        )
    return pd.DataFrame(rows)


def findings(runs: list[dict]) -> str:
    """Describe where pre-training is ahead by more than the 95 % interval, and where it is not."""
    frame = comparison(runs)
    frame = frame[[row.metric == TASKS[row.task].metrics[0] for row in frame.itertuples()]]
    titles = [row_title(TASKS[row.task], row.split) for row in frame.itertuples()]
    clear = [gain.mean > gain.margin for gain in frame["gain"]]
    ahead, others = (
        [title for title, is_clear in zip(titles, clear, strict=True) if is_clear == kind] for kind in (True, False)
    )
    return (
        f"By the metric that GLUE reports, the pre-trained weights are ahead by more than the 95 % interval on "
        f"{'; '.join(ahead) or 'no task'}. They are not on {'; '.join(others) or 'no task'}."
    )


def rates_frame(runs: list[dict]) -> pd.DataFrame:
    """List the scores that learning rates were selected by, on the held-out part of train; the best one is marked."""
    rows = []
    for (name, encoder), same in aggregate.group_runs(runs, "task", "encoder").items():
        split = aggregate.selection_split(same)
        chosen = aggregate.best_learning_rate(same)[0]["learning_rate"]
        scores = {
            rate: f"{aggregate.learning_rate_score(alike, split):.3f}{' (chosen)' if rate == chosen else ''}"
            for (rate,), alike in sorted(aggregate.group_runs(same, "learning_rate").items())
        }
        row = {
            "task": TASKS[name].title,
            "encoder": ENCODER_TITLES.get(encoder, encoder),
            "seeds": len(same) // len(scores),
        }
        rows.append({**row, **{f"{rate:g}": score for rate, score in scores.items()}})
    return pd.DataFrame(rows)


def data_frame(runs: list[dict]) -> pd.DataFrame:
    """Count the examples that the reference run had, beside those that GLUE has."""
    official = published_numbers()["glue_examples"]
    rows = []
    for (name,), same in aggregate.group_runs(runs, "task").items():
        examples = same[0]["examples"]
        for split in TASKS[name].validation:
            train, validation, _ = official[PUBLISHED_NAMES[name, split]]
            rows.append(
                {
                    "task": row_title(TASKS[name], split),
                    "trained on": count_rows(same[0]),
                    "held out": f"{examples.get('held_out', 0):,}",
                    "GLUE's train": f"{train:,}",
                    "validation": f"{examples[split]:,}",
                    "GLUE's validation": f"{validation:,}",
                }
            )
    return pd.DataFrame(rows)


def gains_figure(runs: list[dict]):
    """Draw, for the metric that GLUE reports, both encoders with their standard errors, and the baseline as a tick."""
    frame = comparison(runs)
    frame = frame[[row.metric == TASKS[row.task].metrics[0] for row in frame.itertuples()]].reset_index(drop=True)
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(7, 0.42 * len(frame) + 1.1))
        axes.barh(
            frame.index,
            [gain.mean for gain in frame["gain"]],
            left=[random.mean for random in frame[BUNDLED_RANDOM]],
            height=0.08,
            color="0.8",
        )
        for at, (encoder, title) in enumerate(ENCODER_TITLES.items()):
            means, errors, _ = zip(*frame[encoder], strict=True)
            axes.errorbar(means, frame.index, xerr=errors, fmt="so"[at], color=color(at), label=title)
        axes.plot(frame["baseline"], frame.index, "|", color="0.2", markersize=14, mew=2, label="baseline")
        axes.set_yticks(frame.index, [row_title(TASKS[row.task], row.split) for row in frame.itertuples()])
        axes.invert_yaxis()
        axes.set(xlabel="main metric on the validation split, with its standard error")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.9 / (0.42 * len(frame) + 1.1)), ncols=3)
    return finish(figure)


def pretraining_frame(story: dict) -> pd.DataFrame:
    """Summarize a pre-training: text, steps, tokens, time, and what it reached on held-out text."""
    parameters, history = story["parameters"], story["history"]
    last, batch = history[-1], parameters["batch_size"]
    seen = sum(length * steps for length, steps in parameters["stages"]) * batch
    starts = [0, *(row["step"] for row in history)]
    seconds = sum(
        (row["step"] - start) * batch / row["sequences_per_second"] for row, start in zip(history, starts, strict=False)
    )
    environment, train = story["environment"], story["text"]["train"]
    facts = {
        "text": f"{train['documents']:,} documents, {train['tokens'] / 1e6:.1f} million tokens",
        "held out": f"{story['text']['held_out']['documents']:,} documents",
        "stages": ", then ".join(f"{steps:,} steps of {batch} x {length}" for length, steps in parameters["stages"]),
        "tokens read": f"{seen / 1e6:.0f} million, {seen / train['tokens']:.1f} times the text",
        "learning rate": f"{parameters['learning_rate']:g}, warm-up {parameters['warmup_fraction']:.0%}, AdamW",
        "precision": parameters["precision"],
        "machine": f"{environment['device']}, {environment['machine']}",
        "hours of training": f"{seconds / 3600:.1f}",
        "held-out loss": f"{last['held_out']['loss']:.3f}",
        "masked-token accuracy": f"{last['held_out']['words_accuracy']:.1%}",
        "next-sentence accuracy": f"{last['held_out']['follows_accuracy']:.1%}",
    }
    return pd.DataFrame({"": facts.keys(), "value": facts.values()})
