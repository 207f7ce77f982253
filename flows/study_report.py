"""What a study leaves behind: its trials, its best values as an overlay, and two plots."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from flows.search import SearchParams
from flows.study import is_finished, rounded
from flows.study_request import StudyRequest
from mase.artifacts import write_atomically
from mase.params import merge, parse_override


@dataclass(frozen=True)
class StudyResult:
    """Where a study stands."""

    folder: Path
    trials: int
    pruned: int
    failed: int
    best_value: float | None
    best_values: dict[str, float]
    files: tuple[Path, ...]


def write_report(
    study: optuna.Study, request: StudyRequest, search: SearchParams, folder: Path
) -> StudyResult:
    """Write `trials.csv`, `best.yaml` and, where there is something to show, the plots."""
    trials = [t for t in study.trials if is_finished(t)]
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    study.trials_dataframe(attrs=("number", "state", "value", "params", "user_attrs", "duration")).to_csv(
        folder / "trials.csv", index=False
    )
    files = [folder / "trials.csv"]
    best = study.best_trial if complete else None
    values = rounded(best.params) if best else {}
    if best is not None:
        files.append(_write_best(folder / "best.yaml", request, best, values))
    if len({t.value for t in complete}) > 1:
        files += _write_plots(study, search, folder)
    return StudyResult(
        folder=folder,
        trials=len(trials),
        pruned=sum(t.state == TrialState.PRUNED for t in trials),
        failed=sum(t.state == TrialState.FAIL for t in trials),
        best_value=best.value if best else None,
        best_values=values,
        files=tuple(files),
    )


def _write_best(path: Path, request: StudyRequest, best: FrozenTrial, values: dict[str, float]) -> Path:
    content: dict[str, Any] = {
        "about": f"Best of study {path.parent.name}: trial {best.number}, {request.task}, {request.method}, "
        f"score {best.value:.4f} on the tune slice of train."
    }
    for key, value in values.items():
        content = merge(content, parse_override(f"{key}={value!r}"))
    write_atomically(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return path


def _write_plots(study: optuna.Study, search: SearchParams, folder: Path) -> list[Path]:
    """Draw the importances and the contour; Optuna marks these functions as experimental."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as draw

    keys = list(search.space)
    plots: dict[str, Callable[[], object]] = {"importance.png": lambda: draw.plot_param_importances(study)}
    if len(keys) > 1:
        plots["contour.png"] = lambda: draw.plot_contour(study, params=keys)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        for name, plot in plots.items():
            plot()
            pyplot.savefig(folder / name, dpi=120, bbox_inches="tight")
            pyplot.close()
    return [folder / name for name in plots]
