"""The tasks of GLUE (Wang et al., 2019, arXiv:1804.07461): columns, labels, splits and metrics."""

from __future__ import annotations

from dataclasses import dataclass

from bertglue.errors import InputError

UNLABELLED = -1


@dataclass(frozen=True)
class Task:
    """One task; names and label order of GLUE's are those of tensorflow-datasets' `glue/*`."""

    name: str
    title: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]  # empty for a score to regress on
    metrics: tuple[str, ...]  # the first is the one that GLUE reports
    validation: tuple[str, ...] = ("validation",)
    test: tuple[str, ...] = ("test",)

    @property
    def regression(self) -> bool:
        return not self.labels

    @property
    def outputs(self) -> int:
        """Count the outputs of the classifier."""
        return len(self.labels) or 1

    @property
    def splits(self) -> tuple[str, ...]:
        return ("train", *self.validation, *self.test)

    @property
    def unlabelled(self) -> float:
        """Return what stands for a label that is not known: -1, but NaN where a score of one's own may be -1."""
        return float("nan") if self.own and self.regression else UNLABELLED

    @property
    def own(self) -> bool:
        """Return whether it is a task of one's own, not GLUE's."""
        return self.name not in TASKS and self.name != AX.name


ENTAILMENT_LABELS = ("entailment", "not_entailment")

TASKS = {
    task.name: task
    for task in (
        Task("cola", "CoLA", ("sentence",), ("unacceptable", "acceptable"), ("matthews", "accuracy")),
        Task("sst2", "SST-2", ("sentence",), ("negative", "positive"), ("accuracy",)),
        Task("mrpc", "MRPC", ("sentence1", "sentence2"), ("not_equivalent", "equivalent"), ("f1", "accuracy")),
        Task("stsb", "STS-B", ("sentence1", "sentence2"), (), ("pearson", "spearman")),
        Task("qqp", "QQP", ("question1", "question2"), ("not_duplicate", "duplicate"), ("f1", "accuracy")),
        Task(
            "mnli",
            "MNLI",
            ("premise", "hypothesis"),
            ("entailment", "neutral", "contradiction"),
            ("accuracy",),
            validation=("validation_matched", "validation_mismatched"),
            test=("test_matched", "test_mismatched"),
        ),
        Task("qnli", "QNLI", ("question", "sentence"), ENTAILMENT_LABELS, ("accuracy",)),
        Task("rte", "RTE", ("sentence1", "sentence2"), ENTAILMENT_LABELS, ("accuracy",)),
        Task("wnli", "WNLI", ("sentence1", "sentence2"), ("not_entailment", "entailment"), ("accuracy",)),
    )
}

# sentences, or pairs, that a run predicts at its end unless it is given others
SAMPLES = {
    "cola": [
        "anna bought the red violin at the market .",
        "anna bought red the violin at the market .",
        "the boat was not repaired by peter .",
        "the boat was not repair by peter .",
    ],
    "mnli": [
        ["anna found the red violin at the market .", "the violin was discovered by anna ."],
        ["anna found the violin .", "anna found the violin on monday ."],
        ["anna found the violin on monday .", "anna found the violin on friday ."],
        ["john did not help maria on friday .", "john helped maria on friday ."],
    ],
    "mrpc": [
        ["anna praised peter on monday .", "on monday , peter was commended by anna ."],
        ["anna praised peter on monday .", "peter praised anna on monday ."],
        ["john sold the blue bike .", "john sold the blue bicycle ."],
        ["john sold the blue bike .", "john sold the red bike ."],
    ],
    "qnli": [
        ["where did anna buy the violin ?", "anna purchased the violin at the market ."],
        ["where did anna buy the violin ?", "anna purchased the violin on monday ."],
        ["who helped maria on friday ?", "on friday , maria was assisted by john ."],
        ["who helped maria on friday ?", "on friday , clara was assisted by john ."],
    ],
    "qqp": [
        ["who found the red violin on monday ?", "by whom was the red fiddle discovered on monday ?"],
        ["who found the red violin on monday ?", "who lost the red violin on monday ?"],
        ["where did john hide the boat ?", "where did john conceal the boat ?"],
        ["where did john hide the boat ?", "where did maria hide the boat ?"],
    ],
    "rte": [
        ["anna found the red violin at the market . john helped maria on friday .", "maria was assisted by john ."],
        ["anna found the red violin at the market . john helped maria on friday .", "maria helped john ."],
        ["anna found the red violin at the market . john helped maria on friday .", "john found the violin ."],
    ],
    "sst2": [
        "the story is charming , but the acting is dull",
        "not a tedious film",
        "although the plot is silly , the music is superb",
        "the cast is hardly brilliant",
    ],
    "stsb": [
        [
            "anna found the violin at the market on monday .",
            "the fiddle was discovered by anna at the market on monday .",
        ],
        ["anna found the violin at the market on monday .", "anna lost the violin in the garden on monday ."],
        ["anna found the violin at the market on monday .", "paul sold the chair in the library on friday ."],
    ],
    "wnli": [
        ["the violin did not fit into the box because it was too small .", "the box was too small ."],
        ["the violin did not fit into the box because it was too small .", "the violin was too small ."],
        ["the hammer fell onto the crate and broke it because it was so heavy .", "the hammer was so heavy ."],
        ["the hammer fell onto the crate and broke it because it was so heavy .", "the crate was so heavy ."],
    ],
}
# the labels that a reader gives them, in their order; a score has none
SAMPLE_LABELS = {
    "cola": ("acceptable", "unacceptable", "acceptable", "unacceptable"),
    "mnli": ("entailment", "neutral", "contradiction", "contradiction"),
    "mrpc": ("equivalent", "not_equivalent", "equivalent", "not_equivalent"),
    "qnli": ("entailment", "not_entailment", "entailment", "not_entailment"),
    "qqp": ("duplicate", "not_duplicate", "duplicate", "not_duplicate"),
    "rte": ("entailment", "not_entailment", "not_entailment"),
    "sst2": ("negative", "positive", "positive", "negative"),
    "stsb": (None, None, None),
    "wnli": ("entailment", "not_entailment", "entailment", "not_entailment"),
}


def sample_label(task: str, text: str | list[str]) -> str | None:
    """Return the label that a reader gives a sentence, or a pair, of `SAMPLES`; None of another one."""
    found = zip(SAMPLES[task], SAMPLE_LABELS[task], strict=True)
    return next((label for sample, label in found if sample == text), None)


# The diagnostic set has no training split: the MNLI model predicts it.
AX = Task("ax", "AX", ("premise", "hypothesis"), TASKS["mnli"].labels, ("matthews",), validation=())


def get_task(name: str) -> Task:
    """Look up a task by its name.

    Args:
        name: `cola`, `sst2`, `mrpc`, `stsb`, `qqp`, `mnli`, `qnli`, `rte` or `wnli`.

    Returns:
        The task: its columns, labels, splits and metrics, named as in tensorflow-datasets' `glue/*`.

    Raises:
        InputError: no task has this name; the message lists those that there are.

    Source:
        Wang et al., 2019, arXiv:1804.07461.

    Example:
        >>> from bertglue import get_task
        >>> get_task("rte").labels
        ('entailment', 'not_entailment')
    """
    if name not in TASKS:
        raise InputError(
            f"task is {name!r}; choose one of {', '.join(TASKS)}, or write params/tasks/{name}.yaml for a task of your "
            f"own (bertglue init {name} --from train.csv)"
        )
    return TASKS[name]


def title_of(task: str) -> str:
    """Return the title of a task of GLUE, or the name of one's own."""
    return TASKS[task].title if task in TASKS else task
