"""Which number format the backbone computes in."""

from typing import Literal

import torch


def autocast_dtype(precision: Literal["auto", "fp32", "bf16"], device: torch.device) -> torch.dtype | None:
    """Return bfloat16 or None (float32).

    `auto` takes bfloat16 where the processor multiplies it natively: CUDA cards that say
    so, and CPUs with AVX512-BF16 or AMX.
    """
    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if found.get("avx512_bf16") or found.get("amx_bf16") else None
