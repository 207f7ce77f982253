"""The synthetic tasks: balanced, disjoint by object, and silent about what decides the label."""

import re
from collections import Counter

import pytest

from mase.artifacts import digest_of
from mase.data import Rows, prepare
from mase.data.embedded import TASKS, generate, lexicon
from mase.data.embedded.opinions import COMPLAINT, PRAISE, phrases
from mase.data.embedded.sentences import with_article
from mase.data.embedded.tasks import WARM
from mase.errors import DataError
from mase.params import DataParams, TaskParams, read_named, validate

ABOUT_OBJECTS = ("looks", "sounds", "moves")
NAMES = {entry.name: entry for entry in lexicon.entries()}


def load(name: str) -> TaskParams:
    return validate(TaskParams, read_named("tasks", name), name)


def inflections(word: str) -> set[str]:
    stem = word.removesuffix("e")
    doubled = word + word[-1]
    return {
        word,
        f"{word}s",
        f"{word}es",
        f"{stem}ed",
        f"{stem}ing",
        f"{doubled}ed",
        f"{doubled}ing",
        f"{stem}y",
    }


ATTRIBUTES = {*lexicon.COLOURS, *lexicon.SHAPES, *lexicon.SOUNDS, *lexicon.MOTIONS}
FORBIDDEN = set().union(*map(inflections, ATTRIBUTES)) | {
    *("warm", "cool", "loud", "quiet", "noisy", "noise", "sound", "sounds", "sounding", "move", "moves"),
    *("moving", "motion", "colour", "coloured", "shape", "shaped", "brown", "purple", "golden", "silver"),
    *("flew", "flown", "ran", "swam", "drove", "sang", "rang"),
}


def test_the_lexicon_is_large_and_names_each_object_once_per_attribute() -> None:
    assert len(NAMES) >= 240
    for table in (lexicon.COLOURS, lexicon.SHAPES, lexicon.SOUNDS, lexicon.MOTIONS):
        listed = [name.strip() for names in table.values() for name in names.split(",")]
        assert [name for name, count in Counter(listed).items() if count > 1] == []
        assert all(re.fullmatch(r"[a-z]+([ -][a-z]+)*", name) for name in listed)


def test_sound_and_motion_say_nothing_about_each_other() -> None:
    cells = Counter()
    for rows in generate(load("sounds")):
        for name in set(rows.groups or ()):
            cells[NAMES[name].sound == "silent", NAMES[name].motion == "still"] += 1
    assert len(cells) == 4
    assert len(set(cells.values())) == 1


@pytest.mark.parametrize("name", list(TASKS))
def test_there_are_enough_distinct_balanced_short_sentences(name: str) -> None:
    train, dev = generate(load(name))
    assert len(set(train.texts_a)) == len(train) >= 1000
    assert len(set(dev.texts_a)) == len(dev) >= 300
    assert not set(train.texts_a) & set(dev.texts_a)
    for rows in (train, dev):
        assert 0.45 <= rows.labels.mean() <= 0.55
        assert all(8 <= len(text.split()) <= 14 for text in rows.texts_a)
        assert all(text[0].isupper() and text.endswith(".") for text in rows.texts_a)
        assert len(set(rows.ids)) == len(rows)


@pytest.mark.parametrize("name", list(TASKS))
def test_no_sentence_names_an_attribute(name: str) -> None:
    for rows in generate(load(name)):
        for text in rows.texts_a:
            assert not FORBIDDEN & set(re.findall(r"[a-z]+", text.lower())), text


@pytest.mark.parametrize("name", ABOUT_OBJECTS)
def test_the_label_is_the_attribute_of_the_object_in_the_sentence(name: str) -> None:
    task = load(name)
    expected = {
        "looks": lambda entry: "warm" if entry.colour in WARM else "cool",
        "sounds": lambda entry: "silent" if entry.sound == "silent" else "sounding",
        "moves": lambda entry: "still" if entry.motion == "still" else "moving",
    }[name]
    for rows in generate(task):
        assert rows.groups is not None
        for text, label, group in zip(rows.texts_a, rows.labels, rows.groups, strict=True):
            assert with_article(group) in text
            assert task.labels[label] == expected(NAMES[group])


