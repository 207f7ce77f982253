"""`mase parse evaluate` and `mase parse coverage`, and the floors of the rules on real captions."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.commands.parse import USUAL, Parsers
from mase.evaluation.scenegraph import evaluate_parser, read_factual
from mase.params import GraphParams
from mase.scenegraph import PARSERS, SceneGraph, choice, factual_package, parse

GOLD = """caption,scene_graph
a red dog on a mat,"( dog , is , red ) , ( dog , on , mat )"
two cats,"( cats , is , 3 )"
"""


def mase(*words: str, text: str = "") -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["parse", *words], input=text, catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.csv"
    path.write_text(GOLD, encoding="utf-8")
    return path


def test_numbers_as_json(gold: Path, tmp_path: Path) -> None:
    (tmp_path / "english.synsets").write_text("2\n1\n3\n1\n", encoding="utf-8")
    (tmp_path / "english.exceptions").write_text("", encoding="utf-8")
    code, output, _ = mase("evaluate", str(gold), "--synonyms", str(tmp_path), "--parser", "rules", "--json")
    numbers = json.loads(output)
    assert code == 0
    assert (numbers["parser"], numbers["captions"], numbers["set_match"]) == ("rules", 2, 50)
    assert numbers["f1"] == numbers["precision"] == pytest.approx(200 / 3)
    assert numbers["macro_f1"] == 50
    assert numbers["spice_exact"] == 75  # of (cats) (cats, 2) one tuple is right
    assert numbers["spice"] == 75  # "cats" is in no synset, so (cats, 3) has no partner either
    assert numbers["captions_per_second"] > 0


def test_numbers_for_people(gold: Path) -> None:
    code, output, _ = mase("evaluate", str(gold), "--parser", "rules")
    assert code == 0
    assert "2 captions, parser: rules" in output
    assert "set match             50.0" in output
    assert "with synonyms" not in output


@pytest.mark.parametrize(
    "words", [["evaluate", "none.csv"], ["evaluate"], ["coverage", "--task", "nope"], ["coverage"]]
)
def test_errors_are_messages(words: list[str]) -> None:
    code, output, errors = mase(*words)
    assert code == 2
    assert errors and not output


def test_texts_are_read_without_naming_a_command(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_text("a red dog\n", encoding="utf-8")
    expected = "a red dog\n  (dog, is, red)\n"
    assert mase(str(path)) == mase("texts", str(path)) == mase(text="a red dog\n") == (0, expected, "")
    assert json.loads(mase("--json", str(path))[1])["facts"] == [["dog", "is", "red"]]


def test_the_command_line_knows_every_parser_and_takes_the_one_that_runs_take() -> None:
    assert tuple(Parsers) == PARSERS
    assert GraphParams().parser == USUAL


def test_coverage_of_a_task() -> None:
    code, output, _ = mase("coverage", "--task", "looks", "--json", "--most", "3")
    numbers = json.loads(output)
    assert code == 0
    assert (numbers["set"], numbers["parser"], len(numbers["predicates"])) == ("looks", "learned", 3)
    assert numbers["texts"] > 256  # all of the training file, not what a profile trains on
    assert 0 <= numbers["without_entity"] <= 1


def test_coverage_of_a_file_as_a_table(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text("a red dog on a mat\n\na dog on a bed\n:\ntwo cats\n", encoding="utf-8")
    name = f"{tmp_path.name}/captions.txt"
    code, output, _ = mase("coverage", str(path), "--parser", "rules")
    assert code == 0
    assert output.splitlines()[0] == "parser: rules"
    assert output.splitlines()[-1] == f"| {name} | 4 | 25.0% | 1.25 | 0.50 | 0.50 | on 2 |"
    sampled = mase("coverage", str(path), "--sample", "2", "--json", "--parser", "learned")[1]
    assert json.loads(sampled)["texts"] == 2


@pytest.mark.parametrize("words", [[], ["evaluate", "GOLD"]])
def test_a_parser_without_its_package_is_a_message(
    words: list[str], gold: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factual_package, "PACKAGE", "no_such_package_of_scene_graphs")
    choice._identity.cache_clear()
    words = [str(gold) if word == "GOLD" else word for word in words]
    code, output, errors = mase(*words, "--parser", "factual-t5")
    assert (code, output) == (1, "")
    assert "pip install" in errors


def test_rules_on_real_captions(shared_data: Path) -> None:
    scores = evaluate_parser(read_factual(shared_data / "factual_sg" / "random" / "dev.csv"), parse)
    assert scores.captions == 1000
    assert scores.triples.set_match > 60
    assert scores.triples.f1 > 67
    assert scores.spice_exact > scores.triples.f1


def test_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no gold graph"):
        evaluate_parser([], lambda texts: [SceneGraph(text) for text in texts])
