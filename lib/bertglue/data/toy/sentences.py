"""A made-up world of people, things, places and events, and the English sentences about it.

An `Event` is the meaning; `tell` and `ask` put it into words. The same meaning has many wordings (synonyms,
active or passive, time first or last), so that what two sentences say decides a label, not their words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

PEOPLE = ("anna", "maria", "clara", "julia", "peter", "john", "paul", "david")
# noun: what else it is called
THINGS = {
    "violin": "fiddle", "sofa": "couch", "bicycle": "bike", "spade": "shovel",
    "guitar": "guitar", "chair": "chair", "boat": "boat", "hammer": "hammer",
}  # fmt: skip
COLOURS = ("red", "blue", "green")
LOCATIONS = ("at the market", "at the station", "in the garden", "in the library")
TIMES = ("on monday", "on tuesday", "on friday", "on sunday")


@dataclass(frozen=True)
class Verb:
    """One act: its wordings as (base, past, participle), and the act that undoes it."""

    name: str
    forms: tuple[tuple[str, str, str], ...]
    opposite: str
    on_person: bool = False


def _verb(name, opposite, *forms, on_person=False):
    return Verb(name, tuple(tuple(form.split()) for form in forms), opposite, on_person)


VERBS = {
    verb.name: verb
    for verb in (
        _verb("buy", "sell", "buy bought bought", "purchase purchased purchased"),
        _verb("sell", "buy", "sell sold sold"),
        _verb("find", "lose", "find found found", "discover discovered discovered"),
        _verb("lose", "find", "lose lost lost", "misplace misplaced misplaced"),
        _verb("repair", "break", "repair repaired repaired", "fix fixed fixed"),
        _verb("break", "repair", "break broke broken", "damage damaged damaged"),
        _verb("hide", "show", "hide hid hidden", "conceal concealed concealed"),
        _verb("show", "hide", "show showed shown", "display displayed displayed"),
        _verb("praise", "blame", "praise praised praised", "commend commended commended", on_person=True),
        _verb("blame", "praise", "blame blamed blamed", "accuse accused accused", on_person=True),
        _verb("help", "hinder", "help helped helped", "assist assisted assisted", on_person=True),
        _verb("hinder", "help", "hinder hindered hindered", on_person=True),
    )
}
SLOTS = ("agent", "verb", "patient", "colour", "place", "time")


@dataclass(frozen=True)
class Event:
    """An event: who did what to whom or what, where and when; a slot that is None is not mentioned."""

    agent: str
    verb: str
    patient: str
    colour: str | None = None
    place: str | None = None
    time: str | None = None
    negated: bool = False

    @property
    def on_person(self) -> bool:
        return VERBS[self.verb].on_person


def random_event(rng: Random, on_person: bool | None = None, **slots) -> Event:
    """Draw an event with every slot filled that it can have: a person has no colour."""
    if on_person is None:
        on_person = rng.random() < 0.4
    agent = rng.choice(PEOPLE)
    verb = rng.choice([name for name, verb in VERBS.items() if verb.on_person == on_person])
    patient = rng.choice([name for name in PEOPLE if name != agent] if on_person else list(THINGS))
    colour = None if on_person else rng.choice(COLOURS)
    event = Event(agent, verb, patient, colour, rng.choice(LOCATIONS), rng.choice(TIMES))
    return replace(event, **slots)


def change(rng: Random, event: Event, slot: str) -> Event:
    """Change one slot that is filled to another value."""
    if slot == "verb":
        return replace(event, verb=VERBS[event.verb].opposite)
    choices = {
        "agent": PEOPLE,
        "patient": PEOPLE if event.on_person else list(THINGS),
        "colour": COLOURS,
        "place": LOCATIONS,
        "time": TIMES,
    }[slot]
    taken = {getattr(event, slot), event.agent, event.patient}
    return replace(event, **{slot: rng.choice([choice for choice in choices if choice not in taken])})


def swap(event: Event) -> Event:
    """Swap the two people of an event."""
    return replace(event, agent=event.patient, patient=event.agent)


def filled(event: Event) -> list[str]:
    return [slot for slot in SLOTS if getattr(event, slot) is not None]


def tell(rng: Random, event: Event) -> str:
    """Compose an event as a sentence, in one of the ways that mean the same."""
    passive = rng.random() < 0.4
    base, past, participle = rng.choice(VERBS[event.verb].forms)
    patient = noun_phrase(rng, event)
    if passive:
        clause = [patient, "was not" if event.negated else "was", participle, "by", event.agent]
    elif event.negated:
        clause = [event.agent, "did not", base, patient]
    else:
        clause = [event.agent, past, patient]
    return " ".join(adverbials(rng, event, clause)) + " ."


def adverbials(rng: Random, event: Event, clause: list[str]) -> list[str]:
    """Add place and time behind a clause, or the time before it."""
    clause = clause + ([event.place] if event.place else [])
    if event.time and rng.random() < 0.4:
        return [event.time, ",", *clause]
    return clause + ([event.time] if event.time else [])


def ask(rng: Random, event: Event, slot: str) -> str:
    """Compose a question for one slot of an event: who, where or when."""
    base, past, participle = rng.choice(VERBS[event.verb].forms)
    rest = replace(event, **({slot: None} if slot in ("place", "time") else {}))
    tail = [part for part in (rest.place, rest.time) if part]
    patient = noun_phrase(rng, event)
    if slot == "agent":
        passive = rng.random() < 0.4
        words = ["by whom was", patient, participle] if passive else ["who", past, patient]
    else:
        words = ["where" if slot == "place" else "when", "did", event.agent, base, patient]
    return " ".join([*words, *tail]) + " ?"


def noun_phrase(rng: Random, event: Event) -> str:
    """Return the words for the patient: a person by name, a thing with article and colour."""
    if event.on_person:
        return event.patient
    noun = event.patient
    if rng.random() < 0.5:
        noun = THINGS[noun]
    return " ".join(["the", *([event.colour] if event.colour else []), noun])
