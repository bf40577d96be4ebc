"""Paths of the measured data that the book shows; `measured/README.md` lists the command that makes each file."""

from pathlib import Path

MEASURED = Path(__file__).with_name("measured")
TRAINING_SPEED = MEASURED / "training_speed.json"
TRAINING_SPEED_BFLOAT16 = MEASURED / "training_speed_bfloat16.json"  # on a processor that multiplies in it
PREDICTION_SPEED = MEASURED / "prediction_speed.json"
COST_GROWTH = MEASURED / "cost_growth.json"
TPU_COMPILED_STEPS = MEASURED / "tpu_compiled_steps.json"
REFERENCE_RUNS = MEASURED / "reference"  # a folder: a file for each unit of the reference run
REFERENCE_STATISTICS = MEASURED / "reference_statistics.json"
REFERENCE_EXPLANATIONS = MEASURED / "reference_explanations"  # a folder: a file for each task
BUNDLED_RUNS = MEASURED / "bundled_runs.json"
BUNDLED_COMPRESSIONS = MEASURED / "bundled_compressions.jsonl"
