"""Train two small units one after the other; a test kills this process and starts it again."""

import torch

from mase.params import load_params
from mase.units import Unit, train


def units() -> list[Unit]:
    """Return full MASE and text-only, with enough steps to be killed in the middle.

    Each takes 36 steps in 5 blocks and has checkpoints before blocks 1, 3 and 5,
    which are steps 1, 15 and 29.
    """
    overrides = ("training.epochs=12", "allocation.iterations=5", "training.checkpoint_every=2")
    return [
        Unit(load_params("looks", profile="smoke", overlays=(f"methods/{name}",), overrides=overrides), name)
        for name in ("mase", "text")
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for unit in units():
        name = unit.label
        train(
            unit,
            progress=lambda stage, step, _, name=name: print(name, stage, step, flush=True),
            on_iteration=lambda t, _, name=name: print(name, "iteration", t, flush=True),
        )
