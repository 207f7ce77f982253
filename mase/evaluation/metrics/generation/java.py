"""METEOR-1.5 and SPICE, which only exist as Java programs: run with the user's jar, or a reason why not.

Neither jar comes with this package. Put them into one folder and name it in `MASE_JAVA_METRICS`. METEOR of
NLTK or `evaluate` has other parameters and another matcher, and the scene-graph scores of
`mase.evaluation.scenegraph` come from another parser: neither ever stands in for these two.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float

from mase.errors import MaseError
from mase.evaluation.metrics.generation.tokens import check_references

JAVA_METRICS = {
    "meteor": ("meteor-1.5.jar", "data/paraphrase-en.gz"),
    "spice": ("spice-1.0.jar", "lib/stanford-corenlp-3.6.0.jar", "lib/stanford-corenlp-3.6.0-models.jar"),
}
"""The files that each metric needs, relative to the folder of the jars."""
FOLDER_VARIABLE = "MASE_JAVA_METRICS"


def java_metric_reason(metric: str = "meteor") -> str | None:
    """Say why a Java metric is not computed, in the words of a table's cell; None where it can be.

    >>> java_metric_reason("spice")  # doctest: +SKIP
    'not computed (no java)'

    Raises:
        ValueError: if there is no such metric.
    """
    if metric not in JAVA_METRICS:
        raise ValueError(f"no Java metric {metric!r}; there is: {', '.join(JAVA_METRICS)}")
    if shutil.which("java") is None:
        return "not computed (no java)"
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return f"not computed (no {JAVA_METRICS[metric][0]}: {FOLDER_VARIABLE} names no folder)"
    missing = [name for name in JAVA_METRICS[metric] if not (Path(folder) / name).is_file()]
    return f"not computed (no {missing[0]} in {FOLDER_VARIABLE})" if missing else None


def meteor(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[float, Float[np.ndarray, "n"]]:
    """Run METEOR-1.5 as the COCO scorer does (`-l en -norm`), on tokenised sentences.

    It loads a table of paraphrases first, which takes from seconds to a minute.

    Returns:
        The score of the whole set in [0, 1], which METEOR aggregates from its statistics and which is
        not the mean of the examples, and the score of each example.

    Raises:
        ValueError: if the lengths differ or an example has no reference.
        MaseError: if it cannot be computed (see `java_metric_reason`) or Java fails.
    """
    check_references(candidates, references)
    command = [*_jar("meteor", "-Xmx2G"), "-", "-", "-stdio", "-l", "en", "-norm"]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True) as process,
    ):
        assert process.stdin and process.stdout
        talk = _Conversation(process.stdin, process.stdout, log)
        statistics = [talk.ask(_meteor_line(*pair)) for pair in zip(candidates, references, strict=True)]
        talk.tell(" ||| ".join(["EVAL", *statistics]))
        scores = np.array([float(talk.answer()) for _ in candidates])
        return float(talk.answer()), scores


def spice(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Float[np.ndarray, "n"]:
    """Run SPICE-1.0 as the COCO scorer does and return F1 of each example, in [0, 1]; the metric is the mean.

    Its parser is from 2015 and needs Java 8; newer Java refuses its reflection.

    Raises:
        ValueError: if the lengths differ or an example has no reference.
        MaseError: if it cannot be computed (see `java_metric_reason`) or Java fails.
    """
    check_references(candidates, references)
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.json", Path(folder) / "answered.json"
        pairs = enumerate(zip(candidates, references, strict=True))
        asked.write_text(
            json.dumps([{"image_id": at, "test": one, "refs": [*group]} for at, (one, group) in pairs]),
            encoding="utf-8",
        )
        command = [*_jar("spice", "-Xmx8G"), str(asked), "-out", str(answered), "-subset", "-silent"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not answered.is_file():
            raise MaseError(f"SPICE failed: {done.stderr.strip()[-500:]}")
        found = {item["image_id"]: item["scores"]["All"]["f"] for item in json.loads(answered.read_text())}
    return np.array([found[at] for at in range(len(candidates))], dtype=np.float64)


class _Conversation:
    """Lines to and from METEOR."""

    def __init__(self, into: IO[str], out_of: IO[str], log: IO[str]) -> None:
        self._into, self._out_of, self._log = into, out_of, log

    def tell(self, line: str) -> None:
        self._into.write(f"{line}\n")
        self._into.flush()

    def answer(self) -> str:
        line = self._out_of.readline()
        if not line:
            self._log.seek(0)
            raise MaseError(f"METEOR ended early: {self._log.read().strip()[-500:]}")
        return line.strip()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.answer()


def _jar(metric: str, memory: str) -> list[str]:
    reason = java_metric_reason(metric)
    if reason:
        raise MaseError(f"{metric}: {reason}; install Java, and put the files into {FOLDER_VARIABLE}")
    folder = Path(os.environ[FOLDER_VARIABLE]).resolve()
    return ["java", "-jar", memory, str(folder / JAVA_METRICS[metric][0])]


def _meteor_line(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> str:
    """Return one SCORE request; the separator of METEOR's protocol must not occur in a sentence."""
    sentences = [" ".join(tokens).replace("|||", "") for tokens in (*references, candidate)]
    return " ||| ".join(["SCORE", *(" ".join(sentence.split()) for sentence in sentences)])
