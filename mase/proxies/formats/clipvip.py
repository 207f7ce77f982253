"""CLIP-ViP (Xue et al. 2023): `pretrain_clipvip_base_{16,32}.pt`.

The state dict of the `VidCLIP` wrapper: Hugging Face's CLIP keys behind `clipmodel.`,
with the constant buffer `position_ids` of older transformers. The video model's own
keys (frame positions, added class tokens) are below `vision_model.`.
"""

from mase.proxies.formats.huggingface import IGNORED, huggingface_keys
from mase.proxies.formats.key_map import CheckpointFormat, KeyMap, Source

PREFIX = "clipmodel."


def clipvip_keys(layers: int) -> KeyMap:
    """Return Hugging Face's key map with the wrapper's prefix."""
    return {
        name: Source(tuple(PREFIX + key for key in source.keys), source.transposed)
        for name, source in huggingface_keys(layers).items()
    }


CLIPVIP = CheckpointFormat(
    name="clipvip", key_map=clipvip_keys, ignored=tuple(PREFIX + pattern for pattern in IGNORED)
)
