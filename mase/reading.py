"""How a kept model reads rows and new texts: tokens, proxies, graphs, by what was fitted in training."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mase.data import Rows
from mase.errors import DataError
from mase.families import Answered, family_of
from mase.model.inference import predict
from mase.model.inputs import Inputs
from mase.model.preparation import build_inputs, extract_all, parse_all
from mase.params import Params
from mase.pretrained import Pretrained
from mase.scenegraph.choice import RULES, parse_function


@contextmanager
def reading(kept: Pretrained, params: Params, rows: Rows) -> Iterator[tuple[Rows, Inputs]]:
    """Give rows as the model sees them, and its inputs of these, which can be used inside the context.

    Towers and parser run anew, as for new texts; nothing is left on disk.
    """
    kind, fitted, tokenizer = type(kept.model), kept.fitted, kept.tokenizer
    seen = kind.rows(params, rows, tokenizer)
    with tempfile.TemporaryDirectory() as store:
        root = Path(store)
        graphs = parse_all(params, [seen], inventory=fitted.inventory, root=root, model=kind)
        tables = extract_all(params, [seen], graphs, root=root, model=kind)
        yield seen, build_inputs(params, fitted, tables, seen, tokenizer, model=kind)


def said(
    kept: Pretrained, params: Params, rows: Rows, seen: Rows, inputs: Inputs
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Return what a kept model predicts of rows that it reads: numbers, and a line per row in words."""
    predicted = predict(kept.model, inputs, params.training.eval_batch_size)
    answered = Answered(rows, seen, predicted, kept.tokenizer, kept.fitted.labels)
    return predicted, family_of(params.task).frame(params.task, answered)


def predict_texts(
    pretrained: Pretrained, params: Params, texts_a: Sequence[str], texts_b: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return `frame` (`Family.frame`), `predicted`, `allocation` by modality, `entities` of new texts.

    Args:
        texts_b: n second texts of a pair task; of multiple choice n * options, question by question.

    Raises:
        DataError: if there are not as many second texts as the task takes.
    """
    each, given = params.second_texts, 0 if texts_b is None else len(texts_b)
    if given != each * len(texts_a):
        what = f"{each} with each of {len(texts_a)} first texts" if each else "none"
        raise DataError(f"task {params.task.name} takes second texts: {what}; there are {given}")
    unlabelled = family_of(params.task).unlabelled(len(texts_a))
    ids = tuple(str(i) for i in range(len(texts_a)))
    first = tuple(np.repeat(np.array(texts_a, dtype=object), max(1, each)))
    seconds = None if texts_b is None else tuple(texts_b)
    rows = Rows(ids, first, seconds, unlabelled, options=params.task.options)
    honest = params.model_copy(update={"proxies": params.proxies.model_copy(update={"shuffle": False})})
    with reading(pretrained, honest, rows) as (seen, inputs):
        predicted, frame = said(pretrained, params, rows, seen, inputs)
    weights = dict(zip(params.modalities, pretrained.model.allocation.tolist(), strict=False))
    parse = parse_function(params.graph.parser if params.graph is not None else RULES)
    entities = [
        [text[e.span[0] : e.span[1]] for text in texts for e in parse([text])[0].entities]
        for texts in rows.pairs()
    ]
    return {"frame": frame, "predicted": predicted, "allocation": weights, "entities": entities}
