"""`mase explain`: what a kept model did with one example."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options
from flows.commands.predict import unit_folder

if TYPE_CHECKING:
    from mase.explanation import Answer, Dropped, Explanation

HELP = """Explain a prediction: the allocation z, what each modality changed, the entities found.

z says how much of a modality enters the sum, for every text alike; it is no importance. Beside it stands the
prediction without that modality. The unit must keep its model, as those of `mase train` do.

Example: mase explain 3f0a --text "A red bus passes." --neighbours 3

Example, a pair: mase explain 91bc --text "A man sings." --text-b "Somebody makes music."
"""


def explain(
    unit: Annotated[str, typer.Argument(help="Unit: its digest, the beginning of it, or a model folder.")],
    text: Annotated[str, typer.Option("--text", help="The text, or the first of a pair, or the question.")],
    second: Annotated[
        list[str],
        typer.Option("--text-b", help="Second text of a pair; repeat it for every choice of a question."),
    ] = [],  # noqa: B006 - Typer makes a new list for every call
    neighbours: Annotated[
        int,
        typer.Option(
            min=0, help="Name so many of the training rows' entities nearest to each entity, per tower."
        ),
    ] = 0,
    as_json: options.AsJson = False,
) -> None:
    """Explain one example; `HELP` is what the user reads."""
    folder = unit_folder(unit)
    from mase.explanation import explain as explained

    found = explained(folder, text, second, neighbours=neighbours)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False))
        return
    typer.echo("\n".join(_lines(found)))


def _lines(found: "Explanation") -> Iterator[str]:
    yield " | ".join(found.texts)
    yield f"prediction: {_said(found.answer)}"
    yield f"\nmodality   z      without it ({found.how})"
    yield from (_modality(one) for one in found.modalities)
    phrases = ", ".join(repr(entity.phrase) for entity in found.entities) or "none"
    yield f"\nentities: {phrases}"
    for entity in found.entities:
        for modality, near in entity.neighbours.items():
            named = ", ".join(f"{phrase} {cosine:.2f}" for phrase, cosine in near)
            yield f"  {entity.phrase!r}, {modality}: {named}"


def _said(answer: "Answer") -> str:
    if isinstance(answer.label, float):
        return f"{answer.label:.3f}"
    shares = ", ".join(f"{label} {share:.3f}" for label, share in answer.probabilities.items())
    return f"{answer.label}{f' ({shares})' if shares else ''}"


def _modality(one: "Dropped") -> str:
    if one.without is None:
        return f"{one.modality:<9}  {one.weight:.3f}  cannot be left out"
    change = "" if one.change is None else f"{one.change:+.3f}  "
    flips = "  FLIPS" if one.flips else ""
    return f"{one.modality:<9}  {one.weight:.3f}  {change}{_said(one.without)}{flips}"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("explain", help=HELP)(explain)
