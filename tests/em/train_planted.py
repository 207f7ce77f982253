"""Train a planted run without dropout, alone or as one of several ranks, and write down what it did.

`torchrun -m tests.em.train_planted FOLDER FAMILY`: each rank writes FOLDER/<rank>-of-<count>.json.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from mase import ranks, seeds
from mase.em.loop import Trainer
from mase.methods import build_model
from mase.model.precision import training_device
from tests.planted import plant, planted_params, predict_logits

ROWS = 65  # batches of 16, the last of one row: of two ranks one has none


def main(folder: Path, family: str) -> None:
    params = planted_params(
        "contrastive.alpha=0.3",
        "training.epochs=2",
        "allocation.iterations=4",
        family="regression" if family == "regression" else "classification",
    )
    planted = plant(params, "audio", rows=ROWS)
    seeds.seed_everything(5)
    model = build_model(params, planted.fitted).to(training_device())
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    history = Trainer(params, model, planted.train, planted.estimation, digest="ranks").run()
    written = {
        "history": [asdict(iteration) for iteration in history],
        "logits": predict_logits(model, planted.test.inputs, 16).tolist(),
    }
    path = folder / f"{ranks.rank()}-of-{ranks.count()}.json"
    path.write_text(json.dumps(written), encoding="utf-8")
    ranks.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
