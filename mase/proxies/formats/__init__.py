"""Checkpoint formats of CLIP text towers: one file each, with its explicit key map.

What lives here: where each format keeps its text weights, which of its other keys are
known and ignored, and the strict reader that they share. All end in the parameter
names of `mase.proxies.clip_text`. Formats of other encoders do not belong here.
"""
