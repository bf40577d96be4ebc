"""Paths of the measured data that the book shows; `measured/README.md` lists the command that makes each file."""

from pathlib import Path

MEASURED = Path(__file__).with_name("measured")
TRAINING_SPEED = MEASURED / "training_speed.json"
COST_GROWTH = MEASURED / "cost_growth.json"
TPU_COMPILED_STEPS = MEASURED / "tpu_compiled_steps.json"
REFERENCE_RUNS = MEASURED / "reference_runs.json"
REFERENCE_COMPRESSIONS = MEASURED / "reference_compressions.jsonl"
