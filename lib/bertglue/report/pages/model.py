"""The page on the model: its parts drawn, and its parameters counted layer by layer."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.patches import FancyBboxPatch

from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.pages.common import real_runs
from bertglue.report.tables import table
from bertglue.runs.collection import Runs

# BERT-base, uncased (Devlin et al., 2019), with the names of `bertglue.models.bert.EncoderConfig`
BERT_BASE = {
    "vocabulary_size": 30522,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "heads": [12] * 12,
    "head_size": 64,
    "max_positions": 512,
    "type_vocabulary_size": 2,
}


def parts(sizes: dict) -> dict[str, tuple[str, int]]:
    """Count the parameters of an encoder from its sizes, {part: (how, number)}; a test holds it to the built model."""
    hidden, inner = sizes["hidden_size"], sizes["intermediate_size"]
    rows = {
        "word embeddings": (sizes["vocabulary_size"], hidden),
        "position embeddings": (sizes["max_positions"], hidden),
        "type embeddings": (sizes["type_vocabulary_size"], hidden),
    }
    found = {name: (f"{count:,} × {width:,}", count * width) for name, (count, width) in rows.items()}
    found["layer norm of the embeddings"] = (f"2 × {hidden:,}", 2 * hidden)
    for index, heads in enumerate(sizes["heads"]):
        width = heads * sizes["head_size"]
        projections = 3 * (hidden + 1) * width if heads else 0
        found[f"layer {index + 1}, attention"] = (
            f"3 × ({hidden:,} + 1) × {width:,} + ({width:,} + 1) × {hidden:,}", projections + width * hidden + hidden,
        )  # fmt: skip
        found[f"layer {index + 1}, feed-forward"] = (
            f"({hidden:,} + 1) × {inner:,} + ({inner:,} + 1) × {hidden:,}",
            (hidden + 1) * inner + (inner + 1) * hidden,
        )
        found[f"layer {index + 1}, layer norms"] = (f"2 × 2 × {hidden:,}", 4 * hidden)
    found["pooler"] = (f"({hidden:,} + 1) × {hidden:,}", (hidden + 1) * hidden)
    return found


def total(sizes: dict) -> int:
    return sum(number for _, number in parts(sizes).values())


def parameters_table(sizes: dict):
    """List the parameters of an encoder; layers of the same size share a row."""
    rows, same = [], {}
    for name, (how, number) in parts(sizes).items():
        _, _, part = name.partition(", ")
        key = (part, how) if part else name
        if key in same:
            same[key]["layers"] += 1
            continue
        same[key] = {"part": part or name, "layers": int(bool(part)), "each": how, "number": number}
        rows.append(same[key])
    whole = total(sizes)
    shown = [
        {
            "part": row["part"],
            "layers": row["layers"] or "",
            "of one": row["each"],
            "parameters": f"{row['number'] * max(row['layers'], 1):,}",
            "share": f"{row['number'] * max(row['layers'], 1) / whole:.1%}",
        }
        for row in rows
    ]
    return table(pd.DataFrame([*shown, {"part": "all", "parameters": f"{whole:,}", "share": "100 %"}]).fillna(""))


def encoders_table(runs: Runs):
    """Tabulate the sizes of the encoders of this build beside BERT-base's, the parameters counted from the arrays."""
    rows = [encoder_row("BERT-base, for comparison", BERT_BASE, total(BERT_BASE))]
    seen = set()
    for run in real_runs(runs).values():
        counted = sum(count for part, count in run["model"]["parameters"].items() if part != "head")
        if (run["encoder"], counted) not in seen:
            seen.add((run["encoder"], counted))
            origin = {"weights": describe_origin(run["encoder_origin"])}
            rows.append(encoder_row(run["encoder"], run["model"]["sizes"], counted) | origin)
    return table(pd.DataFrame(rows).fillna(""))


def describe_origin(origin: dict | None) -> str:
    """Describe where an encoder's weights come from: place, revision, and the beginning of their digest."""
    if not origin:
        return ""
    revision = f" at {origin['revision'][:12]}" if origin["revision"] else ""
    digest = f", sha256 {origin['sha256'][:12]}" if origin["sha256"] else ""
    return f"{origin['place']}{revision}{digest}"


def encoder_row(name: str, sizes: dict, parameters: int) -> dict:
    return {
        "encoder": name,
        "layers": len(sizes["heads"]),
        "hidden": sizes["hidden_size"],
        "heads": ", ".join(sorted({str(heads) for heads in sizes["heads"]})),
        "feed-forward": f"{sizes['intermediate_size']:,}",
        "positions": sizes["max_positions"],
        "word pieces": f"{sizes['vocabulary_size']:,}",
        "parameters": f"{parameters:,}",
    }


def findings() -> str:
    """Describe BERT-base's parameters, and which parts hold them."""
    counted = parts(BERT_BASE)
    embeddings = sum(number for name, (_, number) in counted.items() if "embedding" in name)
    layer = sum(number for name, (_, number) in counted.items() if name.startswith("layer 1,"))
    return (
        f"BERT-base has {total(BERT_BASE):,} parameters: {embeddings:,} in the embeddings, {layer:,} in each of its "
        f"{len(BERT_BASE['heads'])} layers. A layer's feed-forward network has "
        f"{counted['layer 1, feed-forward'][1] / counted['layer 1, attention'][1]:.1f} times as many as its attention, "
        f"and the head that fine-tuning adds for two labels has {2 * (BERT_BASE['hidden_size'] + 1):,}."
    )


DIAGRAM_BOXES = (  # from the input upwards: text, and the color's number or None for plain
    ("[CLS]  a sentence  [SEP]  a second one  [SEP]", None),
    ("word + position + type embeddings, layer norm", 1),
    ("multi-head self-attention", 0),
    ("add, layer norm", None),
    ("feed-forward network with GELU", 0),
    ("add, layer norm", None),
    ("pooler: dense and tanh over [CLS]", 2),
    ("dropout, linear layer: one number a label", 3),
)


def architecture():
    """Draw the classifier from the text up to the labels; what is repeated in every layer stands in a frame."""
    with plt.style.context([FIGURE_STYLE, {"axes.grid": False}]):
        figure, axes = plt.subplots(figsize=(6, 5.2))
        for at, (text, shade) in enumerate(DIAGRAM_BOXES):
            face, alpha = ("white", 1) if shade is None else (color(shade), 0.35)
            axes.add_patch(
                FancyBboxPatch((0, at), 4, 0.62, boxstyle="round,pad=0.04", fc=face, ec="0.4", alpha=alpha)
            )  # fmt: skip
            axes.text(2, at + 0.31, text, ha="center", va="center", fontsize=9)
            if at:
                axes.annotate("", (2, at - 0.05), (2, at - 0.34), arrowprops={"arrowstyle": "-|>", "color": "0.3"})
        axes.add_patch(
            FancyBboxPatch((-0.25, 1.84), 4.5, 3.94, boxstyle="round,pad=0.02", fc="none", ec="0.4", ls="--")
        )
        axes.text(4.45, 3.8, "× layers", va="center", fontsize=9)
        axes.set(xlim=(-0.5, 5.4), ylim=(-0.2, len(DIAGRAM_BOXES)))
        axes.set_axis_off()
    return finish(figure)
