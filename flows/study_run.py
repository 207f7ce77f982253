"""A study from the outside: its parent run, its progress, and what it leaves."""

from dataclasses import asdict
from typing import Any

from flows import book
from flows.progress import Progress
from flows.search import load_search
from flows.study_report import StudyResult
from flows.study_request import StudyRequest, starting_values
from flows.study_workers import tune
from mase.tracking import names


def run_study(request: StudyRequest, trials: int, workers: int = 1) -> dict[str, Any]:
    """Bring a study to `trials` trials in all; return its folder, counts and best values.

    Raises:
        ParamsError: if the request, its params or its search space are wrong; nothing is written
            then. Also if another process is running this study.
        TrainingError: if a worker process ended badly; the study stays resumable.
    """
    search = load_search(request.search)
    starting_values(request.params(), search)
    name = request.name()
    tracker = book.open_noted(f"study-{name}", f"study {name}", None, {names.KIND: "study"})
    with Progress(trials) as progress, tracker:
        tracker.params(asdict(request) | {"search": search.model_dump(mode="json")})
        result = tune(request, trials, workers=workers, parent=tracker.run_id, progress=progress)
        for path in result.files:
            tracker.artifact(path)
        if result.best_value is not None:
            tracker.metrics({"study/best": result.best_value}, step=result.trials)
            tracker.tags({f"mase.best.{key}": repr(value) for key, value in result.best_values.items()})
    return _summary(result)


def _summary(result: StudyResult) -> dict[str, Any]:
    files = [str(path) for path in result.files]
    return asdict(result) | {"folder": str(result.folder), "files": files}
