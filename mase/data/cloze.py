"""Cloze: fill in a hidden word. Trained on plain texts (captions), asked on probes.

A file whose `text_a` and `label` are one column holds texts to learn from: each is its own label, since
words of it will be hidden. Any other file is a probe (`mase.data.probes`): an object a row, whose
label is one of a closed set. Which words are hidden, and the templates' sentences, follow where a
tokenizer is known (`mase.model.hidden_words`).
"""

from mase.data import probes
from mase.data.nouns import head_noun, words
from mase.data.records import Example, Fields, RowError, text
from mase.data.rows import Rows
from mase.params import FileColumns, TaskParams
from mase.params.task import MASK

PICTURE = "image_id"  # field of a text: the picture that it is a caption of
OPTIONAL = (PICTURE, probes.DISTRIBUTION)


def parse(task: TaskParams, columns: FileColumns, fields: Fields, *, keep_empty: bool) -> Example:
    """Return a record as an example: a text with nothing as reference, or an object with its label's word.

    The label of a text is 0 and means nothing; that of an object is its class id, or (class id, counts of
    each label) where the record has a distribution. Captions of one picture form a group.

    Raises:
        RowError: if a text holds no word to hide, or an object or its label is missing.
    """
    if columns.text_a == columns.label:
        return _text(columns, fields, keep_empty)
    label, counts = probes.label_of(task, columns, fields), probes.counts_of(task, fields)
    return Example(
        (probes.phrase(columns, fields, keep_empty=keep_empty),),
        None,
        (label, *counts) if counts else label,
        references=(task.labels[label],),
        group=head_noun(text(fields, columns.text_a, keep_empty=keep_empty)),
        stratum=task.labels[label],
    )


def _text(columns: FileColumns, fields: Fields, keep_empty: bool) -> Example:
    found = text(fields, columns.text_a, keep_empty=keep_empty)
    if not words(found):
        raise RowError("no word that could be hidden", "delete the row")
    if MASK in found:
        raise RowError(f"the text holds {MASK}, which stands for a hidden word", "take it out")
    picture = fields.get(PICTURE)
    return Example((found,), None, 0, references=(), group=None if picture is None else str(picture))


def are_texts(rows: Rows) -> bool:
    """Return whether rows are texts to learn from; objects have a reference, or, if new, none is known."""
    return rows.references is not None and not any(rows.references)
