"""Text towers of OpenCLIP whose architecture is not CLIP's own: CoCa, SigLIP, Hugging Face text models.

OpenCLIP builds and runs them; the image side is dropped once the weights are in. Texts are
padded to the whole context, as these models were trained.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor

from mase.errors import CheckpointFormatError, MissingWeightsError
from mase.params import TowerParams
from mase.proxies.tower import BatchedTower, TokenIds


def open_clip_model(ref: str, path: Path, **options: Any) -> Any:
    """Return a named OpenCLIP model, both sides, with the weights of a file.

    Raises:
        CheckpointFormatError: if the weights are not the model's.
        OSError: if a Hugging Face config that it needs cannot be had.
    """
    import open_clip

    model: Any = open_clip.create_model(ref, load_weights=False, pretrained_text=False, **options)
    try:
        open_clip.load_checkpoint(model, str(path))
    except (RuntimeError, KeyError, AssertionError) as cause:  # what OpenCLIP meets in foreign keys
        raise CheckpointFormatError(f"{path}: not weights of OpenCLIP's {ref}: {cause}") from cause
    return model


class OpenClipTextTower(BatchedTower):
    """A named OpenCLIP model's `encode_text`, float32, not normalised.

    Of the params only `ref`, `output_width` and `context_length` say something about it;
    OpenCLIP's config of the model says the rest.

    Raises:
        CheckpointFormatError: if the weights or the two sizes are not the model's.
        MissingWeightsError: if the model's tokenizer, config or weights cannot be had.
    """

    def __init__(self, params: TowerParams, path: Path) -> None:
        super().__init__(
            name=params.name,
            modality=params.modality,
            width=params.output_width,
            context_length=params.context_length,
        )
        import open_clip

        config = open_clip.get_model_config(params.ref) or {}
        self.config: dict[str, Any] = {"embed_dim": config.get("embed_dim"), **config.get("text_cfg", {})}
        try:
            self._tokenizer = open_clip.get_tokenizer(params.ref)
            self.module: Any = open_clip_model(params.ref, path)
        except OSError as cause:
            raise MissingWeightsError(
                f"tower {params.name}: tokenizer, config or weights of {params.ref} cannot be had: {cause}"
            ) from cause
        self.module.visual = None
        self.module.requires_grad_(False).eval().to(self.device)
        self._check_sizes(params)

    def _check_sizes(self, params: TowerParams) -> None:
        context = self._tokenise([""], None).shape[1]
        if (context, self.config["embed_dim"]) != (params.context_length, params.output_width):
            raise CheckpointFormatError(
                f"tower {params.name}: OpenCLIP's {params.ref} has context_length: {context} and "
                f"output_width: {self.config['embed_dim']}, but the tower's params say "
                f"{params.context_length} and {params.output_width}"
            )

    def _tokenise(self, texts: Sequence[str], context: int | None) -> Tensor:
        return cast(Tensor, self._tokenizer(list(texts), context_length=context))

    def tokenise(self, texts: Sequence[str]) -> TokenIds:
        """Return the token rows of each text, padded to the whole context; longer texts are cut."""
        if not texts:
            return TokenIds([], np.zeros(0, dtype=bool))
        ids = self._tokenise(texts, None)
        padding = int(self._tokenise([""], None)[0, -1])
        longer = self._tokenise(texts, self.context_length + 1)
        return TokenIds(ids.tolist(), (longer[:, -1] != padding).numpy())

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (texts, width) vectors."""
        return self.module.encode_text(ids)

    def weights(self) -> Mapping[str, Tensor]:
        """Return every parameter and buffer of the text side by name."""
        return {k: v for k, v in self.module.state_dict().items() if not k.startswith("text_decoder.")}

    def settings(self) -> Mapping[str, Any]:
        """Return OpenCLIP's config of the text tower, which weights do not say."""
        return {"architecture": "open_clip", **self.config}
