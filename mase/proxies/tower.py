"""What a text tower is, and the batching that all towers share."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

BATCH_TOKENS = 4096  # texts x longest text of one batch
BATCH_TEXTS = 256
FULL_ENOUGH = 16  # texts from which a batch is closed rather than padded to half as long again


class Tower(Protocol):
    """A frozen encoder of texts; `digest` identifies its weights and settings."""

    @property
    def name(self) -> str: ...

    @property
    def modality(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def digest(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one vector per text, (texts, width) float32, not normalised."""
        ...


class Encoding(NamedTuple):
    """Vectors, and which texts had to be cut to the context length."""

    vectors: np.ndarray  # (texts, width) float32
    truncated: np.ndarray  # (texts,) bool


@runtime_checkable
class LimitedTower(Tower, Protocol):
    """A tower that reads at most `context_length` tokens and can say when a text has more."""

    @property
    def context_length(self) -> int: ...

    def encode_checked(self, texts: Sequence[str]) -> Encoding:
        """Return the vectors of `encode`, and which texts were cut."""
        ...

    def fits(self, text: str) -> bool:
        """Whether the whole text is read."""
        ...


class TokenIds(NamedTuple):
    """Token rows of some texts, special tokens included, none longer than the context."""

    ids: list[list[int]]
    truncated: np.ndarray  # (texts,) bool


def cut_rows(tokenizer: Any, texts: Sequence[str], context_length: int) -> TokenIds:
    """Return a Hugging Face tokenizer's rows, special tokens included, cut to the context length."""
    if not texts:
        return TokenIds([], np.zeros(0, dtype=bool))
    cut = tokenizer(list(texts), truncation=True, max_length=context_length)["input_ids"]
    full = tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
    return TokenIds(cut, np.array([len(a) < len(b) for a, b in zip(cut, full, strict=True)]))


def length_batches(lengths: Sequence[int], *, tokens: int, texts: int) -> Iterator[np.ndarray]:
    """Yield index arrays, shortest texts first, so that a batch holds texts of like length.

    Args:
        lengths: tokens of each text.
        tokens: bound on (texts of a batch) x (longest of them); one text may exceed it alone.
        texts: bound on the texts of a batch.
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    batch: list[int] = []
    for index in order:
        longest = lengths[index]
        padding = len(batch) >= FULL_ENOUGH and 2 * longest > 3 * lengths[batch[0]]
        if batch and (padding or len(batch) == texts or (len(batch) + 1) * longest > tokens):
            yield np.array(batch)
            batch = []
        batch.append(int(index))
    if batch:
        yield np.array(batch)


def padded(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return the ids as one (texts, longest) int64 tensor padded with 0, and the (texts,) lengths."""
    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    table = np.zeros((len(ids), int(lengths.max())), dtype=np.int64)
    table[np.arange(table.shape[1]) < lengths[:, None]] = np.concatenate([np.asarray(i) for i in ids])
    return torch.from_numpy(table), torch.from_numpy(lengths)


class BatchedTower(ABC):
    """Base of the towers: cut batches to their longest text, sort by length, restore the order.

    A subclass tokenises, runs one padded batch, and names its weights and settings.
    Nothing here trains; vectors are float32 whatever the checkpoint's precision.
    """

    def __init__(self, *, name: str, modality: str, width: int, context_length: int) -> None:
        self.name = name
        self.modality: str = modality
        self.width = width
        self.context_length = context_length
        self._digest: str | None = None  # hashed on first use: real towers have 250 MB of weights
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @abstractmethod
    def tokenise(self, texts: Sequence[str]) -> TokenIds:
        """Return the token rows of each text, cut to the context length."""

    @abstractmethod
    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (texts, width) vectors of a padded batch, (texts, longest) and (texts,)."""

    @abstractmethod
    def weights(self) -> Mapping[str, Tensor]:
        """Return the tensors that determine the vectors."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Return the JSON-able settings that, with the weights, determine the vectors."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one vector per text, (texts, width) float32, not normalised."""
        return self.encode_checked(texts).vectors

    @torch.inference_mode()
    def encode_checked(self, texts: Sequence[str]) -> Encoding:
        """Return the vectors of `encode`, and which texts were cut to the context length."""
        tokens = self.tokenise(texts)
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        for batch in length_batches([len(i) for i in tokens.ids], tokens=BATCH_TOKENS, texts=BATCH_TEXTS):
            ids, lengths = padded([tokens.ids[index] for index in batch])
            output = self.forward(ids.to(self.device), lengths.to(self.device))
            vectors[batch] = output.float().cpu().numpy()
        return Encoding(vectors, tokens.truncated)

    def fits(self, text: str) -> bool:
        """Whether the whole text is read."""
        return not self.tokenise([text]).truncated[0]

    @property
    def digest(self) -> str:
        """Hash of the weights and settings; a name or a modality does not change it."""
        if self._digest is None:
            self._digest = self._hash()
        return self._digest

    def _hash(self) -> str:
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        weights = self.weights()
        for name in sorted(weights):
            tensor = weights[name].detach().cpu().contiguous()
            digest.update(f"{name}/{tensor.dtype}/{tuple(tensor.shape)}".encode())
            digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()[:20]
