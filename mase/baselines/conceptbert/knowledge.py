"""The knowledge stream: the question's tokens attend to ConceptNet's vectors of the question's words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mase.baselines.vilbert.layers import Layer
from mase.data.concept_vectors import read_concepts, words_of
from mase.errors import ParamsError
from mase.model.batch import Part
from mase.params.streams import ConceptbertParams

CONCEPTS = "concepts"  # of the part in `Batch.extras`


@dataclass(frozen=True)
class ConceptBatch(Part):
    """Vectors of a batch's words, (B, C, d), C of the question with most; `mask` is False where is none."""

    vectors: Float[Tensor, "B C d"]
    mask: Bool[Tensor, "B C"]


class ConceptInput:
    """The words of a split's questions and their vectors; a question without words has one of zeros.

    Raises:
        ParamsError: if no file of vectors is named.
        DataError: see `read_concepts`.
    """

    def __init__(self, params: ConceptbertParams, texts: Sequence[str]):
        if params.vectors is None:
            raise ParamsError("method conceptbert needs conceptbert.vectors, a file of ConceptNet vectors")
        self.words = [words_of(text) or [""] for text in texts]
        needed = {word for words in self.words for word in words}
        self.known = read_concepts(params.vectors, needed, params.vector_width)
        self.width = params.vector_width

    def batch(self, indices: np.ndarray, width: int) -> ConceptBatch:
        """Return the words of the questions of rows `indices`."""
        chosen = [self.words[index] for index in indices.tolist()]
        mask = np.arange(max(map(len, chosen))) < np.array(list(map(len, chosen)))[:, None]  # (B, C)
        vectors = np.zeros((*mask.shape, self.width), np.float32)
        nothing = np.zeros(self.width, np.float32)
        vectors[mask] = [self.known.get(word, nothing) for words in chosen for word in words]
        return ConceptBatch(torch.from_numpy(vectors), torch.from_numpy(mask))


class KnowledgeTransformer(nn.Module):
    """Layers in which tokens attend to concepts: queries of the tokens, keys and values of the concepts.

    Known fault of the released code, not copied: its mask is added to the scores as 1 and 0, not as 0 and
    a large negative number, so that padding is attended to.
    """

    def __init__(self, params: ConceptbertParams, width: int, hidden: int, heads: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(params.vector_width)
        self.layers = nn.ModuleList(
            Layer(width, hidden, heads, dropout, keys=params.vector_width) for _ in range(params.layers)
        )

    def forward(self, tokens: Float[Tensor, "B L W"], concepts: ConceptBatch) -> Float[Tensor, "B L W"]:
        """Return the tokens as the graph sees them."""
        seen = self.norm(concepts.vectors)
        for layer in self.layers:
            tokens = layer(tokens, seen, concepts.mask)
        return tokens
