"""The text transformer of CLIP: pre-LN, causal, pooled at the end-of-text token.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
Supervision", Section 2.4. Parameter names are those of the OpenAI and OpenCLIP
checkpoints; `mase.proxies.formats` maps the other layouts to them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mase import seeds
from mase.params import TowerParams
from mase.proxies.tokenizer import ClipTokenizer
from mase.proxies.tower import BatchedTower, TokenIds

EPSILON = 1e-5  # of every layer norm


def activate(values: Tensor, activation: str) -> Tensor:
    """Apply `quick_gelu`, x * sigmoid(1.702 x), or the exact `gelu`."""
    return values * torch.sigmoid(1.702 * values) if activation == "quick_gelu" else F.gelu(values)


class Affine(nn.Module):
    """`nn.Linear` without its initialisation, since weights are always loaded or drawn by name."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, values: Tensor) -> Tensor:
        return F.linear(values, self.weight, self.bias)


class CausalAttention(nn.Module):
    """Multi-head self-attention in which position i sees positions 0..i."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = Affine(width, width)

    def _split(self, values: Tensor) -> Tensor:
        return values.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, L, W) -> (B, K, L, W/K)

    def forward(self, states: Tensor) -> Tensor:
        projected = F.linear(states, self.in_proj_weight, self.in_proj_bias)
        query, key, value = (self._split(part) for part in projected.chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).flatten(-2))

    def at(self, states: Tensor, position: Tensor) -> Tensor:
        """Return the output at one position of each text only, (B, 1, W)."""
        width = states.shape[-1]
        rows = torch.arange(len(states), device=states.device)
        query_weight, other_weight = self.in_proj_weight.split([width, 2 * width])
        query_bias, other_bias = self.in_proj_bias.split([width, 2 * width])
        query = self._split(F.linear(states[rows, position][:, None], query_weight, query_bias))
        projected = F.linear(states, other_weight, other_bias)
        key, value = (self._split(part) for part in projected.chunk(2, dim=-1))
        seen = torch.arange(states.shape[1], device=states.device) <= position[:, None]  # (B, L)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None, None])
        return self.out_proj(mixed.transpose(1, 2).flatten(-2))


class Block(nn.Module):
    """Attention and a four times wider hidden layer, each behind a layer norm and a residual."""

    def __init__(self, width: int, heads: int, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.ln_1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = CausalAttention(width, heads)
        self.ln_2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = nn.ModuleDict({"c_fc": Affine(width, 4 * width), "c_proj": Affine(4 * width, width)})

    def _feed_forward(self, states: Tensor) -> Tensor:
        hidden = activate(self.mlp["c_fc"](self.ln_2(states)), self.activation)
        return states + self.mlp["c_proj"](hidden)

    def forward(self, states: Tensor) -> Tensor:
        return self._feed_forward(states + self.attn(self.ln_1(states)))

    def at(self, states: Tensor, position: Tensor) -> Tensor:
        """Return the block's output at one position of each text only, (B, 1, W)."""
        rows = torch.arange(len(states), device=states.device)
        return self._feed_forward(states[rows, position][:, None] + self.attn.at(self.ln_1(states), position))


class ClipTextTransformer(nn.Module):
    """Token rows of padded texts to one vector per text.

    Args:
        params: width, layers, heads, output_width, context_length, vocabulary, activation.
    """

    def __init__(self, params: TowerParams) -> None:
        super().__init__()
        width, rows = params.width, params.vocabulary
        self.token_embedding = nn.Embedding(rows, width, _weight=torch.empty(rows, width))
        self.positional_embedding = nn.Parameter(torch.empty(params.context_length, width))
        blocks = [Block(width, params.heads, params.activation) for _ in range(params.layers)]
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(blocks)})
        self.ln_final = nn.LayerNorm(width, eps=EPSILON)
        self.text_projection = nn.Parameter(torch.empty(width, params.output_width))

    def forward(
        self, ids: Int[Tensor, "batch length"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch output"]:
        """Return the projected state of each text's last token, not normalised.

        A position never sees a later one, so padding needs no mask and its ids do not
        matter; in the last block only the pooled position is computed.
        """
        blocks: list[Block] = list(self.transformer["resblocks"])  # type: ignore[arg-type]
        states = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]  # (B, L, W)
        for block in blocks[:-1]:
            states = block(states)
        pooled = blocks[-1].at(states, lengths - 1)[:, 0]  # (B, W)
        return self.ln_final(pooled) @ self.text_projection


def text_shapes(params: TowerParams) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of `ClipTextTransformer(params)`, by name."""
    with torch.device("meta"):
        state = ClipTextTransformer(params).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def random_weights(params: TowerParams, seed: int) -> dict[str, Tensor]:
    """Draw weights by CLIP's initialisation, from `seed` and the tower's `ref` alone.

    Standard deviations (Radford et al. 2021 and their code): tokens 0.02, positions 0.01,
    attention W^-1/2, hidden layer (2W)^-1/2, both output matrices W^-1/2 (2 layers)^-1/2,
    projection W^-1/2; biases are 0 and norms the identity. NumPy draws them, whose
    stream is the same on every machine.
    """
    generator = seeds.numpy_generator(seed, f"tower/{params.ref}")
    width, residual = params.width, (2 * params.layers) ** -0.5
    deviations = {
        "token_embedding.weight": 0.02,
        "positional_embedding": 0.01,
        "attn.in_proj_weight": width**-0.5,
        "attn.out_proj.weight": width**-0.5 * residual,
        "mlp.c_fc.weight": (2 * width) ** -0.5,
        "mlp.c_proj.weight": width**-0.5 * residual,
        "text_projection": width**-0.5,
    }
    weights = {}
    for name, shape in text_shapes(params).items():
        kind = name.split(".", 3)[-1] if name.startswith("transformer.") else name
        if kind in deviations:
            values = generator.standard_normal(shape, dtype=np.float32) * np.float32(deviations[kind])
        else:
            values = np.full(shape, float(".ln_" in f".{name}" and name.endswith("weight")), dtype=np.float32)
        weights[name] = torch.from_numpy(values)
    return weights


class ClipTextTower(BatchedTower):
    """A frozen CLIP text transformer with its tokenizer.

    Args:
        params: the tower's shape, and the names under which results mention it.
        weights: every parameter by name, float32.
        kept: BPE ids of the token embedding's rows if they are not all 49,408.
    """

    def __init__(
        self, params: TowerParams, weights: Mapping[str, Tensor], kept: Sequence[int] | None = None
    ) -> None:
        super().__init__(
            name=params.name,
            modality=params.modality,
            width=params.output_width,
            context_length=params.context_length,
        )
        self._settings = {
            "architecture": "clip_text",
            "heads": params.heads,
            "activation": params.activation,
            "kept": list(kept) if kept is not None else None,
        }
        self.tokenizer = ClipTokenizer(params.context_length, kept)
        with torch.device("meta"):  # neither draws from the global generator nor allocates
            self.module = ClipTextTransformer(params)
        self.module.load_state_dict(dict(weights), assign=True)
        self.module.requires_grad_(False).eval().to(self.device)

    def tokenise(self, texts: Sequence[str]) -> TokenIds:
        """Return the embedding rows of each text, cut to the context length."""
        return self.tokenizer(texts)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (texts, width) vectors of a padded batch, (texts, longest) and (texts,)."""
        return self.module(ids, lengths)

    def weights(self) -> Mapping[str, Tensor]:
        """Return every parameter by name."""
        return self.module.state_dict()

    def settings(self) -> Mapping[str, Any]:
        """Return what the weights' names and shapes do not say: heads, activation, kept ids."""
        return self._settings
