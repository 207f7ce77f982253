"""Which words are hidden, and that nothing of them is left, with the tokenizer of every family."""

from collections.abc import Callable

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from mase.data import Rows
from mase.errors import ParamsError
from mase.model.backbone import load_tokenizer
from mase.model.blanks import Blanks, FillsBlanks
from mase.model.hidden_words import (
    IGNORED,
    ask,
    hide_words,
    label_pieces,
    prepare_mask_token,
    targets,
    without_blanks,
)
from mase.model.tokens import tokenise
from mase.params import BackboneParams, FileColumns, FileSource, TaskParams
from mase.params.task import MASK
from mase.scenegraph.choice import parse_function
from tests.tiny_backbones import FAMILIES, UNDERLINE

MASKED = [family for family in FAMILIES if family != "t5"]
TEXTS = (
    "two men in a boat are fishing on the quiet lake",
    "the dog barks at a car, a red bus stops here. the café's tables were wet",
    "rain",
)
TASK = TaskParams(
    name="toy",
    title="Toy",
    family="cloze",
    labels=("red", "quiet", "wet"),
    templates=("the [object] is [blank].", "see a [blank] [object]"),
    metrics=("accuracy",),
    main_metric="accuracy",
    files=FileSource(train="a.csv", dev="b.csv", columns=FileColumns(text_a="text", label="text")),
)

Checkpoint = Callable[[str], BackboneParams]


def texts(copies: int = 1) -> Rows:
    found = tuple(text for text in TEXTS for _ in range(copies))
    ids = tuple(f"caption-{i}" for i in range(len(found)))
    return Rows(ids, found, None, np.zeros(len(found), np.int64), references=((),) * len(found))


def things(*names: str) -> Rows:
    return Rows(
        names,
        names,
        None,
        np.arange(len(names)),
        references=tuple((TASK.labels[i],) for i in range(len(names))),
    )


def prepared(params: BackboneParams) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(params)
    prepare_mask_token(tokenizer, params.name)
    return tokenizer


