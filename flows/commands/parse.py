"""`mase parse`: scene graphs of texts, how good the parser is, and how much of a task it reads."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flows.commands import options

DEFAULT = "texts"


class TextsByDefault(TyperGroup):
    """A group that reads texts unless the first word is one of its commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front of a file, an option or nothing."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


class ParserName(StrEnum):
    """Which parser to use."""

    rules = "rules"
    learned = "learned"


Parser = Annotated[ParserName, typer.Option(help="Which parser.")]

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
    parser: Parser = ParserName.rules,
) -> None:
    """Parse texts, one per line, into scene graphs."""
    for graph in _parse_function(parser)(options.input_lines(file)):
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
    parser: Parser = ParserName.rules,
    as_json: options.AsJson = False,
) -> None:
    """Score the parser on captions with gold graphs: set match, exact triples, SPICE, speed."""
    from mase.evaluation.scenegraph import SynonymLists, evaluate_parser, read_factual

    rows = read_factual(file)
    lists = None if synonyms is None else SynonymLists.read(synonyms)
    scores = evaluate_parser(rows, _parse_function(parser), synonyms=lists)
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
    task: Annotated[str, typer.Option(help="Task: params/tasks/, or a YAML file.")],
    profile: options.Profile = "demo",
    data_dir: options.DataDir = None,
    settings: options.Settings = [],  # noqa: B006
    most: Annotated[int, typer.Option(min=1, help="How many predicates to list.")] = 10,
    parser: Parser = ParserName.rules,
    as_json: options.AsJson = False,
) -> None:
    """Report what the parser finds in a task's training texts: entities, relations, predicates."""
    from mase.data.prepare import prepare
    from mase.params import load_params
    from mase.scenegraph.coverage import coverage as summarise

    params = load_params(task, profile=profile, overrides=options.overrides(settings, (), data_dir))
    unique = prepare(params.task, params.data).train.texts()
    found = summarise(_parse_function(parser)(unique), most=most)
    if as_json:
        numbers = {
            "texts": found.texts,
            "without_entity": found.without_entity,
            "entities": found.entities,
            "attributes": found.attributes,
            "relations": found.relations,
            "predicates": dict(found.predicates),
        }
        typer.echo(json.dumps({"task": params.task.name, "parser": parser.value, **numbers}))
        return
    typer.echo(f"{params.task.name}: {found.texts} different training texts, parser: {parser.value}")
    typer.echo(f"  without an entity    {found.without_entity:7.1%}")
    typer.echo(f"  entities a text      {found.entities:7.2f}")
    typer.echo(f"  attributes a text    {found.attributes:7.2f}")
    typer.echo(f"  relations a text     {found.relations:7.2f}")
    typer.echo("  predicates           " + ", ".join(f"{name} {count}" for name, count in found.predicates))


def _parse_function(name: ParserName) -> Any:
    if name is ParserName.learned:
        from mase.scenegraph.learned import parse
    else:
        from mase.scenegraph import parse
    return parse


def register(app_: typer.Typer) -> None:
    """Add the commands to the app."""
    app_.add_typer(app, name="parse")
