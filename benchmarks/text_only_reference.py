"""Text-only fine-tuning, this project's against Hugging Face's Trainer: same model, rows and budget.

    python benchmarks/text_only_reference.py --data-dir DIR --tasks mrpc,stsb,sst2 --seeds 2

Both sides train MiniLM on all rows of the training file (but 16, which the unit's slice
keeps) for 3 epochs at batch 32 with dynamic padding, and are scored on the development
file with the same metric code. The Trainer runs its own sequence-classification model
(pooler and classifier) at one learning rate; the unit has mean pooling and a linear head.
"""

import argparse
import tempfile
import time

import numpy as np
import pandas as pd
import torch
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from mase.data import Rows
from mase.evaluation.metrics import score
from mase.model.backbone import load_tokenizer, package_folder
from mase.params import Params, load_params
from mase.units import Unit, task_data, train

ALL_ROWS = ("data.internal_test=0", "data.slice_share=0", "data.slice_min=16", "data.slice_max=16")


class Coded(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Tokenised rows as the Trainer wants them."""

    def __init__(self, params: Params, rows: Rows):
        tokenizer = load_tokenizer(params.backbone)
        pair = [rows.texts_b] if rows.texts_b is not None else []
        texts = [list(column) for column in (rows.texts_a, *pair)]
        self.coded = tokenizer(*texts, truncation=True, max_length=params.backbone.max_length)
        self.labels = rows.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, object]:
        return {k: v[index] for k, v in self.coded.items()} | {"labels": self.labels[index]}


def hugging_face(params: Params, seed: int) -> tuple[float, float]:
    """Return the Trainer's main metric and its seconds."""
    data = task_data(params.task, params.data)
    classes = len(params.task.labels) or 1
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        package_folder(params.backbone.ref), num_labels=classes, attn_implementation="sdpa"
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=params.training.epochs,
            per_device_train_batch_size=params.training.batch_size,
            learning_rate=params.training.lr_backbone,
            warmup_steps=params.training.warmup,
            lr_scheduler_type="linear",
            seed=seed,
            bf16=params.training.precision != "fp32",
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        collator = DataCollatorWithPadding(load_tokenizer(params.backbone))
        trainer = Trainer(model, arguments, data_collator=collator, train_dataset=Coded(params, data.train))
        start = time.perf_counter()
        trainer.train()
        logits = trainer.predict(Coded(params, data.evaluation)).predictions
    answers = logits.squeeze(-1) if params.task.family == "regression" else logits.argmax(-1)
    frame = pd.DataFrame({"label": data.evaluation.labels, "prediction": np.asarray(answers)})
    metrics = score(params.task, frame)
    return metrics[params.task.main_metric], time.perf_counter() - start


def main() -> None:
    """Run both sides per task and seed and print a line each, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--tasks", default="mrpc,stsb,sst2")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="a.b=c, for both sides")
    options = parser.parse_args()
    for task in options.tasks.split(","):
        pairs = []
        for seed in range(options.seeds):
            overrides = (f"data.dir={options.data_dir}", *ALL_ROWS, *options.set)
            params = load_params(
                task, profile="local", overlays=("methods/text",), overrides=overrides, seed=seed
            )
            theirs, their_seconds = hugging_face(params, seed)
            result = train(Unit(params, f"reference {task}"))
            ours = result.metrics[params.task.main_metric]
            pairs.append((ours, theirs))
            print(
                f"{task} seed {seed}: ours {100 * ours:.2f} in {result.seconds:.0f} s, "
                f"Trainer {100 * theirs:.2f} in {their_seconds:.0f} s",
                flush=True,
            )
        ours, theirs = 100 * np.array(pairs).T
        gap = (ours - theirs).mean()
        print(f"{task}: ours {ours.mean():.2f}, Trainer {theirs.mean():.2f}, difference {gap:+.2f}")


if __name__ == "__main__":
    main()
