"""Train the part-of-speech tagger from CoNLL-U files: `python -m mase.scenegraph.train_tagger --help`.

Each sentence is seen twice: as written, and in lower case with hyphenated words joined
(captions and several GLUE tasks are lower-case, and NLTK does not split at hyphens).
"""

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from nltk.tag.perceptron import AveragedPerceptron

from mase.artifacts import sha256_file, write_json
from mase.errors import DataError
from mase.scenegraph.tagger import END, OPEN_TAGS, START, Tagger, keys_of, tag_features, word_features

Tagged = list[tuple[str, str]]
VERSION = 1
SCALE = 20


def read_conllu(path: Path) -> list[Tagged]:
    """Return the (word, Penn tag) sentences of a CoNLL-U file.

    Raises:
        DataError: if the file is missing or a line has not ten columns (names the line).
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; give CoNLL-U files, for example en_ewt-ud-train.conllu")
    sentences: list[Tagged] = [[]]
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            sentences.append([])
        elif not line.startswith("#"):
            columns = line.split("\t")
            if len(columns) != 10:
                raise DataError(f"{path}:{number}: {len(columns)} columns where CoNLL-U has 10")
            if columns[0].isdecimal():
                sentences[-1].append((columns[1], columns[4]))
    return [s for s in sentences if s]


def lowered(sentence: Tagged) -> Tagged:
    """Return a sentence in lower case, its hyphenated words joined.

    A joined word before a noun is an adjective; elsewhere it has the tag of its last part.
    """
    words = [(word.lower(), tag) for word, tag in sentence]
    result: Tagged = []
    place = 0
    while place < len(words):
        word, tag = words[place]
        place += 1
        while place + 1 < len(words) and words[place][1] == "HYPH":
            word, tag = f"{word}-{words[place + 1][0]}", words[place + 1][1]
            place += 2
            if place < len(words) and words[place][1].startswith("NN"):
                tag = "JJ"
        result.append((word, tag))
    return result


class _Perceptron(AveragedPerceptron):
    """NLTK's perceptron with a prediction that looks only at the tags that have a score."""

    def predict(self, features: Mapping[str, int], return_conf: bool = False) -> tuple[str, float | None]:
        """Return the tag with the highest score; the last in the alphabet among equals."""
        scores: dict[str, float] = defaultdict(float)
        for name in features:
            for tag, weight in self.weights.get(name, {}).items():
                scores[tag] += weight
        pairs = ((score, tag) for tag, score in scores.items())
        return max(pairs, default=(0.0, max(self.classes)))[1], None


def fit(sentences: Sequence[Tagged], *, epochs: int = 6, seed: int = 0) -> Tagger:
    """Train on sentences and their lowered copies; the same sentences and seed give the same weights."""
    lexicon, closed = usual_tags(sentences), closed_classes(sentences)
    model = _Perceptron()
    model.classes = {tag for sentence in sentences for _, tag in sentence}
    both = [*sentences, *map(lowered, sentences)]
    encoded = [(_static_features([w for w, _ in s], lexicon), [t for _, t in s]) for s in both]
    generator = random.Random(seed)
    for _ in range(epochs):
        generator.shuffle(encoded)
        for features, tags in encoded:
            before, before_that = START, START
            for static, truth in zip(features, tags, strict=True):
                active = dict.fromkeys([*static, *tag_features(before, before_that)], 1)
                guess, _ = model.predict(active)
                model.update(truth, guess, active)
                before, before_that = guess, before
    model.average_weights()
    tags = sorted(model.classes)
    return Tagger(tags, _quantised(model.weights, tags), lexicon, closed)


