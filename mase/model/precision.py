"""Which number format the backbone trains in. Evaluation is float32 on every machine."""

from typing import Literal

import torch

from mase import ranks

Precision = Literal["auto", "fp32", "bf16"]


def training_device() -> torch.device:
    """Return the accelerator if there is one, else the processor; a rank has one of its own."""
    if ranks.count() > 1:
        return ranks.device()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return bfloat16 or None (float32).

    `auto` takes bfloat16 where the processor multiplies it natively: CUDA cards that say
    so, and CPUs with AVX512-BF16 or AMX.
    """
    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if found.get("avx512_bf16") or found.get("amx_bf16") else None


def resolved(precision: Precision) -> Literal["fp32", "bf16"]:
    """Return what a setting means on this machine."""
    return "fp32" if autocast_dtype(precision, training_device()) is None else "bf16"
