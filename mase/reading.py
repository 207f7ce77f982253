"""How a kept model reads rows: tokens, proxies and graphs, by what was fitted when it trained."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mase.data import Rows
from mase.model.inputs import Inputs
from mase.model.preparation import build_inputs, extract_all, parse_all
from mase.params import Params
from mase.pretrained import Pretrained


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