def restored(rows: Rows, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Return the token ids of rows with the targets put back into the blanks."""
    tokens = tokenise(tokenizer, rows, 128)
    blanks = Blanks(tokens, rows)
    wanted = targets(rows, tokenizer, blanks.counts)
    found = []
    for row, places in enumerate(blanks.positions):
        ids = tokens.ids[tokens.pointer[row] : tokens.pointer[row + 1]].copy()
        assert (ids[places] == tokenizer.mask_token_id).all()
        assert (ids == tokenizer.mask_token_id).sum() == len(places) == (wanted[row] != IGNORED).sum()
        ids[places] = wanted[row, : len(places)]
        found.append(ids.tolist())
    return found


@pytest.mark.parametrize("family", MASKED)
def test_targets_in_the_blanks_give_the_text_again(family: str, checkpoint: Checkpoint) -> None:
    tokenizer = prepared(checkpoint(family))
    rows = texts(copies=4)
    hidden = hide_words(rows, tokenizer, split_seed=0)
    whole = tokenise(tokenizer, rows, 128)
    space = tokenizer.convert_tokens_to_ids(UNDERLINE)  # SentencePiece puts it after a special token
    expected = [whole.ids[whole.pointer[i] : whole.pointer[i + 1]].tolist() for i in range(len(rows))]
    found = restored(hidden, tokenizer)
    assert [[t for t in ids if t != space] for ids in found] == [
        [t for t in ids if t != space] for ids in expected
    ]


def test_fifteen_percent_of_the_words_are_hidden_and_one_at_least(checkpoint: Checkpoint) -> None:
    tokenizer = prepared(checkpoint("bert"))
    hidden = hide_words(texts(copies=30), tokenizer, split_seed=0)
    assert hidden.references is not None
    assert [len(words) for words in hidden.references] == [2] * 30 + [2] * 30 + [1] * 30
    assert len(set(hidden.references[:30])) > 10  # another id, other words
    again = hide_words(texts(copies=30), tokenizer, split_seed=0)
    other = hide_words(texts(copies=30), tokenizer, split_seed=1)
    assert again == hidden != other
    part = hide_words(texts(copies=30).take([7, 65]), tokenizer, split_seed=0)
    assert part == hidden.take([7, 65])  # whatever else is in the split


def test_every_family_hides_the_same_words(checkpoint: Checkpoint) -> None:
    found = {hide_words(texts(), prepared(checkpoint(f)), 0).references for f in MASKED}
    assert len(found) == 1


@pytest.mark.parametrize("family", MASKED)
def test_the_space_before_a_blank_is_no_token(family: str, checkpoint: Checkpoint) -> None:
    tokenizer = prepared(checkpoint(family))
    rows = Rows(("a",), (f"the {MASK}{MASK} lake",), None, np.zeros(1, np.int64))
    tokens = tokenise(tokenizer, rows, 128)
    inside = tokens.ids[tokens.segment == 0]
    assert inside[1:3].tolist() == [tokenizer.mask_token_id] * 2 and tokens.ids.size == inside.size + 2
    assert Blanks(tokens, rows).counts.tolist() == [2]


@pytest.mark.parametrize("parser", ["rules", "learned"])
def test_neither_towers_nor_parser_see_a_hidden_word_or_a_blank(parser: str, checkpoint: Checkpoint) -> None:
    tokenizer = prepared(checkpoint("bert"))
    rows = texts(copies=5)
    hidden = hide_words(rows, tokenizer, split_seed=0)
    read = FillsBlanks.for_towers(None, hidden)  # type: ignore[arg-type]  # the params are not asked
    assert FillsBlanks.for_parser(None, hidden) == read  # type: ignore[arg-type]
    assert read.references is not None
    for text, left, words in zip(hidden.texts_a, read.texts_a, read.references, strict=True):
        assert MASK not in left and len(left) == len(text)
        for word in words:
            assert left.split().count(word) < TEXTS_WORDS.count(word)
        for entity in parse_function(parser)([left])[0].entities:
            said = left[slice(*entity.span)].split()
            assert said == without_blanks(text[slice(*entity.span)]).split()
            assert not {"MASK", *words} & set(said)


TEXTS_WORDS = " ".join(TEXTS).replace(",", "").replace(".", "").split()


def test_white_space_keeps_every_other_character_in_its_place() -> None:
    assert without_blanks(f"a {MASK}{MASK} of {MASK}.") == "a              of       ."


@pytest.mark.parametrize("family", MASKED)
def test_a_label_gets_as_many_blanks_as_it_has_tokens(family: str, checkpoint: Checkpoint) -> None:
    tokenizer = prepared(checkpoint(family))
    found = label_pieces(TASK, tokenizer)
    for label, ids, count in zip(TASK.labels, found.ids, found.counts, strict=True):
        assert tokenizer.decode(ids[:count]).strip() == label
    assert found.lengths == sorted(set(found.counts.tolist()))
    asked = ask(TASK, things("boat", "car"), found.lengths)
    tokens = tokenise(tokenizer, asked, 128)
    counts = Blanks(tokens, asked).counts
    assert counts.tolist() == found.lengths * 4  # for each object and template
    assert asked.ids[0] == f"boat/1/{found.lengths[0]}" and asked.ids[-1] == f"car/2/{found.lengths[-1]}"
    assert asked.texts_a[0] == f"the boat is {MASK * found.lengths[0]}."


def test_templates_change_the_rows(checkpoint: Checkpoint) -> None:
    asked = ask(TASK, things("boat"), [1])
    other = TASK.model_copy(update={"templates": ("is the [object] [blank]?",)})
    assert asked.texts_a == (f"the boat is {MASK}.", f"see a {MASK} boat")
    assert ask(other, things("boat"), [1]).texts_a == (f"is the boat {MASK}?",)


def test_a_backbone_without_a_mask_token_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ParamsError, match="backbone t5 has no mask token.*supervised task"):
        prepare_mask_token(load_tokenizer(checkpoint("t5")), "t5")
    short = load_tokenizer(checkpoint("bert"))
    short.mask_token = "[M]"
    with pytest.raises(ParamsError, match="not 6 characters"):
        prepare_mask_token(short, "bert")


def test_a_label_that_the_vocabulary_lacks_is_refused(checkpoint: Checkpoint) -> None:
    odd = TASK.model_copy(update={"labels": ("red", "ŋŋ")})
    with pytest.raises(ParamsError, match="label 'ŋŋ'.*unknown tokens"):
        label_pieces(odd, prepared(checkpoint("bert")))


def test_blanks_beyond_the_maximum_length_are_lost_and_have_no_target(checkpoint: Checkpoint) -> None:
    tokenizer = prepared(checkpoint("bert"))
    rows = Rows(
        ("a",), (f"a {MASK} {'dog ' * 30}{MASK}",), None, np.zeros(1, np.int64), references=(("red", "wet"),)
    )
    blanks = Blanks(tokenise(tokenizer, rows, 16), rows)
    assert blanks.counts.tolist() == [1]
    wanted = targets(rows, tokenizer, blanks.counts)
    assert tokenizer.convert_ids_to_tokens(wanted[0].tolist()) == ["red"]
