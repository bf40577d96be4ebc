"""This project: what the notebook's cells call."""

import dataclasses
import tempfile

import numpy as np
from measure import matrix_gflops, read_race, report, since_start, training_flops


def main() -> None:
    race, _ = read_race()
    from bertglue import environment
    from bertglue.parameters import Parameters

    scratch = tempfile.TemporaryDirectory()
    parameters = Parameters(
        task=race.task, source="folder", glue_dir=str(race.folder / "glue"), encoder=str(race.encoder),
        batch_size=race.batch_size, epochs=race.epochs, max_length=race.length, learning_rate=race.learning_rate,
        precision="auto", seed=race.seed,
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
    from bertglue.training import finetune

    started = []

    class FirstStep(finetune.Progress):
        def on_train_batch_end(self, batch, logs=None):
            if not started:
                started.append(since_start())
            super().on_train_batch_end(batch, logs)

    finetune.Progress = FirstStep

    select_strategy(parameters)
    task = TASKS[race.task]
    data = load_data(task, "folder", glue_dir=parameters.glue_dir)
    tokens = tokenize_data(data, load_preprocessor(str(race.encoder), race.length), parameters.cache_dir)
    batches = Batches(tokens["train"], batch_size=race.batch_size, seed=0, lengths=batch_lengths(parameters))
    # as many word embeddings as the whole of train uses, not only the rows of this race
    words = np.load(race.folder / "words.npy")
    tokens["train"] = dataclasses.replace(tokens["train"], ids=np.append(tokens["train"].ids, words))
    classifier = build_classifier(load_encoder(str(race.encoder)), task.outputs)
    training = finetune.train(classifier, data, tokens, parameters)
    dtype = classifier.get_layer("encoder").get_layer("layer_0_output").compute_dtype

    def rate(rows: int, inner: int, columns: int) -> float:
        left, right = (tf.cast(tf.random.normal(shape), dtype) for shape in ((rows, inner), (inner, columns)))
        return matrix_gflops(lambda: tf.matmul(left, right).cpu(), 2 * rows * inner * columns)

    flops, peak = training_flops(race, batches.widths, race.batch_size), rate(2048, 2048, 2048)
    report(
        tokenize=tokens.seconds,
        first_step=started[0],
        epochs=training.seconds,
        evaluate=training.evaluate_seconds,
        examples=len(data["train"]),
        predictions=predictions_of(task, training.logits["validation"]),
        precision=dtype,
        matrix_gflops=peak,
        feed_forward_gflops=rate(race.batch_size * int(np.median(batches.widths)), race.hidden, 4 * race.hidden),
        peak_share=flops / training.seconds[-1] / peak / 1e9,
    )


if __name__ == "__main__":
    main()
