"""An exported classifier, read by transformers: the same probabilities as its own."""

import numpy as np
import pytest
import transformers

from bertglue.evaluation import metrics
from bertglue.export.export import export_huggingface
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.heads import keep_heads
from bertglue.models.logits import predict_texts
from bertglue.models.preprocessor import Preprocessor
from bertglue.tasks import TASKS

WORDS = ["anna", "sold", "the", "violin", "to", "peter", "on", "monday", "##s", "don", "'", "t", ".", ","]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
TEXTS = [("Anna sold the violin .", "peter sold the violins"), ("", "don't"), ("ÂNNA, to Peter", "x y " * 20)]


@pytest.mark.parametrize("kept", [None, [[0, 2], []]], ids=["all heads", "pruned"])
@pytest.mark.parametrize("activation", ["gelu", "gelu_pytorch_tanh"])
@pytest.mark.parametrize("name", ["mrpc", "cola", "stsb", "mnli"])
def test_a_pipeline_gives_the_same_probabilities(tmp_path, name, activation, kept):
    task, preprocessor = TASKS[name], Preprocessor(VOCABULARY, 32)
    config = EncoderConfig(len(VOCABULARY), 24, 40, (3, 3), 8, 40, hidden_act=activation)
    classifier = build_classifier(build_encoder(config), task.outputs)
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    classifier = keep_heads(classifier, kept) if kept else classifier
    texts = [pair[: len(task.columns)] for pair in TEXTS]
    logits = predict_texts(classifier, preprocessor, texts)
    folder = export_huggingface(classifier, preprocessor, task, tmp_path / "out")
    pipeline = transformers.pipeline("text-classification", str(folder), top_k=None, truncation=True)
    for row, (first, *second) in zip(logits, texts, strict=True):
        answer = pipeline({"text": first, "text_pair": second[0]} if second else {"text": first})
        found = {item["label"]: item["score"] for item in answer}
        if task.regression:
            assert found == {"score": pytest.approx(float(row[0]), abs=1e-5)}
        else:
            wanted = dict(zip(task.labels, metrics.probabilities(row[None])[0].tolist(), strict=True))
            assert found == pytest.approx(wanted, abs=1e-5)