def test_in_says_the_opinion_decides_and_no_opinion_is_in_two_groups() -> None:
    task = load("says")
    praise, complaint = phrases(PRAISE), phrases(COMPLAINT)
    assert len(praise) == len(set(praise)) == len(complaint) == len(set(complaint))
    assert not set(praise) & set(complaint)
    groups: dict[str, set[str]] = {}
    for rows in generate(task):
        assert rows.groups is not None
        for text, label, group in zip(rows.texts_a, rows.labels, rows.groups, strict=True):
            opinion = text.removesuffix(".").split(" was ", 1)[1]
            assert opinion in (praise if task.labels[label] == "praise" else complaint)
            groups.setdefault(opinion, set()).add(group)
    assert all(len(found) == 1 for found in groups.values())


def objects(rows: Rows) -> set[str]:
    """Return the objects that people in `says` have an opinion of."""
    found = (re.search(r" that the (.+) was ", text) for text in rows.texts_a)
    return {match.group(1) for match in found if match}


@pytest.mark.parametrize("name", list(TASKS))
@pytest.mark.parametrize("evaluate_on", ["dev", "tune", "internal_test"])
def test_groups_are_disjoint_over_all_parts_with_caps(name: str, evaluate_on: str) -> None:
    data = DataParams.model_validate(
        {"max_train_rows": 256, "max_eval_rows": 200, "evaluate_on": evaluate_on}
    )
    prepared = prepare(load(name), data)
    parts = [set(rows.groups or ()) for rows in (prepared.train, prepared.slice, prepared.evaluation)]
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[2] & (parts[0] | parts[1])
    assert len(prepared.train) + len(prepared.slice) == 256
    assert len(prepared.slice) >= 90
    for rows in (prepared.train, prepared.slice, prepared.evaluation):
        assert 0.4 <= rows.labels.mean() <= 0.6
    assert prepared.digest == prepare(load(name), data).digest


def test_objects_themselves_are_disjoint_over_the_parts_of_says() -> None:
    prepared = prepare(load("says"), DataParams(max_train_rows=256, max_eval_rows=100))
    train, information, evaluation = map(objects, (prepared.train, prepared.slice, prepared.evaluation))
    assert train | information | evaluation <= set(NAMES)
    assert min(map(len, (train, information, evaluation))) >= 20
    assert not train & information
    assert not evaluation & (train | information)


def test_the_smoke_size_works_and_needs_no_file() -> None:
    for name in TASKS:
        prepared = prepare(load(name), DataParams(max_train_rows=64, max_eval_rows=64))
        assert prepared.source == f"embedded:{name}"
        assert len(prepared.train) + len(prepared.slice) == 64
        assert len(prepared.evaluation) == 64
        assert set(prepared.train.labels.tolist()) == {0, 1}


def test_the_generated_rows_have_not_changed() -> None:
    """Whoever changes the rows changes every number made from them, and this digest."""
    digests = [[rows.digest() for rows in generate(load(name))] for name in TASKS]
    assert digest_of(digests) == "c762344f837a59c543b8"


def test_wrong_labels_or_an_unknown_generator_are_refused() -> None:
    with pytest.raises(DataError, match="no embedded generator 'smells'; there is: looks, sounds"):
        generate(load("looks").model_copy(update={"embedded": "smells"}))
    with pytest.raises(DataError, match=r"gives the labels \['cool', 'warm'\]"):
        generate(load("looks").model_copy(update={"labels": ("hot", "cold")}))


@pytest.mark.parametrize(
    ("name", "phrase"),
    [("lemon", "a lemon"), ("egg yolk", "an egg yolk"), ("unicycle", "a unicycle"), ("ukulele", "a ukulele")],
)
def test_articles_follow_the_sound(name: str, phrase: str) -> None:
    assert with_article(name) == phrase
