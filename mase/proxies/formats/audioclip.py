"""AudioCLIP (Guzhov et al. 2022): `AudioCLIP-Full-Training.pt`, a plain fp32 state dict.

Its text tower has CLIP's layout with a projection to 1,024. Take the Full checkpoint:
in the Partial one only the audio tower was trained, so its text vectors are those of
CLIP RN50, image proxies under another name.
"""

from mase.proxies.formats.key_map import CheckpointFormat, clip_keys

AUDIOCLIP = CheckpointFormat(
    name="audioclip",
    key_map=clip_keys,
    ignored=("visual.*", "audio.*", "logit_scale", "logit_scale_ai", "logit_scale_at"),
)
