"""Predict with a trained unit: labels, probabilities, allocation and entities found.

A unit keeps what prediction needs in `model/`: `params.yaml`, `model.safetensors`, the
tokenizer's files and the relation inventory (`mase.pretrained` has the whole list). No MLflow
is needed here; `mase.serving.pyfunc` wraps this class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mase.errors import CheckpointFormatError, DataError, MissingWeightsError

if TYPE_CHECKING:
    import pandas as pd

    from mase.params import Params
    from mase.units import Unit

SHARE = "probability_"
PART_ROWS = 512
FILES = ("params.yaml", "model.safetensors", "inventory.json")


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text or pair of texts.

    Attributes:
        label: the most probable label's name; the predicted score for regression.
        probabilities: of each label, in the task's order; empty for regression.
        allocation: weight z of each modality, the same for all texts (Eq. 11).
        entities: phrases of the scene graph's entities, in the order of the text.
    """

    label: str | float
    probabilities: dict[str, float]
    allocation: dict[str, float]
    entities: tuple[str, ...]


def model_folder(folder: Path) -> Path:
    """Return the folder of a model, given a unit's folder, a saved MLflow model or the folder itself.

    Raises:
        MissingWeightsError: naming the files that are missing and where they were looked for.
    """
    inside = [folder / "model", folder / "artifacts" / "model"]
    chosen = next((path for path in inside if path.is_dir()), folder)
    missing = [name for name in FILES if not (chosen / name).is_file()]
    if missing:
        raise MissingWeightsError(
            f"{chosen}: no {', '.join(missing)}; "
            "give the folder of a unit that was trained with keep_model, or of a saved model"
        )
    return chosen


class Predictor:
    """A loaded model that takes texts. Make one with `Predictor.load`."""

    def __init__(self, model: Any, params: "Params") -> None:
        self.model = model
        self.params = params

    @classmethod
    def load(cls, folder: Path | str) -> "Predictor":
        """Load a unit's model.

        Args:
            folder: the unit's folder, the `model/` inside it, or a saved MLflow model.

        Raises:
            MissingWeightsError: if there is no whole model in it.
        """
        from mase.pretrained import load_pretrained

        model, params = load_pretrained(model_folder(Path(folder)))
        return cls(model, params)

    def predict(self, texts_a: Sequence[str], texts_b: Sequence[str] | None = None) -> list[Prediction]:
        """Predict for texts, or for pairs of texts.

        Args:
            texts_a: n texts.
            texts_b: the n second texts of a pair task; of multiple choice, n * options: the choices of
                the first question in order, then of the second, and so on.

        Returns:
            n predictions in the same order; none for no texts.

        Raises:
            DataError: if an argument is not a list of texts or the lists do not fit in length.
            CheckpointFormatError: if the model answers with other shapes than its params say.
        """
        from mase.reading import predict_texts

        _check_texts(texts_a, texts_b, max(1, self.params.second_texts))
        if not texts_a:
            return []
        seconds = None if texts_b is None else list(texts_b)
        answer = predict_texts(self.model, self.params, list(texts_a), seconds)
        frame = answer["frame"]
        self._check_outputs(frame, len(texts_a))
        allocation = {name: float(weight) for name, weight in answer["allocation"].items()}
        return [
            Prediction(*said, dict(allocation), tuple(entities))
            for said, entities in zip(self._answers(frame), answer["entities"], strict=True)
        ]

    def predict_parts(
        self, texts_a: Sequence[str], texts_b: Sequence[str] | None = None, rows: int = PART_ROWS
    ) -> Iterator[list[Prediction]]:
        """Predict as `predict` does, a part of the rows at a time, for files that are long.

        Args:
            rows: of a part; towers and parser are set up once for each.

        Raises:
            DataError, CheckpointFormatError: as `predict`.
        """
        each = max(1, self.params.second_texts)
        _check_texts(texts_a, texts_b, each)
        for start in range(0, len(texts_a), rows):
            stop = start + rows
            seconds = None if texts_b is None else texts_b[start * each : stop * each]
            yield self.predict(texts_a[start:stop], seconds)

    def _check_outputs(self, frame: "pd.DataFrame", rows: int) -> None:
        task = self.params.task
        shares = [name for name in frame if str(name).startswith(SHARE)]
        if len(frame) != rows or (shares and len(shares) != len(task.labels)):
            raise CheckpointFormatError(
                f"expected {rows} answers for task {task.name}, of {len(task.labels)} probabilities each "
                f"where it has classes; got {len(frame)}, of {len(shares)}"
            )
        if not np.isfinite(frame.select_dtypes("number").to_numpy(np.float64)).all():
            raise CheckpointFormatError(f"the model's outputs for task {task.name} are not finite")

    def _answers(self, frame: "pd.DataFrame") -> Iterator[tuple[str | float, dict[str, float]]]:
        """Yield (label, probabilities) of each line: what is evaluated is what is served."""
        labels = self.params.task.labels
        classes = [name for name in (f"{SHARE}{k}" for k in range(len(labels))) if name in frame]
        for said, *shares in frame[["prediction", *classes]].itertuples(index=False):
            yield (labels[said] if classes else said), dict(zip(labels, map(float, shares), strict=False))


def predict(
    model: "Unit | Path | str", texts_a: Sequence[str], texts_b: Sequence[str] | None = None
) -> list[Prediction]:
    """Predict with a trained unit, or with the folder of a model; see `Predictor`, which loads it once.

    Raises:
        MissingWeightsError: if there is no whole model; a unit keeps one if trained with `keep_model`.
        DataError: if the texts are not lists of texts of one length.
    """
    folder = Path(model) if isinstance(model, (str, Path)) else model.folder
    return Predictor.load(folder).predict(texts_a, texts_b)


def _check_texts(texts_a: Sequence[str], texts_b: Sequence[str] | None, each: int) -> None:
    for name, texts in (("texts_a", texts_a), ("texts_b", texts_b)):
        if isinstance(texts, str):
            raise DataError(f"{name}: expected a list of texts, got one text; write [text]")
        wrong = [i for i, text in enumerate(texts or ()) if not isinstance(text, str)]
        if wrong:
            raise DataError(f"{name}[{wrong[0]}]: expected text, got {texts[wrong[0]]!r}")  # type: ignore[index]
    if texts_b is not None and len(texts_a) * each != len(texts_b):
        needed = "pairs need as many of each" if each == 1 else f"a question needs {each} choices"
        raise DataError(f"{len(texts_a)} texts_a but {len(texts_b)} texts_b: {needed}")
