"""The part-of-speech tagger: accuracy, speed-ups that change nothing, training, and damaged files."""

import json
from pathlib import Path

import pytest

from mase.artifacts import sha256_file
from mase.errors import DataError, ScenegraphError
from mase.scenegraph.tagger import (
    END,
    OFFSETS,
    START,
    WEIGHTS,
    Tagger,
    default_tagger,
    keys_of,
    tag_features,
    word_features,
)
from mase.scenegraph.train_tagger import (
    accuracy,
    closed_classes,
    lowered,
    read_conllu,
    train_tagger,
    usual_tags,
)

SENTENCES = [
    [("The", "DT"), ("dog", "NN"), ("barks", "VBZ"), (".", ".")],
    [
        ("A", "DT"),
        ("well", "RB"),
        ("-", "HYPH"),
        ("known", "VBN"),
        ("man", "NN"),
        ("sings", "VBZ"),
        (".", "."),
    ],
]


def write_conllu(path: Path, sentences: list[list[tuple[str, str]]]) -> Path:
    lines = []
    for sentence in sentences:
        lines += [f"{i}\t{w}\t_\t_\t{t}\t_\t0\t_\t_\t_" for i, (w, t) in enumerate(sentence, 1)] + [""]
    path.write_text("# a comment\n" + "\n".join(lines), encoding="utf-8")
    return path


def test_accuracy_on_held_out_sentences(shared_data: Path) -> None:
    dev = read_conllu(shared_data / "ud_english_ewt" / "en_ewt-ud-dev.conllu")
    sample = dev[:: len(dev) // 300][:300]
    assert len(sample) == 300
    assert accuracy(default_tagger(), sample) >= 0.93


def test_table_look_ups_give_the_same_tags_as_adding_up_features(shared_data: Path) -> None:
    """Tag in the plain way, feature by feature, and compare."""
    tagger = default_tagger()
    dev = read_conllu(shared_data / "ud_english_ewt" / "en_ewt-ud-dev.conllu")[:30]
    for words in [[w for w, _ in s] for s in dev]:
        parts = [word_features(k, tagger._lexicon) for k in (START, START, *keys_of(words), END, END)]
        before, before_that, expected = START, START, []
        for i, word in enumerate(words):
            names = [n for place in range(len(OFFSETS)) for n in parts[i + place][place]]
            scores = dict.fromkeys(tagger.tags, 0)
            for name in names + tag_features(before, before_that):
                ids, values = tagger._weights.get(name, ((), ()))
                for tag_id, value in zip(ids, values, strict=True):
                    scores[tagger.tags[tag_id]] += int(value)
            allowed = [t for t in tagger.tags if t not in tagger._closed or word.lower() in tagger._closed[t]]
            before, before_that = max(allowed, key=lambda t: scores[t]), before
            expected.append(before)
        assert tagger.tag(words) == expected


def test_tags_do_not_depend_on_the_batch() -> None:
    sentences = [["a", "dog", "runs"], ["stop"], [], ["The", "old", "man", "and", "the", "sea"]]
    tagger = default_tagger()
    assert tagger.tag_batch(sentences) == [tagger.tag(s) for s in sentences]
    assert tagger.tag_batch([]) == []


def test_a_full_cache_is_emptied_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = Tagger.load(WEIGHTS)
    before = tagger.tag(["a", "dog", "sat"])
    monkeypatch.setattr("mase.scenegraph.tagger.CAPACITY", 50)
    for i in range(300):
        tagger.tag([f"word{i}", "runs"])
    assert len(tagger._ids) < 60
    assert tagger.tag(["a", "dog", "sat"]) == before


def test_closed_class_tags_are_kept_for_words_that_had_them() -> None:
    assert default_tagger().tag(["zorblat", "on", "a", "mat"])[0] in (
        "NN",
        "NNP",
        "NNS",
        "JJ",
        "RB",
        "VB",
        "CD",
    )
    closed = closed_classes(SENTENCES)
    assert closed == {"DT": {"the", "a"}, ".": {"."}, "HYPH": {"-"}}


def test_training_is_deterministic_and_learns(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "ud_english_ewt" / "en_ewt-ud-train.conllu"
    options = {"dev": write_conllu(tmp_path / "dev.conllu", SENTENCES), "limit": 50, "epochs": 3}
    first = train_tagger([source], tmp_path / "a" / "tagger.npz", **options)
    train_tagger([source], tmp_path / "b" / "tagger.npz", **options)
    assert sha256_file(tmp_path / "a" / "tagger.npz") == sha256_file(tmp_path / "b" / "tagger.npz")
    assert accuracy(first, read_conllu(source)[:50]) > 0.97
    manifest = json.loads((tmp_path / "a" / "tagger.json").read_text())
    assert manifest["sentences"] == 50
    assert manifest["data"] == [{"file": source.name, "sha256": sha256_file(source)}]
    assert 0 < manifest["dev_accuracy"] <= 1
    again = Tagger.load(tmp_path / "a" / "tagger.npz")
    assert again.tag(["The", "dog", "barks"]) == first.tag(["The", "dog", "barks"])


def test_the_shipped_weights_are_small_and_match_their_manifest() -> None:
    manifest = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert WEIGHTS.stat().st_size < 2_000_000
    assert manifest["sha256"] == sha256_file(WEIGHTS)
    assert manifest["dev_accuracy"] > 0.92
    assert "CC BY-SA 4.0" in (WEIGHTS.parent / "LICENCE.md").read_text()


def test_hyphenated_words_are_joined_in_the_lowered_copy() -> None:
    assert lowered(SENTENCES[1])[:2] == [("a", "DT"), ("well-known", "JJ")]


def test_usual_tags_are_those_of_frequent_words() -> None:
    mostly = [[("the", "DT"), ("saw", "VBD")]] * 30 + [[("saw", "NN")]] * 10 + [[("Saw", "NNP")]]
    assert usual_tags(mostly) == {"the": "DT", "saw": "NN/VBD"}
    assert usual_tags(SENTENCES) == {}


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "tagger.npz"
    with pytest.raises(ScenegraphError, match="train again"):
        Tagger.load(broken)
    broken.write_bytes(WEIGHTS.read_bytes()[:1000])
    with pytest.raises(ScenegraphError, match="tagger.npz"):
        Tagger.load(broken)


def test_bad_training_files_are_named_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_conllu(tmp_path / "missing.conllu")
    bad = tmp_path / "bad.conllu"
    bad.write_text("# text\n1\tdog\tNN\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.conllu:2: 3 columns"):
        read_conllu(bad)
    empty = tmp_path / "empty.conllu"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="no sentence"):
        train_tagger([empty], tmp_path / "out.npz")
