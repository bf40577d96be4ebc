"""Train a classifier on packed tokens, on either backend of Keras."""

from __future__ import annotations

import keras

from bertglue.data.batches import Batches, batch_lengths, stream
from bertglue.data.dataset import Data
from bertglue.data.token_ids import Tokens
from bertglue.devices import jit_compile, process, shared_by_tensorflow
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.runs.record import begin_run
from bertglue.tasks import Task
from bertglue.training.callbacks import EpochRecorder, TrainingResult
from bertglue.training.optimizer import build_optimizer, with_loss_scaling
from bertglue.training.progress import Progress
from bertglue.training.running_metrics import ConfusionMatrix, RunningLoss
from bertglue.training.tracking import imported
from bertglue.training.used_embeddings import UsedEmbeddingsModel

TRAINED = "was_trained"  # the attribute of a classifier that says so


def compile_classifier(classifier: keras.Model, task: Task, optimizer, steps_per_execution: int = 1):
    """Compile a classifier with optimizer and loss; return the running metrics of its training steps."""
    if task.regression:
        loss = keras.losses.MeanSquaredError()
        running = [RunningLoss(keras.losses.mean_squared_error, name="running_loss")]
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        entropy = keras.losses.sparse_categorical_crossentropy
        running = [RunningLoss(entropy, name="running_loss", from_logits=True), ConfusionMatrix(task.outputs)]
    optimizer = with_loss_scaling(keras.optimizers.get(optimizer), classifier)
    optimizer.build(classifier.trainable_variables)
    classifier.compile(
        optimizer,
        loss,
        weighted_metrics=running,
        steps_per_execution=steps_per_execution,
        jit_compile=jit_compile(),
    )
    return running


def compile_for_training(classifier: keras.Model, task: Task, parameters: Parameters, steps: int):
    """Compile a classifier for a run of `steps` updates; return the running metrics of its training steps."""
    check_accumulation(parameters.accumulate)
    optimizer = build_optimizer(
        parameters.learning_rate,
        steps=steps,
        warmup_fraction=parameters.warmup_fraction,
        weight_decay=parameters.weight_decay,
        accumulate=parameters.accumulate,
        bias_correction=parameters.bias_correction,
        layer_decay=parameters.layer_decay,
    )
    return compile_classifier(classifier, task, optimizer, parameters.steps_per_execution)


def check_accumulation(accumulate: int) -> None:
    """Check that gradients can be accumulated here."""
    if accumulate > 1 and shared_by_tensorflow():
        raise InputError(
            f"accumulate is {accumulate}, and TensorFlow accumulates gradients on one device; "
            "set backend to jax, or accumulate to 1 with a larger batch_size"
        )


def fit(
    model: keras.Model, batches: Batches, *, epochs: int = 1, initial_epoch: int = 0, first: int = 0, callbacks=()
) -> None:
    """Train a compiled model, each epoch in its own order; the first one from its step `first` on."""
    if first:  # Keras takes the number of steps once for all epochs
        batches.first = first
        fit_epochs(model, batches, initial_epoch, initial_epoch + 1, callbacks)
        batches.first, initial_epoch = 0, initial_epoch + 1
        if model.stop_training:
            return
    if initial_epoch < epochs:
        fit_epochs(model, batches, initial_epoch, epochs, callbacks)


def fit_epochs(model: keras.Model, batches: Batches, initial_epoch: int, epochs: int, callbacks) -> None:
    start = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.start(epoch))
    model.fit(
        stream(batches), epochs=epochs, initial_epoch=initial_epoch, callbacks=[start, *callbacks], shuffle=False,
        verbose=0,
    )  # fmt: skip


def train(classifier: keras.Model, data: Data, tokens: dict[str, Tokens], parameters: Parameters) -> TrainingResult:
    """Fine-tune a classifier on `train`, and evaluate the held-out and validation splits after each epoch.

    A run that was killed resumes from `resume.npz` in `parameters.run_dir`, which is written after each epoch and every
    `save_every` steps.

    Args:
        classifier: takes the encoder's inputs and returns logits [batch, outputs]; its weights are trained in place.
        data: the splits of a task, as `load_data` returns them.
        tokens: {split: token ids}, as `tokenize_data` returns them.
        parameters: the hyperparameters, and `run_dir`, where checkpoint and TensorBoard files are written.

    Returns:
        The history (one dict an epoch), the curve within the epochs, times in seconds, the epoch that was kept, and its
        logits of the evaluated splits.

    Raises:
        InputError: the classifier was trained before, the checkpoint cannot be written, or a tracker that was asked for
            is not installed.

    Source:
        Devlin et al., 2019, arXiv:1810.04805, appendix A.3: AdamW, linear warm-up and decay.

    Example:
        >>> import tempfile
        >>> import bertglue
        >>> from bertglue.models.classifier import build_classifier
        >>> from bertglue.models.preprocessor import tokenize_data
        >>> folder = tempfile.mkdtemp()
        >>> parameters = bertglue.Parameters(task="rte", epochs=1, batch_size=64, run_dir=folder, cache_dir=folder)
        >>> data = bertglue.load_data(bertglue.get_task("rte"), "toy", hold_out=0.99)
        >>> tokens = tokenize_data(data, bertglue.load_preprocessor("bundled", 32), folder)  # doctest: +ELLIPSIS
        10,400 rows tokenized, or read back, in ... s
        >>> classifier = build_classifier(bertglue.load_encoder("bundled"), outputs=2)
        >>> training = bertglue.train(classifier, data, tokens, parameters)  # doctest: +ELLIPSIS
        epoch 1/1 | ...
        >>> sorted(training.history[0])
        ['epoch', 'held_out', 'train', 'validation']
    """
    if vars(classifier).setdefault(TRAINED, False):
        raise InputError(
            "this classifier was trained before, and would go on from there; run the cell of the model again"
        )
    if parameters.tracking:
        imported(parameters.tracking)  # before anything is done that a second try would find
    begin_run(parameters.run_dir)
    vars(classifier)[TRAINED] = True
    batches = Batches(
        tokens["train"], data["train"].labels, batch_size=parameters.batch_size, accumulate=parameters.accumulate,
        seed=parameters.seed, part=process(), lengths=batch_lengths(parameters),
    )  # fmt: skip
    reduced = UsedEmbeddingsModel(classifier, tokens["train"])
    running = compile_for_training(reduced.model, data.task, parameters, steps=batches.updates * parameters.epochs)
    recorder = EpochRecorder(data, tokens, parameters, running, classifier, reduced.publish)
    recorder.set_model(reduced.model)
    done = recorder.resume()
    if not recorder.finished:
        first = recorder.resumed.step
        callbacks = [recorder, Progress(len(batches), parameters.epochs, done=done * len(batches) + first)]
        try:
            fit(reduced.model, batches, initial_epoch=done, epochs=parameters.epochs, first=first, callbacks=callbacks)
        except BaseException:
            recorder.close_trackers(failed=True)
            raise
        recorder.close_trackers(failed=False)
    return recorder.finish()
