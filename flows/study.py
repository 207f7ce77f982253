"""Optuna studies: which alpha and tau (or other params) score best on a slice of the training set.

A study is identified by its request: the params it starts from, the search space and the
method. It lives in `$MASE_HOME/studies/<name>/`: `request.json`, the journal of its trials (or in
the database of `flows.study_storage`), and what `flows.study_report` writes. Trials are units like
any other, scored with `data.evaluate_on: tune`, never on dev. The same command goes on where it was
stopped: finished trials are kept, a trial that was cut off is tried again with the same values, and
its unit resumes from its checkpoint.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from flows.search import SearchParams, load_search
from flows.study_claims import claimed, is_claimed
from flows.study_request import StudyRequest, starting_values
from flows.study_storage import journal_path, study_storage
from mase.artifacts import write_json
from mase.errors import TrainingError
from mase.seeds import derive
from mase.tracking import Tracker, names, open_tracker
from mase.units import Unit, train

NEXT = "next.lock"  # in a study's folder: held while a trial is taken
SIGNIFICANT_DIGITS = 4  # of a suggested value, so that the printed number is the number used


def open_study(folder: Path, search: SearchParams) -> optuna.Study:
    """Open the study in `folder`, making it if there is none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    pruner = optuna.pruners.MedianPruner(
        n_startup_trials=search.pruner_trials, n_warmup_steps=search.pruner_iterations
    )
    return optuna.create_study(
        study_name=folder.name,
        storage=study_storage(folder),
        direction="maximize",
        pruner=pruner,
        load_if_exists=True,
    )


def prepare_study(request: StudyRequest) -> Path:
    """Make a study's folder ready to go on: record the request, repair, retry what was cut off."""
    search = load_search(request.search)
    first = starting_values(request.params(), search)
    folder = request.folder()
    write_json(folder / "request.json", asdict(request))
    drop_half_written_line(journal_path(folder))
    study = open_study(folder, search)
    if not study.trials:
        study.enqueue_trial(first)
    with FileLock(folder / NEXT):  # a trial is claimed under it
        retry_cut_off(study, folder)
    return folder


def retry_cut_off(study: optuna.Study, folder: Path) -> None:
    """Enqueue again, with the same values, the trials that nobody works on any more and nothing came of."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not is_claimed(folder, trial.number):  # it may have finished since it was listed
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    retried = {trial.user_attrs.get("retry_of") for trial in study.trials}
    for trial in study.trials:
        values = trial.params or trial.system_attrs.get("fixed_params")
        cut_off = trial.state == TrialState.FAIL and not is_finished(trial)
        if cut_off and values and trial.number not in retried:
            study.enqueue_trial(values, user_attrs={"retry_of": trial.number})


def drop_half_written_line(journal: Path) -> None:
    """Cut a journal back to its last whole line; a process killed while writing leaves a part."""
    content = journal.read_bytes() if journal.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        with journal.open("r+b") as stream:
            stream.truncate(len(whole))


def is_finished(trial: FrozenTrial) -> bool:
    """Tell whether a trial counts: complete, pruned, or failed for a reason that would return."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or "error" in trial.user_attrs


def run_trials(
    request: StudyRequest,
    folder: Path,
    trials: int,
    *,
    parent: str | None = None,
    report: Callable[[FrozenTrial], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Run trials until the study has `trials` of them; several processes may do this at once.

    Args:
        parent: run id below which each trial gets a tracked run; None tracks nothing.
        report: called with every trial that ends.
    """
    search = load_search(request.search)
    study = open_study(folder, search)
    while True:
        with ExitStack() as claim:
            with FileLock(folder / NEXT):
                trial = _next_trial(study, search, trials)
                if trial is None:
                    return
                claim.enter_context(claimed(folder, trial.number))
            finished = _run_trial(request, study, trial, search, parent, progress)
        if report is not None:
            report(finished)


def _next_trial(study: optuna.Study, search: SearchParams, trials: int) -> optuna.Trial | None:
    """Take the next trial, or None if enough are finished or under way."""
    taken = [t for t in study.trials if is_finished(t) or t.state == TrialState.RUNNING]
    if len(taken) >= trials:
        return None
    number = len(study.trials)
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=search.startup_trials,
        seed=derive(search.sampler_seed, f"trial/{number}") % 2**32,
    )
    return study.ask()


def suggest(trial: optuna.Trial, search: SearchParams) -> dict[str, float]:
    """Return the trial's values, rounded to the digits that are printed."""
    return rounded(
        {key: trial.suggest_float(key, r.low, r.high, log=r.log) for key, r in search.space.items()}
    )


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Round values to the digits that are trained with and printed."""
    return {key: float(f"{value:.{SIGNIFICANT_DIGITS}g}") for key, value in values.items()}


def _run_trial(
    request: StudyRequest,
    study: optuna.Study,
    trial: optuna.Trial,
    search: SearchParams,
    parent: str | None,
    progress: Callable[[str, int, int], None] | None,
) -> FrozenTrial:
    """Train one trial's unit and tell the study how it ended."""
    values = suggest(trial, search)
    params = request.params(values)
    unit = Unit(params=params, label=f"trial {trial.number}")
    trial.set_user_attr("unit", unit.digest)
    tags = {names.KIND: "trial", "mase.trial": str(trial.number)}
    child = open_tracker(f"trial-{trial.number}", parent=parent, tags=tags) if parent else None
    if child is not None:
        trial.set_user_attr("mlflow_run_id", child.run_id)

    def on_iteration(iteration: int, observed: Mapping[str, float]) -> None:
        if "score" not in observed:  # the first E-step measures nothing
            return
        trial.report(observed["score"], iteration)
        if trial.should_prune():
            raise optuna.TrialPruned(f"below the median at EM iteration {iteration}")

    try:
        result = train(unit, tracker=child, progress=progress, on_iteration=on_iteration)
    except optuna.TrialPruned as cause:
        return _tell(study, trial, child, TrialState.PRUNED, None, str(cause))
    except TrainingError as cause:
        trial.set_user_attr("error", str(cause))
        return _tell(study, trial, child, TrialState.FAIL, None, str(cause))
    except optuna.exceptions.UpdateFinishedTrialError:  # the database was away, and with it the claim
        if child is not None:
            child.close("KILLED", "another worker has this trial's values now")
        return study.trials[trial.number]
    except BaseException as cause:
        if child is not None:
            child.close("FAILED" if isinstance(cause, Exception) else "KILLED", repr(cause))
        raise
    return _tell(study, trial, child, TrialState.COMPLETE, result.metrics[params.task.main_metric], "")


def _tell(
    study: optuna.Study,
    trial: optuna.Trial,
    child: Tracker | None,
    state: TrialState,
    score: float | None,
    reason: str,
) -> FrozenTrial:
    if child is not None:
        child.tags({"mase.trial_state": state.name.lower()})
        if score is not None:
            child.metrics({"study/score": score})
        child.close("FAILED" if state == TrialState.FAIL else "FINISHED", reason)
    return study.tell(trial, score, state=state, skip_if_finished=True)


def read_request(folder: Path) -> StudyRequest:
    """Return the request that `prepare_study` recorded."""
    return StudyRequest.from_json(json.loads((folder / "request.json").read_text(encoding="utf-8")))
