"""The rule-based verb lemmatiser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.scenegraph.lemmas import present_participle, verb_lemma


@pytest.mark.parametrize(
    ("form", "lemma"),
    [
        ("sits", "sit"), ("sitting", "sit"), ("sat", "sit"), ("rides", "ride"), ("riding", "ride"),
        ("carried", "carry"), ("carries", "carry"), ("watches", "watch"), ("goes", "go"), ("hung", "hang"),
        ("hanging", "hang"), ("grazing", "graze"), ("covered", "cover"), ("surrounded", "surround"),
        ("needed", "need"), ("feeding", "feed"), ("agreed", "agree"), ("stopped", "stop"), ("filled", "fill"),
        ("controlled", "control"), ("added", "add"), ("evaluating", "evaluate"), ("passes", "pass"),
        ("lying", "lie"), ("appeared", "appear"), ("declared", "declare"), ("is", "be"), ("", ""),
        ("ring", "ring"), ("placed", "place"), ("decorated", "decorate"), ("skateboarding", "skateboard"),
    ],
)  # fmt: skip
def test_lemma(form: str, lemma: str) -> None:
    assert verb_lemma(form) == lemma


@pytest.mark.parametrize(
    "lemma", ["sit", "ride", "carry", "bark", "stop", "eat", "lie", "see", "wait", "run", "play"]
)
def test_the_participle_leads_back_to_its_lemma(lemma: str) -> None:
    assert verb_lemma(present_participle(lemma)) == lemma


@given(st.text(max_size=12))
def test_any_string_has_a_lemma(form: str) -> None:
    assert isinstance(verb_lemma(form), str)
    assert isinstance(present_participle(form), str)


def test_verbs_of_a_treebank(shared_data) -> None:
    lines = (shared_data / "ud_english_ewt" / "en_ewt-ud-dev.conllu").read_text(encoding="utf-8").splitlines()
    columns = [line.split("\t") for line in lines if "\tVERB\t" in line]
    verbs = [(c[1].lower(), c[2].lower()) for c in columns if c[1].isalpha()]
    assert len(verbs) > 2000
    assert sum(verb_lemma(form) == lemma for form, lemma in verbs) / len(verbs) > 0.97
