"""Run a study to its number of trials, in this process or in several that share the journal.

`python -m flows.study_workers FOLDER TRIALS [PARENT_RUN]` is one worker.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial

from flows.interruption import exit_code, termination_as_exception
from flows.progress import Progress
from flows.search import load_search
from flows.study import (
    is_finished,
    open_study,
    prepare_study,
    read_request,
    run_trials,
)
from flows.study_report import StudyResult, write_report
from flows.study_request import StudyRequest, starting_values
from mase.errors import MaseError, ParamsError, TrainingError

POLL_SECONDS = 1.0


def tune(
    request: StudyRequest, trials: int, *, workers: int = 1, parent: str | None = None, progress: Progress
) -> StudyResult:
    """Bring a study to `trials` trials in all and report on it.

    Args:
        parent: run id below which each trial gets a tracked run.

    Raises:
        ParamsError: if the request, its params or its search space are wrong, or if another
            process is already running this study.
        TrainingError: if a worker process ended badly; the study stays resumable.
    """
    search = load_search(request.search)
    starting_values(request.params(), search)  # before anything is written
    folder = request.folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        prepare_study(request)
        progress.done = sum(is_finished(trial) for trial in open_study(folder, search).trials)
        if workers == 1:
            run_trials(
                request, folder, trials, parent=parent, report=_reporter(progress), progress=progress.stage
            )
        else:
            _run_workers(folder, trials, workers, parent or "", progress)
        return write_report(open_study(folder, search), request, search, folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the study, so that nobody else takes its running trials for dead ones."""
    lock = FileLock(folder / "study.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as cause:
        raise ParamsError(
            f"{folder} is in use by another process; --workers runs several trials at once"
        ) from cause
    try:
        yield
    finally:
        lock.release()


def _reporter(progress: Progress) -> Callable[[FrozenTrial], None]:
    def report(trial: FrozenTrial) -> None:
        progress.start(f"trial {trial.number}")
        score = "" if trial.value is None else f" {trial.value:.4f}"
        values = ", ".join(f"{key}={value:.4g}" for key, value in trial.params.items())
        progress.finish(f"{trial.state.name.lower()}{score} ({values})")

    return report


def _run_workers(folder: Path, trials: int, workers: int, parent: str, progress: Progress) -> None:
    """Start worker processes and follow them through the journal."""
    command = [sys.executable, "-m", "flows.study_workers", str(folder), str(trials), parent]
    processes = [subprocess.Popen(command, env=os.environ.copy()) for _ in range(workers)]
    try:
        report = _reporter(progress)
        search = load_search(read_request(folder).search)
        seen = {trial.number for trial in open_study(folder, search).trials if is_finished(trial)}
        running = True
        while running:
            running = any(process.poll() is None for process in processes)
            for trial in open_study(folder, search).trials:
                if is_finished(trial) and trial.state.is_finished() and trial.number not in seen:
                    seen.add(trial.number)
                    report(trial)
            time.sleep(POLL_SECONDS if running else 0)
    finally:
        for process in processes:
            process.terminate()
        codes = [process.wait() for process in processes]
    if any(codes):
        raise TrainingError(f"worker processes ended with codes {codes}; their messages are above")


def main(arguments: list[str]) -> None:
    """Run trials of the study in a folder until it has enough of them."""
    folder, trials, parent = Path(arguments[0]), int(arguments[1]), arguments[2] if len(arguments) > 2 else ""
    try:
        _work(folder, trials, parent)
    except KeyboardInterrupt as cause:  # the process that started this one says how to go on
        raise SystemExit(exit_code(cause)) from None
    except MaseError as cause:
        raise SystemExit(f"error: {cause}") from cause


def _work(folder: Path, trials: int, parent: str) -> None:
    with termination_as_exception():
        run_trials(read_request(folder), folder, trials, parent=parent or None)


if __name__ == "__main__":
    main(sys.argv[1:])
