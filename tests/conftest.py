"""What the tests share: the real GLUE files where they are at hand, and a tiny encoder."""

import os
import resource
from pathlib import Path

import pytest
from hypothesis import settings
from paths import ROOT

# the same examples on every machine; --hypothesis-profile=default draws new ones
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# What trains, converts or runs a process for many of its tests: most of the time of all tests is theirs.
# `make test FAST=1` leaves them out.
SLOW_FILES = (
    "compression/test_head_importance.py",
    "compression/test_pipeline.py",
    "compression/test_pruning_curve.py",
    "data/test_token_ids.py",
    "data/test_toy.py",
    "export/test_export.py",
    "export/test_keras_quantization.py",
    "export/test_litert.py",
    "models/test_classifier.py",
    "models/test_find_encoder.py",
    "models/test_huggingface.py",
    "models/test_pooling.py",
    "models/test_tfhub.py",
    "models/test_trusted_preprocessor.py",
    "pretraining/test_pretrain.py",
    "robustness/test_hostile_texts.py",
    "robustness/test_readers.py",
    "test_backend.py",
    "test_cli.py",
    "test_devices.py",
    "test_faults.py",
    "tools/test_graph.py",
    "tools/test_tpu_compile.py",
    "training/test_accumulate.py",
    "training/test_begin_run.py",
    "training/test_callbacks.py",
    "training/test_finetune.py",
    "training/test_float16.py",
    "training/test_resume.py",
    "training/test_tracking.py",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.relative_to(ROOT / "tests").as_posix() in SLOW_FILES:
            item.add_marker("slow")


def pytest_report_header():
    return f"GLUE_DIR: {real_glue() or 'absent, the tests that read real GLUE files are skipped'}"


def real_glue() -> Path | None:
    for folder in (os.environ.get("GLUE_DIR"), ROOT.parent / "shared" / "glue"):
        if folder and Path(folder).is_dir():
            return Path(folder).resolve()
    return None


@pytest.fixture(scope="session")
def glue_dir() -> Path:
    folder = real_glue()
    if folder is None:
        pytest.skip("no real GLUE files; GLUE_DIR=folder names them")
    return folder


@pytest.fixture(scope="session")
def hub_dir() -> Path:
    folder = ROOT.parent / "shared" / "hub"
    if not folder.is_dir():
        pytest.skip("no SavedModel of TF Hub beside the checkout")
    return folder


@pytest.fixture
def full_disk():
    """Let no file grow beyond a few bytes, as on a disk that has run full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def tiny_config():
    from bertglue.models.bert import EncoderConfig

    return EncoderConfig(
        vocabulary_size=50, hidden_size=8, intermediate_size=16, heads=(2, 2), head_size=4, max_positions=16
    )


@pytest.fixture
def classifier(tiny_config):
    """Build a classifier none of whose weights is zero, biases included."""
    import numpy as np

    from bertglue.models.bert import build_encoder
    from bertglue.models.classifier import build_classifier

    classifier = build_classifier(build_encoder(tiny_config), 2)
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return classifier
