"""The toy data: the nine tasks and AX, composed in the made-up world of `world`. They are not GLUE.

Each composer draws one example as (segments, label). Its label follows from the meaning it composed, never
from chance, and is drawn before the words are, so that no word gives it away. Columns, labels, splits and
label encodings are those of GLUE.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from random import Random

from bertglue.data.dataset import Split, make_split
from bertglue.data.toy import sentences
from bertglue.data.toy.sentences import THINGS, VERBS, ask, change, random_event, swap, tell
from bertglue.tasks import AX, UNLABELLED, Task


def paraphrase(rng: Random, positive: float):
    """Draw an event twice told, or told beside a near miss; label 1 where both mean the same."""
    event = without(random_event(rng), rng.sample(OPTIONAL_SLOTS, 2))
    label = int(rng.random() < positive)
    other = event if label else near_miss(rng, event)
    return (tell(rng, event), tell(rng, other)), label


def near_miss(rng: Random, event, kept=()):
    """Change one to three slots of an event, or who did it to whom; the slots `kept` stay."""
    if event.on_person and rng.random() < 0.3:
        return swap(event)
    slots = [slot for slot in sentences.filled(event) if slot not in kept]
    for slot in rng.sample(slots, min(rng.choice((1, 2, 3)), len(slots))):
        event = change(rng, event, slot)
    return event


QUESTION_SLOTS = ("agent", "place", "time")


def ask_about(rng: Random):
    """Draw an event and the slot of it to ask for."""
    slot = rng.choice(QUESTION_SLOTS)
    event = random_event(rng)
    return without(event, [rng.choice([s for s in OPTIONAL_SLOTS if s != slot])]), slot


def mrpc(rng: Random):
    return paraphrase(rng, positive=0.67)


def qqp(rng: Random):
    """Two questions; duplicates ask for the same slot of the same event."""
    event, slot = ask_about(rng)
    label = int(rng.random() < 0.37)
    other, other_slot = event, slot
    if not label:
        if rng.random() < 0.3:
            other_slot = rng.choice([s for s in QUESTION_SLOTS if s != slot])
        else:
            other = near_miss(rng, event, kept=(slot,))
    return (ask(rng, event, slot), ask(rng, other, other_slot)), label


SLOT_WEIGHTS = {"agent": 1.0, "verb": 1.5, "patient": 1.5, "place": 0.5, "time": 0.5}


def stsb(rng: Random):
    """Two sentences scored 0 to 5: the weight of the slots on which they agree."""
    event = random_event(rng, on_person=False, colour=None)
    slots = list(SLOT_WEIGHTS)
    changed = rng.sample(slots, rng.choice((0, 1, 1, 2, 3, 4, 5)))
    other = event
    for slot in changed:
        other = change(rng, other, slot)
    return (tell(rng, event), tell(rng, other)), sum(SLOT_WEIGHTS[s] for s in slots if s not in changed)


ENTAILMENT, NEUTRAL, CONTRADICTION = 0, 1, 2
OPTIONAL_SLOTS = ("colour", "place", "time")


def without(event, slots):
    return replace(event, **dict.fromkeys(slots))


def inference(rng: Random, label: int):
    """Draw the events of a premise and of a hypothesis that follows, is left open, or is ruled out.

    Both speak of one event, as in GLUE's inference sets: what is said otherwise of it is ruled out. The premise
    leaves one detail unsaid whatever the label, so that its length does not tell.
    """
    event = random_event(rng)
    optional = [slot for slot in OPTIONAL_SLOTS if getattr(event, slot)]
    keep = rng.choice(optional)
    rest = [slot for slot in optional if slot != keep]
    brief = without(event, rest)
    if rng.random() < 0.3:
        return negated_inference(rng, label, event, brief)
    if label == NEUTRAL:  # the hypothesis says what the premise leaves open
        return without(event, [keep]), brief
    if label == CONTRADICTION:
        brief = near_miss(rng, brief)
    return without(event, [rng.choice(rest)]), brief


def negated_inference(rng: Random, label: int, event, brief):
    """The same under negation, where a detail less makes the claim stronger, not weaker."""
    denied = replace(event, negated=True)
    if label == NEUTRAL:
        return rng.choice(((denied, replace(brief, negated=True)), (denied, brief), (brief, denied)))
    if label == ENTAILMENT:
        return rng.choice(((denied, denied), (event, replace(near_miss(rng, brief), negated=True))))
    return rng.choice(((event, denied), (denied, event)))


def mnli(rng: Random):
    label = rng.randrange(3)
    premise, hypothesis = inference(rng, label)
    return (tell(rng, premise), tell(rng, hypothesis)), label


def mnli_mismatched(rng: Random):
    """The register that training never saw: talk instead of report.

    What is said around the premise vouches for it; of hearsay ("my neighbour says") nothing would follow.
    """
    (premise, hypothesis), label = mnli(rng)
    opening = rng.choice(("well , it turns out that", "you know ,", "as we all saw ,", "oh yes ,"))
    closing = rng.choice((".", ", right ?", ", of course .", ", you see ."))
    talk = f"{opening} {premise.removesuffix(' .')} {closing}".replace("did not", "didn't")
    return (talk, hypothesis.replace("was not", "wasn't")), label


def rte(rng: Random):
    """A premise of two events, a hypothesis on one of them or on a blend of both."""
    label = int(rng.random() < 0.5)
    premise, hypothesis = inference(rng, rng.choice((NEUTRAL, CONTRADICTION)) if label else ENTAILMENT)
    other = random_event(rng)
    while other.verb in (premise.verb, VERBS[premise.verb].opposite):
        other = random_event(rng)
    if label and rng.random() < 0.4 and premise.agent not in (other.agent, other.patient):
        hypothesis = replace(without(other, OPTIONAL_SLOTS), agent=premise.agent)  # a blend of both
    told = [tell(rng, premise), tell(rng, other)]
    rng.shuffle(told)
    return (" ".join(told), tell(rng, hypothesis)), label


def qnli(rng: Random):
    """A question and a sentence that holds its answer, or tells of something close."""
    event, slot = ask_about(rng)
    label = int(rng.random() < 0.5)
    told = event
    if label and slot != "agent" and rng.random() < 0.4:
        told = without(event, (slot,))
    elif label:
        told = near_miss(rng, event, kept=(slot,))
    return (ask(rng, event, slot), tell(rng, told)), label


# sentence with a pronoun for {a} or {b}; each ending makes the pronoun refer to one of them
SCHEMAS = (
    ("{a} did not fit into {b} because it was too", {"big": "a", "large": "a", "small": "b", "narrow": "b"}),
    (
        "{a} fell onto {b} and broke it because it was so",
        {"heavy": "a", "hard": "a", "weak": "b", "thin": "b"},
    ),
    (
        "{a} could not be seen behind {b} because it was too",
        {"low": "a", "short": "a", "tall": "b", "wide": "b"},
    ),
)
HOLDERS = tuple(
    f"the {n}" for n in ["box", "suitcase", "cupboard", "basket", "crate", "cart", "barrel", "chest", "drawer", "cabin"]
)


def wnli(rng: Random):
    """A pronoun that one of two things can stand for; the ending decides which."""
    sentence, endings = rng.choice(SCHEMAS)
    thing = rng.choice([*THINGS, *THINGS.values()])
    names = {"a": f"the {rng.choice(sentences.COLOURS)} {thing}", "b": rng.choice(HOLDERS)}
    ending = rng.choice(list(endings))
    label = int(rng.random() < 0.5)
    subject = endings[ending] if label else ("b" if endings[ending] == "a" else "a")
    frame = sentence.format(**names)
    degree = frame.rsplit(" ", 1)[1]
    return (f"{frame} {ending} .", f"{names[subject]} was {degree} {ending} ."), label


def cola(rng: Random):
    """A sentence that the grammar allows, or the same with one break in it."""
    event = random_event(rng, negated=rng.random() < 0.4)
    event = without(event, [slot for slot in OPTIONAL_SLOTS if rng.random() < 0.4])
    label = int(rng.random() < 0.7)
    sentence = tell(rng, event)
    while not label and (broken := rng.choice(GRAMMAR_BREAKS)(rng, event, sentence)) == sentence:
        pass
    return (sentence if label else broken,), label


def break_article(rng: Random, event, sentence):
    """Move the article behind its noun phrase: lamp the."""
    words = sentence.split()
    if "the" not in words:
        return sentence
    at = words.index("the")
    words[at : at + 2] = words[at : at + 2][::-1]
    return " ".join(words)


def break_verb(rng: Random, event, sentence):
    """Use the form of the verb that its auxiliary forbids: did not bought, was buy by."""
    for base, past, participle in VERBS[event.verb].forms:
        if f"did not {base} " in sentence:
            return sentence.replace(f"did not {base} ", f"did not {past} ")
        if f" {participle} by " in sentence:
            return sentence.replace(f" {participle} by ", f" {base} by ")
    return sentence


def break_passive(rng: Random, event, sentence):
    """Drop the preposition of the passive, or the auxiliary."""
    if " by " not in sentence:
        return sentence
    return sentence.replace(*rng.choice(((" by ", " "), (" was ", " "))), 1)


def break_object(rng: Random, event, sentence):
    """Leave out the object that the verb needs: anna bought at the market."""
    if " by " in sentence:
        return sentence
    objects = [event.patient] if event.on_person else [
        " ".join(filter(None, ("the", event.colour, noun))) for noun in (event.patient, THINGS[event.patient])
    ]  # fmt: skip
    for phrase in objects:
        sentence = sentence.replace(f" {phrase} ", " ", 1)
    return sentence


def break_preposition(rng: Random, event, sentence):
    """Leave out the preposition of the place: bought it the market."""
    if not event.place:
        return sentence
    return sentence.replace(event.place, event.place.split(" ", 1)[1])


GRAMMAR_BREAKS = (break_article, break_verb, break_passive, break_object, break_preposition)

GOOD = ("superb", "charming", "moving", "brilliant", "delightful", "funny", "clever", "graceful")
BAD = ("dull", "clumsy", "tedious", "awful", "lifeless", "silly", "shallow", "noisy")
WORKS = ("film", "story", "plot", "acting", "music", "ending", "cast", "dialogue")


def sst2(rng: Random):
    """A remark on a film; negation turns its sense, and after `but` the last word counts."""
    label = int(rng.random() < 0.53)
    first, second = rng.sample(WORKS, 2)
    form = rng.choice((0, 0, 0, 1, 2, 3))
    if form == 0:
        return (f"the {first} is {opinion(rng, label)}",), label
    if form == 1:
        return (f"{opinion(rng, 1 - label)} {first} , but {opinion(rng, label)} {second}",), label
    if form == 2:
        return (f"although the {first} is {opinion(rng, 1 - label)} , the {second} is {opinion(rng, label)}",), label
    return (f"the {first} is {opinion(rng, label)} , though the {second} is {opinion(rng, 1 - label)}",), label


def opinion(rng: Random, positive: int) -> str:
    """Compose a judgement, one time in three by denying its opposite."""
    if rng.random() < 0.35:
        return rng.choice(("not", "never", "hardly")) + " " + rng.choice(BAD if positive else GOOD)
    return rng.choice(("", "very ", "so ", "truly ")) + rng.choice(GOOD if positive else BAD)


COMPOSERS = {
    "cola": cola, "sst2": sst2, "mrpc": mrpc, "stsb": stsb, "qqp": qqp,
    "mnli": mnli, "qnli": qnli, "rte": rte, "wnli": wnli,
}  # fmt: skip
# GLUE's small tasks are nearly as large here as the others: a randomly initialized encoder cannot learn from 635 rows.
EXAMPLE_COUNTS = {"train": 8900, "validation": 1000, "test": 500}
FEWER_EXAMPLES = {  # with more the bundled encoder makes no error; wnli's schemas have about 8,600 wordings in all
    "cola": {"train": 4450},
    "sst2": {"train": 4450},
    "wnli": {"train": 4000},
}
# Words that development and test rows have and no row of train: a model that learned train alone errs on some of them.
NOT_IN_TRAIN = {
    "sst2": {"moving", "graceful", "silly", "shallow"},
    "wnli": {"narrow", "wide"},
}
DRAWS_PER_EXAMPLE = 50  # draws for an example, on average, before a composer counts as exhausted


def load(task: Task, seed: int = 0) -> dict[str, Split]:
    """Compose every split of a task; no text is in two splits, and the same seed gives the same rows."""
    rng = Random(f"bertglue {task.name} {seed}")
    counts = EXAMPLE_COUNTS | FEWER_EXAMPLES.get(task.name, {})
    seen: set[tuple[str, ...]] = set()
    splits = {}
    for name in (*task.validation, *task.test, "train"):
        composer = mnli_mismatched if name.endswith("mismatched") else COMPOSERS[task.name]
        absent = NOT_IN_TRAIN.get(task.name, set()) if name == "train" else set()
        rows = distinct(rng, composer, counts[name.split("_")[0]], seen, absent)
        if name.startswith("test"):
            rows = [(segments, UNLABELLED) for segments, _ in rows]
        splits[name] = as_split(task, rows, name)
    if task.name == "mnli":
        splits["ax"] = as_split(AX, distinct(rng, mnli_mismatched, EXAMPLE_COUNTS["test"], seen), "ax")
    return {name: splits[name] for name in (*task.splits, "ax") if name in splits}


def as_split(task: Task, rows: list, name: str) -> Split:
    segments, labels = zip(*rows, strict=True)
    return make_split(task, [list(column) for column in zip(*segments, strict=True)], labels, name)


def distinct(rng: Random, composer, count: int, seen: set, absent: Collection[str] = ()) -> list:
    """Draw examples until `count` have texts that were not `seen` before, and none of the words that are `absent`."""
    rows = []
    for _ in range(DRAWS_PER_EXAMPLE * count):
        segments, label = composer(rng)
        if segments not in seen and not any(word in absent for text in segments for word in text.split()):
            seen.add(segments)
            rows.append((segments, label))
        if len(rows) == count:
            return rows
    raise RuntimeError(f"{composer.__name__} cannot word {count} examples more than the {len(seen)} it has")
