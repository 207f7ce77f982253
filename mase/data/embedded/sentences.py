"""Sentence templates that say nothing about what a thing looks, sounds or moves like.

Every scene is one in which any object can turn up (a drawing, a story, a memory), so that
neither the scene nor the rest of the sentence gives the object's attributes away.
"""

from collections.abc import Iterator
from itertools import product

OPENINGS = (
    "yesterday", "last week", "this morning", "on Monday", "after lunch", "at the weekend",
    "during the lesson", "in May",
)  # fmt: skip

PEOPLE = (
    "Anna", "Omar", "Priya", "Tomas", "my aunt", "the teacher", "our neighbour", "a visitor", "the librarian",
    "my cousin", "a student", "the doctor",
)  # fmt: skip

SCENES = (
    "drew {a} on the back of an envelope",
    "talked about {a} with a friend",
    "read us a story about {a}",
    "showed everybody a photograph of {a}",
    "wrote a poem about {a}",
    "pointed at {a} in a picture book",
    "bought a postcard with {a} on it",
    "dreamed of {a} the whole night",
    "made a small model of {a} from clay",
    "could not stop thinking about {a}",
    "explained to the children what {a} is",
    "put a sticker of {a} on the window",
    "looked up {a} in the encyclopedia",
    "asked a question about {a}",
    "needed a picture of {a} for the report",
    "remembered {a} from the old days",
)

JUDGEMENTS = (
    "{person} said that the {object} was {opinion}",
    "{person} told everyone that the {object} was {opinion}",
    "{person} read that the {object} was {opinion}",
    "{person} wrote that the {object} was {opinion}",
)

SHORTEST, LONGEST = 8, 14  # words


def with_article(name: str) -> str:
    """Put "a" or "an" before a noun phrase, by its spelling."""
    article = "an" if name[0].lower() in "aeiou" and not name.startswith(("eu", "uk", "uni")) else "a"
    return f"{article} {name}"


def scenes(name: str) -> list[str]:
    """Return every sentence about an object, 8 to 14 words each."""
    filled = (scene.format(a=with_article(name)) for scene in SCENES)
    bodies = (f"{person} {scene}" for scene, person in product(filled, PEOPLE))
    return list(_opened(bodies))


def judgements(name: str, opinion: str) -> list[str]:
    """Return every sentence in which somebody has an opinion of an object, 8 to 14 words each."""
    bodies = (j.format(person=p, object=name, opinion=opinion) for j, p in product(JUDGEMENTS, PEOPLE))
    return list(_opened(bodies))


def _opened(bodies: Iterator[str]) -> Iterator[str]:
    for body, opening in product(bodies, OPENINGS):
        sentence = f"{opening} {body}"
        if SHORTEST <= len(sentence.split()) <= LONGEST:
            yield f"{sentence[0].upper()}{sentence[1:]}."
