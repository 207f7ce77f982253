"""Train the gate control `text_encoder_matched`: the embedded towers' twins, on text that is no caption.

    python benchmarks/matched_towers.py --data-dir DIR --out $MASE_HOME/checkpoints

Three towers of the same size, steps, pairs per batch, loss and optimiser as `mase towers train`, on

- SQuAD 2.0 questions with the sentence that holds their answer; questions on one sentence are positives too,
- CommonsenseQA questions with the right choice,
- sentences with themselves, words left out (SQuAD paragraphs and UD English EWT, which is web text),
- for the image tower's twin, in the place of CLIP's vectors, words of one WordNet synset.

Texts of SQuAD and EWT that stand in a GLUE file of DIR are left out: QNLI comes from SQuAD.
"""

import argparse
import csv
import json
import re
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path

import yaml
from safetensors.torch import save

from mase.artifacts import sha256_file, write_atomically, write_json
from mase.proxies.training.corpora import tidy
from mase.proxies.training.positives import PositiveSource
from mase.proxies.training.recipes import RECIPES, Corpus, TowerModality
from mase.proxies.training.trainer import TrainedTower, train_tower

PAIRS: dict[TowerModality, tuple[int, int, int, int]] = {  # of each source in a batch; sums as in the recipes
    "image": (320, 192, 192, 128),
    "audio": (224, 128, 192, 0),
    "video": (320, 256, 288, 0),
}
_SENTENCE = re.compile(r"[^.!?]+(?:[.!?](?![\s\"')\]]|$)[^.!?]*)*[.!?]*[\"')\]]*\s*")


def glue_texts(data_dir: Path) -> set[str]:
    """Return every field of the GLUE files here, lower case."""
    found: set[str] = set()
    for path in sorted((data_dir / "glue").glob("*/*.tsv")):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line in csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
                found.update(tidy(field).lower() for field in line if len(field) > 15)
    return found


def spans(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of a paragraph are, roughly."""
    return [match.span() for match in _SENTENCE.finditer(text)]


def squad(data_dir: Path, seen: set[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return (sentence and its questions) groups, and the sentences."""
    content = json.loads((data_dir / "squad_v2/train-v2.0.json").read_text(encoding="utf-8"))
    groups, sentences = [], []
    for paragraph in (p for article in content["data"] for p in article["paragraphs"]):
        context, places = paragraph["context"], spans(paragraph["context"])
        questions: dict[int, list[str]] = defaultdict(list)
        for asked in paragraph["qas"]:
            if asked["answers"]:
                start = asked["answers"][-1]["answer_start"]
                holds = [i for i, (low, high) in enumerate(places) if low <= start < high]
                if holds:
                    questions[holds[0]].append(tidy(asked["question"]))
        for index, (low, high) in enumerate(places):
            sentence = tidy(context[low:high])
            if len(sentence.split()) < 4 or sentence.lower() in seen:
                continue
            sentences.append(sentence)
            kept = [q for q in questions[index] if q.lower() not in seen]
            if kept:
                groups.append((sentence, *dict.fromkeys(kept)))
    return groups, sentences


def commonsense(data_dir: Path) -> list[tuple[str, str]]:
    """Return (question, right choice)."""
    groups = []
    for line in (data_dir / "commonsense_qa/train_rand_split.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        right = next(c for c in record["question"]["choices"] if c["label"] == record["answerKey"])
        groups.append((tidy(record["question"]["stem"]), tidy(right["text"])))
    return groups


def web_sentences(data_dir: Path, seen: set[str]) -> list[str]:
    """Return the sentences of UD English EWT, training part."""
    lines = (data_dir / "ud_english_ewt/en_ewt-ud-train.conllu").read_text(encoding="utf-8").splitlines()
    texts = [tidy(line.removeprefix("# text = ")) for line in lines if line.startswith("# text = ")]
    return [text for text in texts if len(text.split()) > 3 and text.lower() not in seen]


def synonyms(data_dir: Path, texts: list[str]) -> list[tuple[str, ...]]:
    """Return the words of each WordNet synset that has two or more words of the texts."""
    words = {word for text in texts for word in re.findall(r"[a-z]+", text.lower())}
    lines = (data_dir / "factual_sg/spice_synonyms/english.synsets").read_text(encoding="utf-8").splitlines()
    members: dict[str, list[str]] = defaultdict(list)
    for entry, numbers in zip(lines[::2], lines[1::2], strict=True):
        if entry in words:
            for number in numbers.split()[:2]:
                members[number].append(entry)
    return [tuple(group) for _, group in sorted(members.items()) if len(group) > 1]


def corpus(modality: TowerModality, data_dir: Path) -> Corpus:
    """Return what the twin of a tower sees."""
    seen = glue_texts(data_dir)
    groups, sentences = squad(data_dir, seen)
    choices, web = commonsense(data_dir), web_sentences(data_dir, seen)
    asked, chosen, alone, words = PAIRS[modality]
    sources = [
        PositiveSource("sentence and its questions", tuple(groups), asked, 0.2),
        PositiveSource("question and right choice", tuple(choices), chosen, 0.2),
        PositiveSource("sentences", tuple((text,) for text in sentences + web), alone, 0.5),
    ]
    if words:
        texts = [text for source in sources for text in source.texts()]
        sources.append(PositiveSource("words of a synset", tuple(synonyms(data_dir, texts)), words, 0.0))
    return Corpus(tuple(sources))


def write(trained: TrainedTower, card: dict[str, object], out: Path) -> None:
    """Write weights, kept ids, manifest and the tower's params file."""
    name = f"matched-{trained.params.modality}"
    path = out / f"{name}.safetensors"
    write_atomically(path, save({k: v.half().contiguous() for k, v in trained.weights.items()}))
    write_json(out / f"{name}.token_ids.json", trained.kept)
    write_json(out / f"{name}.manifest.json", {**card, "weights_sha256": sha256_file(path)})
    note = "Control; the size and recipe of the embedded tower, trained on text that is no caption."
    params = trained.params.model_copy(update={"name": name, "ref": path.name, "note": note})
    settings = params.model_dump(mode="json", exclude_defaults=True)
    write_atomically(out / f"{name}.yaml", yaml.safe_dump(settings, sort_keys=False))


def main() -> None:
    """Train and write the three towers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--towers", default="image,audio,video")
    asked = parser.parse_args()
    for modality, recipe in RECIPES.items():
        if modality not in asked.towers.split(","):
            continue
        recipe = replace(recipe, distil_weight=0.0, sources=())
        texts = corpus(modality, asked.data_dir)
        trained = train_tower(texts, recipe, seed=asked.seed)
        card = {
            "recipe": asdict(recipe),
            "seed": asked.seed,
            "groups": {source.name: len(source.groups) for source in texts.sources},
            "last_loss": round(trained.loss, 4),
        }
        write(trained, card, asked.out)
        print(card, trained.params.vocabulary, flush=True)


if __name__ == "__main__":
    main()
