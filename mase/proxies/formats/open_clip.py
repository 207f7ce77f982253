"""OpenCLIP: OpenAI's key names, with two wrappers that its own tools write.

Distributed training puts `module.` in front of every key, and models with a
"custom text" tower put `text.` in front of the text keys.
"""

from collections.abc import Mapping

from torch import Tensor

from mase.proxies.formats.key_map import CheckpointFormat, clip_keys, without_prefix


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off `module.`, then `text.`."""
    return without_prefix(without_prefix(state, "module."), "text.")


OPEN_CLIP = CheckpointFormat(
    name="open_clip",
    key_map=clip_keys,
    ignored=("visual.*", "logit_scale", "logit_bias"),
    unwrapped=unwrapped,
)
