"""The first fifty steps of fine-tuning against PyTorch's: same weights, batches, rates and data, without dropout."""

import numpy as np
import pytest
import torch
import transformers

from bertglue import Parameters, get_task, load_data, load_encoder, load_preprocessor
from bertglue.data.batches import Batches, batch_lengths
from bertglue.models.classifier import build_classifier
from bertglue.models.find_encoder import find_encoder
from bertglue.models.preprocessor import tokenize_data
from bertglue.training.finetune import compile_for_training

STEPS, TOLERANCE = 50, 1e-3


@pytest.mark.parametrize("task", ["mrpc", "cola"])
def test_the_losses_of_the_first_steps(glue_dir, tmp_path, task):
    parameters = Parameters(
        task=task, encoder="minilm", batch_size=16, max_length=64, run_dir=str(tmp_path), cache_dir=str(tmp_path)
    )
    data = load_data(get_task(task), "folder", glue_dir=str(glue_dir))
    tokens = tokenize_data(data, load_preprocessor("minilm", parameters.max_length), tmp_path)
    classifier = build_classifier(load_encoder("minilm", dropout=0.0), 2, dropout=0.0)
    theirs = same_classifier(classifier)
    batches = Batches(tokens["train"], data["train"].labels, batch_size=16, seed=0, lengths=batch_lengths(parameters))
    compile_for_training(classifier, data.task, parameters, steps=3 * STEPS)
    rates = classifier.optimizer.rates(STEPS)
    wanted = torch_losses(theirs, batches, rates)
    found = []
    for step in range(STEPS):
        classifier.reset_metrics()
        inputs, labels, weights = batches[step]
        logs = classifier.train_on_batch(inputs, labels, weights, return_dict=True)
        found.append(float(logs["running_loss"]))
    difference = np.abs(np.array(found) - wanted).max()
    print(task, f"{difference:.2g}", f"loss {wanted[0]:.3f} to {wanted[-5:].mean():.3f}")
    assert difference < TOLERANCE
    assert wanted[-10:].mean() < wanted[:10].mean() - 0.01, "nothing was learned, and nothing compared"


def same_classifier(classifier):
    """Build transformers' classifier with the encoder as it was published and the same head."""
    folder = find_encoder("minilm").folder
    model = transformers.BertForSequenceClassification.from_pretrained(
        folder, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    head = classifier.get_layer("head")
    with torch.no_grad():
        model.classifier.weight.copy_(torch.tensor(np.array(head.kernel).T))
        model.classifier.bias.copy_(torch.tensor(np.array(head.bias)))
    return model.train()


def torch_losses(model, batches, rates):
    """Train by PyTorch's AdamW, with BERT's rule of what is decayed and clipping by the global norm."""
    named = list(model.named_parameters())
    spared = [weight for name, weight in named if "bias" in name or "LayerNorm" in name]
    decayed = [weight for name, weight in named if not ("bias" in name or "LayerNorm" in name)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": spared, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, eps=1e-6)
    losses = []
    for step, rate in enumerate(rates):
        inputs, labels, _ = batches[step]
        names = {"input_word_ids": "input_ids", "input_mask": "attention_mask", "input_type_ids": "token_type_ids"}
        rows = {theirs: torch.tensor(inputs[ours]).long() for ours, theirs in names.items()}
        loss = model(**rows, labels=torch.tensor(labels).long()).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return np.array(losses)