def usual_tags(sentences: Iterable[Tagged], *, least: int = 4, share: float = 0.08) -> dict[str, str]:
    """Return, for words seen `least` times, the tags of at least `share` of their uses, joined by "/"."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for word, tag in sentence:
            counts[word.lower()][tag] += 1
    return {
        word: "/".join(sorted(tag for tag, n in tags.items() if n >= share * tags.total()))
        for word, tags in counts.items()
        if tags.total() >= least
    }


def closed_classes(sentences: Iterable[Tagged]) -> dict[str, set[str]]:
    """Return the words seen with each closed-class tag, lower case."""
    words: dict[str, set[str]] = defaultdict(set)
    for sentence in sentences:
        for word, tag in sentence:
            if tag not in OPEN_TAGS:
                words[tag].add(word.lower())
    return dict(words)


def _static_features(words: Sequence[str], lexicon: Mapping[str, str]) -> list[list[str]]:
    by_word = [word_features(key, lexicon) for key in (START, START, *keys_of(words), END, END)]
    return [[name for place in range(5) for name in by_word[i + place][place]] for i in range(len(words))]


def _quantised(
    weights: dict[str, dict[str, float]], tags: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the weights times `SCALE`, rounded; what rounds to zero is dropped."""
    place = {tag: i for i, tag in enumerate(tags)}
    result: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, row in weights.items():
        kept = sorted(
            (place[tag], round(value * SCALE)) for tag, value in row.items() if round(value * SCALE)
        )
        if kept:
            ids, values = zip(*kept, strict=True)
            result[name] = (np.array(ids, dtype=np.intp), np.array(values, dtype=np.int16))
    return result


def accuracy(tagger: Tagger, sentences: Sequence[Tagged]) -> float:
    """Return the share of tokens with the right tag."""
    guesses = tagger.tag_batch([[word for word, _ in s] for s in sentences])
    right = sum(
        g == t
        for guess, s in zip(guesses, sentences, strict=True)
        for g, (_, t) in zip(guess, s, strict=True)
    )
    return right / sum(len(s) for s in sentences)


def train_tagger(
    conllu_paths: Iterable[Path | str],
    out: Path | str,
    *,
    dev: Path | str | None = None,
    limit: int | None = None,
    epochs: int = 6,
    seed: int = 0,
) -> Tagger:
    """Train on CoNLL-U files and write `out` (npz) and a manifest beside it; return the tagger.

    Args:
        conllu_paths: training files, in order.
        out: the weights file; the manifest has the same name with `.json`.
        dev: a file to report the accuracy on.
        limit: use only the first so many sentences.
        epochs: passes over the data.
        seed: of the order of the sentences.

    Raises:
        DataError: if a file is missing or malformed, or there is no sentence.
    """
    paths = [Path(p) for p in conllu_paths]
    sentences = [s for path in paths for s in read_conllu(path)][:limit]
    if not sentences:
        raise DataError("no sentence to train the tagger on")
    tagger = fit(sentences, epochs=epochs, seed=seed)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    tagger.save(out)
    manifest = {
        "about": "averaged-perceptron part-of-speech tagger, Penn tags",
        "data": [{"file": p.name, "sha256": sha256_file(p)} for p in paths],
        "epochs": epochs,
        "licence": "CC BY-SA 4.0, as the training data (see LICENCE.md)",
        "seed": seed,
        "sentences": len(sentences),
        "sha256": sha256_file(out),
        "tags": len(tagger.tags),
        "version": VERSION,
    }
    if dev is not None:
        held_out = read_conllu(Path(dev))
        manifest["dev"] = {"file": Path(dev).name, "sha256": sha256_file(Path(dev))}
        manifest["dev_accuracy"] = round(accuracy(tagger, held_out), 4)
        manifest["dev_accuracy_lower_case"] = round(accuracy(tagger, [lowered(s) for s in held_out]), 4)
    write_json(out.with_suffix(".json"), manifest)
    out.with_suffix(".json").chmod(0o644)
    return tagger


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the part-of-speech tagger.")
    parser.add_argument("conllu", nargs="+", type=Path, help="training files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dev", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train_tagger(options.conllu, options.out, dev=options.dev, epochs=options.epochs, seed=options.seed)
    print(options.out.with_suffix(".json").read_text(), end="")


if __name__ == "__main__":
    main()
