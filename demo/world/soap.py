"""SOAP notes as three templates name their fields, and what therapists write into them."""

from __future__ import annotations

from random import Random

from .model import Row

#: Template -> (field name, type, what it means). "again" is a field that comes twice and is empty
#: the first time.
TEMPLATES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "ABA Session Note": (
        ("Date", "date", "date"),
        ("Start Time:", "time", "start"),
        ("End Time:", "time", "end"),
        ("Goals", "choices", "goals"),
        ("Notes", "text", "notes"),
        ("Therapist Signature*", "signature", "therapist"),
        ("Location", "location", "location"),
    ),
    "Session Note with Guardian": (
        ("DATE", "date", "date"),
        ("Start  Time", "time", "start"),
        ("End\u00a0Time", "time", "end"),
        ("Mood", "choice", "mood"),
        ("Trials", "number", "trials"),
        ("Notes*", "text", "notes"),
        ("Signature", "signature", "therapist"),
        ("Guardian Name", "text", "guardian_name"),
        ("Relationship:", "choice", "relationship"),
        ("Guardian Signature", "signature", "guardian"),
        ("Location", "location", "location"),
    ),
    "Parent Training": (
        ("Date:", "date", "date"),
        ("Start Time", "time", "start"),
        ("End Time", "time", "end"),
        ("Notes", "text", "again"),
        ("notes:", "text", "notes"),
        ("Therapist Signature", "signature", "again"),
        ("Therapist Signature*", "signature", "therapist"),
        ("Caregiver Name", "text", "guardian_name"),
        ("Relationship", "text", "relationship"),
        ("Parent Signature*", "signature", "guardian"),
        ("Location", "location", "location"),
    ),
}

#: The templates that ask for a guardian's signature.
WITH_GUARDIAN = ("Session Note with Guardian", "Parent Training")

#: What may be missing altogether; anything else that is left empty is null.
OPTIONAL = frozenset({"notes", "therapist", "guardian", "guardian_name", "relationship"})

OPENINGS = (
    "Arrived on time and settled quickly.",
    "Needed two prompts to leave the waiting room.",
    "Greeted the therapist and chose the first activity.",
    "Was tired after school; the session began with a break.",
    "Came with a new picture book and shared it.",
)
WORK = (
    "Manding for preferred items reached 80 % independence over 20 trials.",
    "Two-step instructions were followed in 7 of 10 trials with a gestural prompt.",
    "Turn taking was practised in a board game; waiting held for 45 seconds.",
    "Tacting of household items was run in mixed order; three targets were mastered.",
    "Hand washing was chained forward; steps 1 to 4 are now without prompts.",
    "One instance of elopement (12 s), redirected with the planned protocol.",
)
CLOSINGS = (
    "Caregiver was informed; the plan stays unchanged.",
    "Next session: probe the mastered targets again.",
    "Reinforcer survey to be repeated next week.",
)
ODDITIES = (
    "Great day! 🎉🧩 Best transition so far 👍🏽",
    "\u202bהילד עבד יפה היום וסיים את כל המטלות\u202c (from the bilingual report)",
    "حضر الطفل في الموعد وعمل بهدوء طوال الجلسة.",
    "<b>Behaviour</b>: <script>alert('note')</script> & \"quotes\" stay as they were typed.",
    "{{ 7 * 7 }} was on the worksheet; solved 5 < 6 and 9 > 8.",
)
GOALS = ("Manding", "Tacting", "Turn taking", "Self care", "Following instructions")
PLACES = ("Clinic", "Home", "School", "Community")


def text(rng: Random) -> str:
    """Return what a therapist writes: a few sentences, now and then very many, or something odd."""
    parts = [rng.choice(OPENINGS), *rng.sample(WORK, rng.randint(1, 3)), rng.choice(CLOSINGS)]
    kind = rng.random()
    if kind < 0.04:
        parts.insert(1, rng.choice(ODDITIES))
    elif kind < 0.05:
        parts[1:1] = [rng.choice(WORK) for _ in range(rng.randint(80, 250))]
    return ("\n" if kind > 0.8 else " ").join(parts)


def location(rng: Random) -> Row | None:
    """Return where the device was; None where it refused to say."""
    if rng.random() < 0.12:
        return None
    return {
        "latitude": round(rng.uniform(40.0, 42.0), 5),
        "longitude": round(rng.uniform(-75.0, -72.0), 5),
        "accuracy": rng.randint(4, 60),
        "label": rng.choice(PLACES),
    }


def fields(rng: Random, template: str, facts: Row) -> list[Row]:
    """Return the template's fields filled with `facts`, by meaning; a fact of None is left empty.

    What the facts do not name is filled as any session would; optional fields that are empty may be
    missing.
    """
    values = {"again": None, "mood": rng.choice(("calm", "cheerful", "upset"))}
    values |= {"goals": rng.sample(GOALS, 2), "trials": rng.randint(5, 60)} | facts
    return [
        {"name": name, "type": type_, "value": values[meaning]}
        for name, type_, meaning in TEMPLATES[template]
        if not (values[meaning] is None and meaning in OPTIONAL and rng.random() < 0.5)
    ]
