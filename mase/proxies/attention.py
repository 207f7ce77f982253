"""What a CLIP text tower looks at: the attention of its end-of-text position, whose state it pools."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mase.proxies.clip_text import Block, ClipTextTower
from mase.proxies.tower import BATCH_TEXTS, BATCH_TOKENS, length_batches, padded


def word_attention(tower: ClipTextTower, texts: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """Return how much the end-of-text position attends to each word of each text, in the last layer.

    A word's share is the sum over its tokens, of the mean over heads; the start and the end of the text
    have the rest. Words beyond the tower's context length have 0.

    Args:
        tower: the encoder.
        texts: each as its words, which the tower reads with blanks between them.
    """
    pieces = [[tower.tokenizer.encode(word)[0][1:-1] for word in words] for words in texts]
    room = tower.context_length - 2
    rows = [
        [tower.tokenizer.start, *[i for word in words for i in word][:room], tower.tokenizer.end]
        for words in pieces
    ]
    found: list[np.ndarray] = [np.zeros(0, np.float32)] * len(rows)
    for batch in length_batches([len(row) for row in rows], tokens=BATCH_TOKENS, texts=BATCH_TEXTS):
        ids, lengths = padded([rows[i] for i in batch])
        attention = end_attention(tower, ids.to(tower.device), lengths.to(tower.device)).cpu().numpy()
        for place, i in enumerate(batch):
            owner = np.repeat(np.arange(len(pieces[i])), [len(word) for word in pieces[i]])[:room]
            seen = attention[place, 1 : 1 + len(owner)]
            found[i] = np.bincount(owner, seen, minlength=len(pieces[i])).astype(np.float32)
    return found


@torch.inference_mode()
def end_attention(
    tower: ClipTextTower, ids: Int[Tensor, "B L"], lengths: Int[Tensor, "B"]
) -> Float[Tensor, "B L"]:
    """Return the last layer's attention from each text's last position, mean over heads, 0 at padding."""
    module = tower.module
    blocks: list[Block] = list(module.transformer["resblocks"])  # type: ignore[arg-type]
    states = module.token_embedding(ids) + module.positional_embedding[: ids.shape[1]]
    for block in blocks[:-1]:
        states = block(states)
    attention, states = blocks[-1].attn, blocks[-1].ln_1(states)
    width, rows = states.shape[-1], torch.arange(len(ids), device=ids.device)
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    query = F.linear(states[rows, lengths - 1], weight[:width], bias[:width])
    key = F.linear(states, weight[width : 2 * width], bias[width : 2 * width])
    query, key = (part.unflatten(-1, (attention.heads, -1)) for part in (query, key))
    scores = torch.einsum("bkd,blkd->bkl", query, key) * query.shape[-1] ** -0.5
    beyond = torch.arange(ids.shape[1], device=ids.device) >= lengths[:, None]
    return scores.masked_fill(beyond[:, None], -torch.inf).softmax(-1).mean(1)
