"""Choose which BPE ids a small tower keeps: those of its texts, most frequent first, then common ones."""

from collections import Counter
from collections.abc import Iterable

from mase.errors import ParamsError
from mase.proxies.tokenizer import BYTES, END, FULL_VOCABULARY, START, ClipTokenizer


def choose_vocabulary(texts: Iterable[str], rows: int, *, least: int = 2) -> list[int]:
    """Return ascending BPE ids to keep.

    Args:
        texts: what the tower is trained on.
        rows: so many ids; the bytes, start and end of text are always among them.
        least: a token of the texts is kept from so many occurrences; the others are taken
            apart along the merges that made them.

    Rows that the texts leave free go to the merges that CLIP's encoding learned first: they
    stay at their random start, so that a common word which was never seen is still itself
    and not a row of letters.

    Raises:
        ParamsError: if `rows` cannot hold the bytes and the two special ids.
    """
    kept = {*range(BYTES), START, END}
    if not len(kept) <= rows <= FULL_VOCABULARY:
        raise ParamsError(f"a vocabulary has {len(kept)} to {FULL_VOCABULARY} rows, not {rows}")
    tokenizer = ClipTokenizer(context_length=FULL_VOCABULARY)
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update(tokenizer.encode(text)[0])
    for bpe_id, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if len(kept) == rows or count < least:
            break
        kept.add(bpe_id)
    for bpe_id in range(BYTES, START):
        if len(kept) == rows:
            break
        kept.add(bpe_id)
    return sorted(kept)
