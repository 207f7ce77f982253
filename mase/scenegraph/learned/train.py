"""Train the learned parser: `python -m mase.scenegraph.learned.train --data CSV --out FILE`."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from mase.artifacts import sha256_file
from mase.errors import DataError
from mase.evaluation.scenegraph import GoldGraph, evaluate_parser, read_factual
from mase.scenegraph.learned.alignment import align
from mase.scenegraph.learned.network import ParserNetwork
from mase.scenegraph.learned.parser import LearnedParser
from mase.scenegraph.learned.reading import read_sentences
from mase.scenegraph.learned.training import Example, Recipe, fit
from mase.scenegraph.learned.vocabulary import count_vocabulary
from mase.scenegraph.tagger import default_tagger


def examples_of(rows: list[GoldGraph]) -> list[Example]:
    """Align rows; captions of several sentences, and those with a fact that is not aligned, are left out."""
    read = read_sentences([row.caption for row in rows], default_tagger())
    aligned = [
        Example(parts[0], align(parts[0].words, sorted(row.facts)))
        for row, parts in zip(rows, read, strict=True)
        if len(parts) == 1
    ]
    return [example for example in aligned if not example.gold.lost]


def train(
    data: Path,
    out: Path,
    *,
    recipe: Recipe,
    dev: Path | None = None,
    held_out: int = 0,
    limit: int | None = None,
    every: int = 4,
) -> LearnedParser:
    """Train on a CSV file of captions and graphs, and write weights and manifest.

    Args:
        data: a file in FACTUAL's form.
        out: the weights file (safetensors); the manifest has the same name with `.json`.
        recipe: how to train.
        dev: a file to score on at the end; the scores go into the manifest.
        held_out: keep so many last rows aside and report the scores on them (for tuning).
        limit: use only the first so many of the other rows.
        every: report the scores after every so many epochs.

    Raises:
        DataError: if the file is missing or malformed, or nothing is left to train on.
    """
    rows = read_factual(data)
    kept, aside = rows[: len(rows) - held_out][:limit], rows[len(rows) - held_out :]
    examples = examples_of(kept)
    if not examples:
        raise DataError(f"{data}: no caption to train on")
    vocabulary = count_vocabulary([e.sentence for e in examples], [e.gold for e in examples])
    print(f"{len(examples)} of {len(kept)} captions are aligned", file=sys.stderr)

    def report(epoch: int, loss: float, network: ParserNetwork) -> None:
        scores = ""
        if aside and (epoch + 1) % every == 0:
            found = evaluate_parser(aside, LearnedParser(network, vocabulary).parse)
            scores = f"  set match {found.triples.set_match:.1f}  F1 {found.triples.f1:.1f}"
        print(f"epoch {epoch + 1}  loss {loss:.3f}{scores}", file=sys.stderr, flush=True)

    parser = LearnedParser(fit(examples, vocabulary, recipe, report=report), vocabulary)
    parser.save(out, manifest_of(parser, data, len(examples), aside, dev, recipe))
    return parser


def manifest_of(
    parser: LearnedParser, data: Path, captions: int, aside: list[GoldGraph], dev: Path | None, recipe: Recipe
) -> dict[str, object]:
    """Return what the manifest says of where the weights come from, and how good they are."""
    about: dict[str, object] = {
        "about": "learned scene-graph parser: spans and links over hashed features and a BiLSTM",
        "captions": captions,
        "data": [{"file": data.name, "name": "FACTUAL, random split", "sha256": sha256_file(data)}],
        "licence": "see LICENCE.md",
        "recipe": asdict(recipe),
    }
    if aside:
        about["held_out"] = {"last_rows": len(aside), **_scores(parser, aside)}
    if dev is not None:
        scores = _scores(parser, read_factual(dev))
        about["dev"] = {"file": dev.name, "sha256": sha256_file(dev), **scores}
    return about


def _scores(parser: LearnedParser, rows: list[GoldGraph]) -> dict[str, float]:
    scores = evaluate_parser(rows, parser.parse).triples
    return {name: round(value, 2) for name, value in asdict(scores).items()}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the learned scene-graph parser.")
    parser.add_argument("--data", type=Path, required=True, help="CSV with the columns caption, scene_graph")
    parser.add_argument("--out", type=Path, required=True, help="weights file, .safetensors")
    parser.add_argument("--dev", type=Path, help="file to score on at the end")
    parser.add_argument("--held-out", type=int, default=0, help="last rows to score on, not to train on")
    parser.add_argument("--limit", type=int, help="train on the first so many rows")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--rate", type=float, default=Recipe.rate)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    options = parser.parse_args()
    recipe = Recipe(epochs=options.epochs, rate=options.rate, seed=options.seed)
    train(
        options.data,
        options.out,
        recipe=recipe,
        dev=options.dev,
        held_out=options.held_out,
        limit=options.limit,
    )


if __name__ == "__main__":
    main()
