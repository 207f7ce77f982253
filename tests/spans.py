"""Made-up questions in SQuAD's own form whose answer is the colour in the context, if there is one."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mase.params import Params, load_params

COLOURS = "red blue green black white".split()
NOUNS = "lamp river dog piano storm wheel apple door cloud spoon".split()
OVERRIDES = (
    "data.source=files",
    "data.max_train_rows=null",
    "data.max_eval_rows=null",
    "data.internal_test=0.1",
    "backbone.max_length=32",
)


def paragraph(rng: np.random.Generator, name: str, words: int) -> dict[str, Any]:
    """Return a context of some sentences with two questions on it; every other context has no colour."""
    nouns = rng.choice(NOUNS, words).tolist()
    place, colour = int(rng.integers(words)), str(rng.choice(COLOURS))
    answerable = rng.random() < 0.5
    if answerable:
        nouns[place] = colour
    words_in_sentences = [w.title() if i % 5 == 0 else w + "." * (i % 5 == 4) for i, w in enumerate(nouns)]
    context = " ".join(words_in_sentences)
    answer = colour.title() if place % 5 == 0 else colour
    found = [{"text": answer, "answer_start": context.index(answer)}] if answerable else []
    asked = [
        {"id": f"{name}{i}", "question": f"Which {what} is it?", "answers": found, "is_impossible": not found}
        for i, what in enumerate(("colour", "hue"))
    ]
    return {"context": context, "qas": asked}


def write_squad(folder: Path, *, train: int = 80, dev: int = 20, words: tuple[int, int] = (4, 30)) -> None:
    """Write `squad_v2/` with its two files under a folder of data sets."""
    rng = np.random.default_rng(0)
    (folder / "squad_v2").mkdir(parents=True)
    for name, count in (("train", train), ("dev", dev)):
        articles = [
            {
                "title": name,
                "paragraphs": [
                    paragraph(rng, f"{name}{i}-", int(rng.integers(*words))) for i in range(count)
                ],
            }
        ]
        content = json.dumps({"version": "v2.0", "data": articles})
        (folder / "squad_v2" / f"{name}-v2.0.json").write_text(content, encoding="utf-8")


def span_params(
    folder: Path, *overrides: str, overlays: tuple[str, ...] = ("methods/mase",), **settings: Any
) -> Params:
    """Return smoke params of SQuAD v2.0 over the files of a folder."""
    chosen = (*OVERRIDES, f"data.dir={folder}", *overrides)
    return load_params("squad_v2", profile="smoke", overlays=overlays, overrides=chosen, **settings)
