"""A small parser trained on captions with gold graphs: spans tagged and linked by a BiLSTM.

    reading.py     sentences, their tags, and the rules' graph as features
    alignment.py   gold facts -> the words that they speak of
    vocabulary.py  closed predicates and names of phrases
    spans.py       spans <-> one tag per token
    candidates.py  pairs of spans as arrays
    negation.py    the rules' negation, kept
    network.py     features -> scores
    decoding.py    scores -> entities and relations
    parser.py      weights on disk, `parse`
    training.py    loss and optimiser; train.py is the command

This room needs torch; the rules do without it, so `mase.scenegraph` does not import it.
The weights are in `weights/`, at most 4 MB.
"""

from mase.scenegraph.learned.parser import LearnedParser, default_parser, parse

__all__ = ["LearnedParser", "default_parser", "parse"]
