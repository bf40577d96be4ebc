"""The speed of prediction beside what people would use instead; `make bench-prediction` measures it.

`measured/prediction_speed.json` holds the last whole result, which README and book show.
"""

from __future__ import annotations

import statistics

import pandas as pd

from bertglue.report.race_results import (
    OURS,
    by_encoder,
    multiple,
    races,
    rate_text,
    small_pages,
    turn_counts,
    turns_said,
    where_measured,
)

PIPELINE, FASTEST = "transformers, pipeline", "bertglue, --precision auto"


def contestants(result: dict, race: str) -> pd.DataFrame:
    """Return the medians over the turns of each contestant of a race, in the order in which they ran.

    Columns: precision, rows a second, seconds of a single row, seconds from the start of the process to its first
    answer, peak memory [MB], the share of answers that are bertglue's in the precision of the run, and how many times
    as fast as it `--precision auto` is, with the least and the most of the turns.
    """
    runs = [run for run in result["runs"] if run["race"] == race]
    rates = {(run["contestant"], run["turn"]): run["rows"] / run["seconds"] for run in runs}
    rows = {}
    for name in dict.fromkeys(run["contestant"] for run in runs):
        own = [run for run in runs if run["contestant"] == name]
        ahead = [rates[FASTEST, run["turn"]] / rates[name, run["turn"]] for run in own]
        rows[name] = {
            "precision": own[0]["precision"],
            "rate": statistics.median(rates[name, run["turn"]] for run in own),
            **{key: statistics.median(run[key] for run in own) for key in ("single", "first_answer", "peak_memory_mb")},
            "same": min(run["same"] for run in own),
            "ahead": statistics.median(ahead),
            "ahead_range": (min(ahead), max(ahead)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def summary(result: dict) -> pd.DataFrame:
    """Format what each contestant of each race reached."""
    rows = [
        {
            "encoder, rows of": race,
            "contestant": name,
            "precision": found["precision"],
            "rows/s": rate_text(found["rate"]),
            "--precision auto is": "" if name == FASTEST else multiple(found),
            "single row, ms": f"{1000 * found['single']:.1f}",
            "first answer, s": f"{found['first_answer']:.1f}",
            "GB": f"{found['peak_memory_mb'] / 1000:.1f}",
            "answers as bertglue": f"{found['same']:.2%}",
        }
        for race in races(result)
        for name, found in contestants(result, race).iterrows()
    ]
    return pd.DataFrame(rows)


def conditions(result: dict) -> str:
    """Describe where and of what this was measured."""
    counts = ", ".join(f"{setting['rows']:,} ({setting['name']})" for setting in result["settings"])
    return (
        f"Rows: {counts}. {turn_counts(result)} Large arrays lay on huge pages in {small_pages(result)}. "
        f"{where_measured(result)}."
    )


def headline(result: dict) -> str:
    """Describe in a sentence how many times as fast as transformers' pipeline, and as the fastest peer, we predict."""
    ahead = {race: contestants(result, race).drop([OURS, FASTEST])["ahead"] for race in races(result)}
    said = by_encoder((*race.split(", "), f"{of[PIPELINE]:.1f} ({of.min():.1f})") for race, of in ahead.items())
    return (
        f"Prediction speed (`--precision auto`), times transformers' pipeline (times the fastest peer's): {said} "
        f"(turns: {turns_said(result)})."
    )
