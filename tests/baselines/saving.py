"""A run's model, saved and loaded again."""

from pathlib import Path

import numpy as np

from mase.params import Params
from mase.pretrained import Pretrained, load_pretrained, save_pretrained
from mase.reading import predict_texts
from mase.training import Assembled
from tests.planted import predict_logits


def saved_and_loaded(
    run: Assembled, params: Params, folder: Path, *, texts: int, tolerance: float
) -> tuple[Pretrained, Params]:
    """Return a run's model after a folder: it gives the same logits, and nearly those for texts alone."""
    save_pretrained(folder, run.model, params, run.fitted, run.tokenizer)
    loaded, read = load_pretrained(folder)
    expected = predict_logits(run.model, run.evaluation, 16)
    assert predict_logits(loaded.model, run.evaluation, 16).equal(expected)
    some = list(run.data.evaluation.texts_a[:texts])
    found = predict_texts(loaded, read, some)["predicted"]["logits"]
    assert np.allclose(found, expected[:texts], atol=tolerance)
    return loaded, read
