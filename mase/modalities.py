"""The set M = {T, I, A, V} of Section 3.1, in the one order used everywhere."""

from typing import Literal

Modality = Literal["text", "image", "audio", "video"]

MODALITIES: tuple[Modality, ...] = ("text", "image", "audio", "video")
PROXY_MODALITIES: tuple[Modality, ...] = ("image", "audio", "video")
