"""METEOR and SPICE through a stand-in for `java`: the protocol and the reasons, no number of their own."""

import stat
import sys
from pathlib import Path

import pytest

from mase.errors import MaseError
from mase.evaluation.metrics.generation import java
from mase.evaluation.metrics.generation.java import FOLDER_VARIABLE, JAVA_METRICS, java_metric_reason

# Answers SCORE with the number of words of the last sentence, EVAL with these numbers and their sum.
STAND_IN = """#!{python}
import json, sys
arguments = sys.argv[1:]
if "meteor-1.5.jar" in arguments[2]:
    assert arguments[3:] == ["-", "-", "-stdio", "-l", "en", "-norm"], arguments
    for line in sys.stdin:
        kind, *parts = line.rstrip("\\n").split(" ||| ")
        if "BREAK" in line:
            sys.exit("out of memory")
        if kind == "SCORE":
            print(f"{{len(parts)}} {{len(parts[-1].split())}}", flush=True)
        else:
            numbers = [int(part.split()[1]) / 10 for part in parts]
            print(*numbers, sum(numbers), sep="\\n", flush=True)
else:
    asked = json.load(open(arguments[3]))
    if "BREAK" in str(asked):
        sys.exit("InaccessibleObjectException")
    assert arguments[4] == "-out" and arguments[6:] == ["-subset", "-silent"], arguments
    answered = [
        {{"image_id": item["image_id"], "scores": {{"All": {{"f": len(item["refs"]) / 4}}}}}}
        for item in reversed(asked)
    ]
    json.dump(answered, open(arguments[5], "w"))
"""


@pytest.fixture
def no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    return folder


@pytest.fixture
def stand_in(no_java: Path) -> Path:
    program = no_java / "java"
    program.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.fixture
def jars(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "jars"
    for name in (name for names in JAVA_METRICS.values() for name in names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder


@pytest.mark.parametrize("metric", JAVA_METRICS)
def test_without_java(no_java: Path, metric: str) -> None:
    assert java_metric_reason(metric) == "not computed (no java)"
    with pytest.raises(MaseError, match=r"meteor: not computed \(no java\); install Java"):
        java.meteor([["a"]], [[["a"]]])


def test_without_a_folder(stand_in: Path) -> None:
    reason = java_metric_reason("spice")
    assert reason == "not computed (no spice-1.0.jar: MASE_JAVA_METRICS names no folder)"


@pytest.mark.parametrize(
    ("metric", "name"), [(m, name) for m, names in JAVA_METRICS.items() for name in names]
)
def test_without_a_file(jars: Path, metric: str, name: str) -> None:
    assert java_metric_reason(metric) is None
    (jars / name).unlink()
    assert java_metric_reason(metric) == f"not computed (no {name} in MASE_JAVA_METRICS)"


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="meteor, spice"):
        java_metric_reason("bleurt")


def test_meteor_asks_line_by_line(jars: Path) -> None:
    whole, each = java.meteor(
        [["a", "b", "c"], ["d", "|||", "e"]], [[["a"], ["b", "c"]], [["d"]]]
    )  # the separator of the protocol is taken out
    assert each.tolist() == pytest.approx([0.3, 0.2])
    assert whole == pytest.approx(0.5)


def test_spice_reads_its_answers_by_id(jars: Path) -> None:
    assert java.spice(["x", "y"], [["a", "b", "c"], ["d"]]).tolist() == [0.75, 0.25]


def test_what_java_says_on_failure_is_passed_on(jars: Path) -> None:
    with pytest.raises(MaseError, match="METEOR ended early: out of memory"):
        java.meteor([["BREAK"]], [[["a"]]])
    with pytest.raises(MaseError, match="SPICE failed: InaccessibleObjectException"):
        java.spice(["BREAK"], [["a"]])
    with pytest.raises(ValueError, match="reference"):
        java.spice([], [])
