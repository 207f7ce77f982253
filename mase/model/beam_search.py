"""The most probable sentence that a decoder writes, by beam search."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mase.model.decoder import Decoder
from mase.model.memory import Memory


@torch.no_grad()
def beam_search(
    decoder: Decoder, memory: Memory, rows: int, *, beams: int, length: int
) -> Int[Tensor, "B T"]:
    """Return the tokens of one sentence per row, its end among them, padded to `length`.

    Of the sentences that end within `length` tokens, and of those that are cut there, the one with the
    highest mean log probability per token is taken. A row stops once no open sentence has a higher mean so
    far. With one beam this is greedy. A row's search does not depend on the other rows; nothing is drawn.

    Args:
        rows: B, the number of rows of the memory.
        beams: open sentences that are kept; each step looks at the 2 * beams best continuations.
        length: most tokens of a sentence, its end included.
    """
    _, end, pad = decoder.special.tolist()
    search = _Search(decoder, memory, rows, beams, length, pad)
    for place in range(length):
        scores, source, tokens = search.continuations()
        ends = tokens == end
        search.finish(scores, source, tokens, ends, place)
        search.go_on(scores.masked_fill(ends, -torch.inf), source, tokens, place)
        if bool(search.done.all()):
            break
    search.cut()
    return search.best


class _Search:
    """Open sentences (B, K, T) with their log probabilities (B, K), and the best finished one of each row."""

    def __init__(self, decoder: Decoder, memory: Memory, rows: int, beams: int, length: int, pad: int):
        device = decoder.special.device
        self.decoder, self.beams, self.length = decoder, beams, length
        self.first = torch.arange(rows, device=device)[:, None] * beams  # of each row's beams, (B, 1)
        self.written = decoder.begin(memory).repeated(
            torch.arange(rows, device=device).repeat_interleave(beams)
        )
        self.open = torch.full((rows, beams, length), pad, device=device)
        self.scores = torch.full((rows, beams), -torch.inf, device=device)
        self.scores[:, 0] = 0.0  # all beams start alike: only one of them counts
        self.last = decoder.special[0].expand(rows, beams)
        self.best = torch.full((rows, length), pad, device=device)
        self.best_mean = torch.full((rows,), -torch.inf, device=device)
        self.done = torch.zeros(rows, dtype=torch.bool, device=device)

    def continuations(self) -> tuple[Float[Tensor, "B C"], Int[Tensor, "B C"], Int[Tensor, "B C"]]:
        """Return the best continuations: log probability, which beam each continues, and its token."""
        logits = self.decoder.step(self.last.reshape(-1, 1), self.written)[:, -1].float()
        found = self.scores.unsqueeze(-1) + logits.log_softmax(-1).unflatten(0, self.scores.shape)
        scores, places = found.flatten(1).topk(2 * self.beams, dim=1)
        return scores, places // found.shape[-1], places % found.shape[-1]

    def finish(
        self, scores: Tensor, source: Tensor, tokens: Tensor, ends: Bool[Tensor, "B C"], place: int
    ) -> None:
        """Take the best of the sentences that end here, among the first `beams`, if it is the best so far."""
        among = ends & (torch.arange(scores.shape[1], device=scores.device) < self.beams)
        mean, chosen = (scores.masked_fill(~among, -torch.inf) / (place + 1)).max(dim=1)
        sentence = self.open[
            torch.arange(len(mean), device=mean.device), source.gather(1, chosen[:, None])[:, 0]
        ]
        sentence = sentence.clone()
        sentence[:, place] = tokens.gather(1, chosen[:, None])[:, 0]
        self._replace(mean, sentence)

    def go_on(self, scores: Tensor, source: Tensor, tokens: Tensor, place: int) -> None:
        """Keep the best open sentences; a row whose best finished one is better is done."""
        self.scores, kept = scores.topk(self.beams, dim=1)
        source, self.last = source.gather(1, kept), tokens.gather(1, kept)
        self.open = self.open.gather(1, source[..., None].expand(-1, -1, self.length))
        self.open[:, :, place] = self.last
        self.written.reorder((self.first + source).reshape(-1))
        self.done = self.done | (self.best_mean >= self.scores[:, 0] / (place + 1))

    def cut(self) -> None:
        """Let the best open sentence of a row that is not done count as it is."""
        self._replace(self.scores[:, 0] / self.length, self.open[:, 0])

    def _replace(self, mean: Float[Tensor, "B"], sentence: Int[Tensor, "B T"]) -> None:
        better = ~self.done & (mean > self.best_mean)
        self.best_mean = torch.where(better, mean, self.best_mean)
        self.best = torch.where(better[:, None], sentence, self.best)
