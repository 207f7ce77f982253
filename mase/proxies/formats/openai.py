"""OpenAI's CLIP: the state dict of its released models, half precision, no prefix.

The released files themselves are TorchScript archives, which cannot be read as tensors
only; `mase.tensor_files` says how to turn one into a state dict. What
`state_dict()` of such a model gives has three integers beside the weights.
"""

from mase.proxies.formats.key_map import CheckpointFormat, clip_keys

OPENAI = CheckpointFormat(
    name="openai",
    key_map=clip_keys,
    ignored=("visual.*", "logit_scale", "input_resolution", "context_length", "vocab_size"),
)
