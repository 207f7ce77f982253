"""X-CLIP (Ni et al. 2022) of Hugging Face: `XCLIPModel`, such as microsoft/xclip-base-patch32.

Its text tower has the layout, the tokens and the pooling of Hugging Face's CLIP. The rest of
the model is about frames: `mit` mixes them, `prompts_*` adapts a class name's vector to a
video and so cannot be part of a proxy, for which there is no video.
"""

from mase.proxies.formats.huggingface import IGNORED, huggingface_keys
from mase.proxies.formats.key_map import CheckpointFormat

XCLIP = CheckpointFormat(
    name="xclip",
    key_map=huggingface_keys,
    ignored=(
        *IGNORED,
        "mit.*",
        "prompts_generator.*",
        "prompts_visual_layernorm.*",
        "prompts_visual_projection",
    ),
)
