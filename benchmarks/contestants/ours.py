"""This project: what the notebook's cells call."""

import dataclasses
import tempfile

import numpy as np
from measure import matrix_gflops, read_race, report, training_flops


def main() -> None:
    race = read_race()
    from bertglue import environment
    from bertglue.parameters import Parameters

    scratch = tempfile.TemporaryDirectory()
    parameters = Parameters(
        task=race.task, source="folder", glue_dir=str(race.folder / "glue"), encoder=str(race.encoder),
        batch_size=race.batch_size, epochs=race.epochs, max_length=race.length, learning_rate=race.learning_rate,
        precision="auto",
        run_dir=f"{scratch.name}/run", cache_dir=f"{scratch.name}/cache",
    )  # fmt: skip
    environment.configure(parameters)
    import tensorflow as tf

    from bertglue.data.batches import Batches, batch_lengths
    from bertglue.data.load_data import load_data
    from bertglue.devices import select_strategy
    from bertglue.evaluation.metrics import predictions_of
    from bertglue.models.classifier import build_classifier
    from bertglue.models.load_encoder import load_encoder
    from bertglue.models.preprocessor import load_preprocessor, tokenize_data
    from bertglue.tasks import TASKS
    from bertglue.training.finetune import train

    select_strategy(parameters)
    task = TASKS[race.task]
    data = load_data(task, "folder", glue_dir=parameters.glue_dir)
    tokens = tokenize_data(data, load_preprocessor(str(race.encoder), race.length), parameters.cache_dir)
    batches = Batches(tokens["train"], batch_size=race.batch_size, seed=0, lengths=batch_lengths(parameters))
    flops = training_flops(race, race.batch_size * batches.widths.sum(), race.batch_size * (batches.widths**2).sum())
    # as many word embeddings as the whole of train uses, not only the rows of this race
    words = np.load(race.folder / "words.npy")
    tokens["train"] = dataclasses.replace(tokens["train"], ids=np.append(tokens["train"].ids, words))
    classifier = build_classifier(load_encoder(str(race.encoder)), task.outputs)
    training = train(classifier, data, tokens, parameters)
    dtype = classifier.get_layer("encoder").compute_dtype
    matrix = tf.cast(tf.random.normal((2048, 2048)), dtype)
    gflops = matrix_gflops(lambda: tf.matmul(matrix, matrix).cpu())
    labels = data["validation"].labels
    report(
        tokenize=tokens.seconds,
        epochs=training.seconds,
        evaluate=training.evaluate_seconds,
        examples=len(data["train"]),
        evaluated=len(labels),
        accuracy=float(np.mean(predictions_of(task, training.logits["validation"]) == labels)),
        precision=dtype,
        matrix_gflops=gflops,
        peak_share=flops / training.seconds[-1] / gflops / 1e9,
    )


if __name__ == "__main__":
    main()
