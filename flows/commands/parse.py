"""`mase parse`: scene graphs of texts, how good the parser is, and how much of a task it reads."""

import json
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flows.commands import options
from mase.errors import ParamsError
from mase.params import GraphParams

DEFAULT = "texts"


class TextsByDefault(TyperGroup):
    """A group that reads texts unless the first word is one of its commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front of a file, an option or nothing."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


class Parsers(StrEnum):
    """The parsers of `mase.params.ParserName`; a command line needs a class."""

    rules = "rules"
    learned = "learned"
    factual_t5 = "factual-t5"


Parser = Annotated[
    Parsers, typer.Option(help="Which parser; factual-t5 needs the package FactualSceneGraph.")
]
USUAL = Parsers(GraphParams().parser)

app = typer.Typer(
    cls=TextsByDefault,
    help="Parse texts, one per line, into scene graphs: mase parse [FILE] [--json], "
    "by default from the input stream (see mase parse texts --help).",
)


@app.command(DEFAULT)
def texts(
    file: Annotated[
        Path | None, typer.Argument(help="UTF-8 file, one text per line; by default the input stream.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    parser: Parser = USUAL,
) -> None:
    """Parse texts, one per line, into scene graphs."""
    from mase.scenegraph import parse_function

    for graph in parse_function(parser.value)(options.input_lines(file)):
        if as_json:
            typer.echo(json.dumps(graph.to_json()))
        else:
            typer.echo(graph.text)
            typer.echo(
                "".join(f"  ({', '.join(fact)})\n" for fact in graph.facts) or "  (nothing found)\n", nl=False
            )


@app.command("evaluate")
def evaluate(
    file: Annotated[Path, typer.Argument(help="CSV with the columns caption and scene_graph, as FACTUAL's.")],
    synonyms: Annotated[
        Path | None, typer.Option(help="Folder with english.synsets and english.exceptions, for SPICE.")
    ] = None,
    parser: Parser = USUAL,
    as_json: options.AsJson = False,
) -> None:
    """Score the parser on captions with gold graphs: set match, exact triples, SPICE, speed."""
    from mase.evaluation.scenegraph import SynonymLists, evaluate_parser, read_factual
    from mase.scenegraph import parse_function

    rows = read_factual(file)
    lists = None if synonyms is None else SynonymLists.read(synonyms)
    scores = evaluate_parser(rows, parse_function(parser.value), synonyms=lists)
    if as_json:
        typer.echo(json.dumps({"parser": parser.value, "file": file.name, **scores.to_json()}))
        return
    triples = scores.triples
    typer.echo(f"{scores.captions} captions, parser: {parser.value}")
    typer.echo(f"  set match           {triples.set_match:6.1f}")
    typer.echo(
        f"  exact triples       {triples.f1:6.1f}  F1 over all triples "
        f"(precision {triples.precision:.1f}, recall {triples.recall:.1f})"
    )
    typer.echo(f"                      {triples.macro_f1:6.1f}  mean F1 of the captions")
    if scores.spice is not None:
        typer.echo(f"  SPICE               {scores.spice:6.1f}  with synonyms")
    typer.echo(f"  SPICE, equal words  {scores.spice_exact:6.1f}")
    typer.echo(f"  captions a second   {scores.captions_per_second:6.0f}")


@app.command("coverage")
def coverage(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of CommonsenseQA, CommonGen or VQA questions, or with a text a line."),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Task: params/tasks/, or a YAML file. May be repeated.")
    ] = None,
    data_dir: options.DataDir = None,
    settings: options.Settings = [],  # noqa: B006
    sample: Annotated[
        int | None, typer.Option(min=1, help="Read at most so many texts of each set, evenly spaced.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="How many predicates to list.")] = 10,
    parser: Parser = USUAL,
    as_json: options.AsJson = False,
) -> None:
    """Report what the parser finds in files and in tasks' training files, as a Markdown table.

    With --json one object per set.
    """
    from mase.evaluation.scenegraph import texts_in
    from mase.scenegraph import parse_function
    from mase.scenegraph.coverage import HEADER, coverage, evenly_spaced

    if not files and not task:
        raise ParamsError("nothing to read: name files, or tasks with --task")
    sources = [(name, partial(_training_texts, name, data_dir, settings)) for name in task or []]
    sources += [("/".join(path.parts[-2:]), partial(texts_in, path)) for path in files or []]
    parse = parse_function(parser.value)
    for place, (name, read) in enumerate(sources):
        texts = evenly_spaced(read(), sample)
        found = coverage(parse(texts), most=most)
        if place == 0 and not as_json:
            typer.echo(f"parser: {parser.value}\n\n{HEADER}")
        label = {"set": name, "parser": parser.value}
        typer.echo(json.dumps(label | found.to_json()) if as_json else found.to_row(name))


def _training_texts(task: str, data_dir: Path | None, settings: list[str]) -> list[str]:
    """Return the different texts of a task's training file, all of them whatever the profile."""
    from mase.data.prepare import read
    from mase.params import load_params

    params = load_params(
        task, profile=options.profile_of(task, None), overrides=options.overrides(settings, (), data_dir)
    )
    return read(params.task, params.data, "train")[0].texts()


def register(app_: typer.Typer) -> None:
    """Add the commands to the app."""
    app_.add_typer(app, name="parse")
