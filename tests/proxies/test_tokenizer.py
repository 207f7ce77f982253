import open_clip
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.errors import CheckpointFormatError
from mase.proxies.tokenizer import (
    END,
    FULL_VOCABULARY,
    START,
    ClipTokenizer,
    check_kept_ids,
    clean,
    lowest_ids,
)

AWKWARD = st.sampled_from(
    ["&lt;p&gt;", "don't", "\u2019s", "\u00c3\u00a9", "  ", "\t", "<end_of_text>", "1234", "!!!"]
)
SENTENCES = st.lists(st.one_of(st.text(max_size=12), AWKWARD), max_size=30).map(" ".join)


def written_out(rows: list[int], kept: tuple[int, ...]) -> str:
    """Return the characters that rows of a cut-down embedding stand for."""
    return open_clip.tokenizer.decode(open_clip.tokenizer.torch.tensor([kept[row] for row in rows[1:-1]]))


@given(SENTENCES)
def test_ids_are_those_of_open_clip_up_to_the_first_end_of_text(text: str) -> None:
    reference = open_clip.tokenize([text])[0].tolist()
    ids, _ = ClipTokenizer(77).encode(text)
    assert ids == reference[: reference.index(END) + 1]


@given(SENTENCES)
def test_the_fast_path_of_cleaning_changes_nothing(text: str) -> None:
    assert clean(text) == open_clip.tokenizer._tokenizer.clean_fn(text)


@given(st.text(max_size=60), st.sampled_from([514, 600, 3000, 20000]))
def test_a_cut_down_vocabulary_spells_the_same_text(text: str, rows: int) -> None:
    kept = lowest_ids(rows)
    ids, cut = ClipTokenizer(10_000, kept).encode(text)
    full, _ = ClipTokenizer(10_000).encode(text)
    assert not cut
    assert max(ids) < rows
    assert written_out(ids, kept) == written_out(full, tuple(range(FULL_VOCABULARY)))


def test_a_long_text_is_cut_and_keeps_end_of_text_last() -> None:
    tokenizer = ClipTokenizer(8)
    just_fits, whole = tokenizer.encode("one two three four five six")
    assert (len(just_fits), whole) == (8, False)
    assert tokenizer.encode("one two three four five six seven") == (just_fits, True)
    assert (just_fits[0], just_fits[-1]) == (START, END)


@pytest.mark.parametrize(
    "text", ["", "   ", "\n", "\x00", "\ud800", "\u200b", "\U0001f468\u200d\U0001f469\u200d\U0001f467"]
)
def test_odd_texts_have_ids(text: str) -> None:
    ids, cut = ClipTokenizer(77).encode(text)
    assert ids[0] == START
    assert ids[-1] == END
    assert not cut


@pytest.mark.parametrize("text", ["xq" * 5000, "\U0001f600" * 2500, "word " * 2000, "a" * 10_000])
def test_ten_thousand_characters_give_the_ids_of_open_clip(text: str) -> None:
    ids, cut = ClipTokenizer(77).encode(text)
    assert cut
    assert ids == open_clip.tokenize([text])[0].tolist()


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ([*range(512), 511, START, END], "ascending"),
        ([*range(511), START, END], "BPE id 511 must be kept"),
        ([*range(512), START], f"BPE id {END} must be kept"),
        ([*range(512), START, END, FULL_VOCABULARY], "outside"),
        ([*range(512), "512"], "integers"),
    ],
)
def test_a_bad_list_of_kept_ids_is_refused(kept: list[int], message: str) -> None:
    with pytest.raises(CheckpointFormatError, match=f"list.json.*{message}"):
        check_kept_ids(kept, "list.json")
