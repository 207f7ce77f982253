"""Studies: what is searched, how trials are counted, what a stop leaves, what is written in the end."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml
from optuna.trial import FrozenTrial, TrialState

from flows import study as study_module
from flows.overrides import overrides_of_file
from flows.progress import Progress
from flows.search import SearchParams, load_search
from flows.study import drop_half_written_line, open_study, prepare_study, rounded
from flows.study_request import StudyRequest, starting_values
from flows.study_run import run_study
from flows.study_workers import tune
from mase.errors import ParamsError, TrainingError
from mase.params import load_params
from mase.tracking import runs

REQUEST = StudyRequest(
    "looks", profile="smoke", overrides=("training.max_steps=2", "allocation.iterations=2")
)


def peak(unit: Any, **_: Any) -> SimpleNamespace:
    """Stand in for training: the score is highest at alpha 0.01, tau 0.1."""
    found = unit.params.contrastive
    distance = math.log10(found.alpha / 0.01) ** 2 + math.log10(found.tau / 0.1) ** 2
    return SimpleNamespace(metrics={"accuracy": math.exp(-distance)})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(study_module, "train", peak)
    return monkeypatch


def states(request: StudyRequest) -> list[TrialState]:
    return [trial.state for trial in open_study(request.folder(), load_search(request.search)).trials]


def test_trials_are_scored_on_the_tune_slice_and_never_on_dev() -> None:
    assert REQUEST.params({"contrastive.alpha": 0.5}).data.evaluate_on == "tune"
    sly = StudyRequest("looks", profile="smoke", overrides=("data.evaluate_on=dev",))
    assert sly.params().data.evaluate_on == "tune"


def test_real_trials_are_units_with_runs_and_the_same_command_goes_on(mase_home: Path) -> None:
    first = run_study(REQUEST, 2)
    assert (first["trials"], first["failed"]) == (2, 0)
    second = run_study(REQUEST, 3)
    assert (second["trials"], second["folder"]) == (3, first["folder"])
    frame = runs()
    assert list(frame["kind"]) == ["study", "trial", "trial", "trial"]
    assert set(frame["status"]) == {"FINISHED"}
    assert set(frame["parent"].dropna()) == set(frame["run_id"][:1])
    best = yaml.safe_load((Path(second["folder"]) / "best.yaml").read_text(encoding="utf-8"))
    assert best["contrastive"] == {key.rpartition(".")[2]: v for key, v in second["best_values"].items()}
    overrides = overrides_of_file(Path(second["folder"]) / "best.yaml")
    assert (
        load_params("looks", profile="smoke", overrides=overrides).contrastive.alpha
        == best["contrastive"]["alpha"]
    )
    assert len(list((mase_home / "units").iterdir())) == 3


def test_the_first_trial_is_the_starting_point_and_the_best_is_not_below_it(
    quick: pytest.MonkeyPatch,
) -> None:
    result = run_study(REQUEST, 12)
    trials = open_study(REQUEST.folder(), load_search("alpha_tau")).trials
    assert trials[0].params == {"contrastive.alpha": 0.1, "contrastive.tau": 0.07}
    assert result["best_value"] > (trials[0].value or 0)
    assert {Path(path).name for path in result["files"]} == {
        "trials.csv", "best.yaml", "importance.png", "contour.png"
    }  # fmt: skip
    assert all(Path(path).stat().st_size for path in result["files"])


def test_a_study_cut_in_two_tries_what_one_in_one_piece_tries(
    quick: pytest.MonkeyPatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(REQUEST, 4)
    run_study(REQUEST, 10)
    cut = [trial.params for trial in open_study(REQUEST.folder(), load_search("alpha_tau")).trials]
    monkeypatch.setenv("MASE_HOME", str(tmp_path / "other"))
    run_study(REQUEST, 10)
    whole = [trial.params for trial in open_study(REQUEST.folder(), load_search("alpha_tau")).trials]
    assert cut == whole
    assert len({json.dumps(params) for params in whole}) == 10


def test_a_stopped_trial_is_tried_again_with_the_same_values(quick: pytest.MonkeyPatch) -> None:
    run_study(REQUEST, 1)

    def stop(_unit: Any, **_: Any) -> None:
        raise KeyboardInterrupt

    with quick.context() as patch:
        patch.setattr(study_module, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            run_study(REQUEST, 2)
    assert states(REQUEST) == [TrialState.COMPLETE, TrialState.RUNNING]
    assert list(runs()["status"]) == ["KILLED", "FINISHED", "KILLED"]
    result = run_study(REQUEST, 2)
    trials = open_study(REQUEST.folder(), load_search("alpha_tau")).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials[1].params == trials[2].params
    assert result["trials"] == 2
    prepare_study(REQUEST)
    assert len(states(REQUEST)) == 3  # tried again once, not at every start


def test_a_trial_that_would_fail_again_is_counted_and_not_repeated(quick: pytest.MonkeyPatch) -> None:
    def diverge(unit: Any, **settings: Any) -> Any:
        if unit.params.contrastive.alpha == 0.1:
            raise TrainingError("the loss is not finite")
        return peak(unit, **settings)

    quick.setattr(study_module, "train", diverge)
    result = run_study(REQUEST, 3)
    assert (result["trials"], result["failed"]) == (3, 1)
    assert run_study(REQUEST, 3)["trials"] == len(states(REQUEST)) == 3


def test_bad_trials_are_pruned_at_an_em_iteration(quick: pytest.MonkeyPatch, tmp_path: Path) -> None:
    search = tmp_path / "eager.yaml"
    content = yaml.safe_load(yaml.safe_dump(load_search("alpha_tau").model_dump(mode="json")))
    search.write_text(
        yaml.safe_dump({**content, "pruner_trials": 2, "pruner_iterations": 1}), encoding="utf-8"
    )
    seen: list[int] = []

    def falling(unit: Any, *, on_iteration: Any, **_: Any) -> Any:
        seen.append(0)
        for iteration in range(1, 6):
            seen[-1] = iteration
            on_iteration(iteration, {} if iteration == 1 else {"score": 1.0 / len(seen)})
        return SimpleNamespace(metrics={"accuracy": 1.0 / len(seen)})

    quick.setattr(study_module, "train", falling)
    request = StudyRequest("looks", profile="smoke", search=str(search))
    result = run_study(request, 4)
    assert (result["trials"], result["pruned"]) == (4, 2)
    assert seen == [5, 5, 2, 2]


def test_two_commands_do_not_run_one_study_at_once(quick: pytest.MonkeyPatch) -> None:
    def again(unit: Any, **settings: Any) -> Any:
        with pytest.raises(ParamsError, match="in use by another process"), Progress(1) as progress:
            tune(REQUEST, 2, progress=progress)
        return peak(unit, **settings)

    quick.setattr(study_module, "train", again)
    assert run_study(REQUEST, 1)["trials"] == 1


def test_a_study_of_an_arm_without_what_is_searched_does_not_start(mase_home: Path) -> None:
    request = StudyRequest("looks", profile="smoke", method="text")
    with pytest.raises(ParamsError, match=r"contrastive.alpha: starts at 0, outside"):
        run_study(request, 1)
    assert not mase_home.exists()
    learning = StudyRequest("looks", profile="smoke", method="text", search="learning_rates")
    assert set(starting_values(learning.params(), load_search("learning_rates"))) == {
        "training.lr_backbone", "training.lr_new"
    }  # fmt: skip


def test_what_changes_the_trials_changes_the_study() -> None:
    assert REQUEST.name() == StudyRequest(**REQUEST.__dict__).name()
    others = [
        StudyRequest(**{**REQUEST.__dict__, "method": "no_mssg"}),
        StudyRequest(**{**REQUEST.__dict__, "seed": 1}),
        StudyRequest(**{**REQUEST.__dict__, "overrides": ("training.max_steps=3",)}),
    ]
    assert len({REQUEST.name(), *(other.name() for other in others)}) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("about: x\nspace: {a.b: {low: 1, high: 1}}", "low 1.0 is not below high 1.0"),
        ("about: x\nspace: {a.b: {low: 0, high: 1, log: true}}", "a log scale needs low above 0"),
        ("about: x\nspace: {}", "space"),
        ("about: x\nspace: {a.b: {low: 0, high: 1, logg: true}}", "logg: unknown key"),
    ],
)
def test_a_wrong_search_space_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "search.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=message):
        load_search(str(path))


def test_a_half_written_line_of_the_journal_is_dropped(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    search = SearchParams.model_validate(load_search("alpha_tau").model_dump())
    open_study(tmp_path, search)
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "wor')
    drop_half_written_line(journal)
    assert journal.read_bytes() == whole
    assert open_study(tmp_path, search).trials == []


def test_a_value_is_rounded_to_what_is_printed() -> None:
    assert rounded({"a": 0.0123456, "b": 123.456}) == {"a": 0.01235, "b": 123.5}


def study_process(arguments: str) -> subprocess.Popen[str]:
    """Run the study in a process of its own."""
    code = "from flows.study_run import run_study; from flows.study_request import StudyRequest as S; "
    code += f"run_study({REQUEST!r}, {arguments})".replace("StudyRequest(", "S(")
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def wait_for_two_trials(process: subprocess.Popen[str]) -> None:
    """Wait until a second trial has begun."""
    journal = REQUEST.folder() / "journal.log"
    deadline = time.monotonic() + 100
    while not (journal.exists() and journal.read_text(encoding="utf-8").count('"unit"') >= 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_study_goes_on(mase_home: Path) -> None:
    """Kill a real process in its second trial; the same request then ends with all its trials."""
    process = study_process("3")
    try:
        wait_for_two_trials(process)
    finally:
        process.kill()
        process.communicate()
    assert run_study(REQUEST, 3)["trials"] == 3
    assert set(runs()["status"]) <= {"FINISHED", "RUNNING"}  # kill -9 leaves its own trial's run open


@pytest.mark.slow
def test_workers_share_a_study(mase_home: Path) -> None:
    result = run_study(REQUEST, 4, workers=2)
    assert result["trials"] == len(states(REQUEST)) == 4
    frame = runs()
    assert list(frame["kind"].value_counts().loc[["study", "trial"]]) == [1, 4]
    assert set(frame["status"]) == {"FINISHED"}


@pytest.mark.slow
def test_a_killed_worker_loses_no_trial(mase_home: Path) -> None:
    """Kill -9 one of two workers in its trial: the command says so, and run again it has all trials."""
    process = study_process("4, workers=2")
    try:
        wait_for_two_trials(process)
        workers = [
            child
            for child in psutil.Process(process.pid).children()
            if "flows.study_workers" in child.cmdline()
        ]
        assert len(workers) == 2
        workers[0].kill()
        messages = process.communicate(timeout=100)[1]
    finally:
        process.kill()
        process.wait()
    assert process.returncode != 0
    assert "worker processes ended with codes" in messages and "-9" in messages
    before = {trial.number: trial.value for trial in finished_trials()}
    assert run_study(REQUEST, 4, workers=2)["trials"] == 4
    after = {trial.number: trial.value for trial in finished_trials()}
    assert len(after) == 4 and before.items() <= after.items()


def finished_trials() -> list[FrozenTrial]:
    trials = open_study(REQUEST.folder(), load_search("alpha_tau")).trials
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]
