"""The Prefect flows: the same results as the plain functions, artifacts, and names."""

import asyncio
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import outputs
from flows.cli import app
from flows.commands import reproduce as command
from flows.outputs import write_outputs
from flows.publish import key_of
from flows.request import Plan
from mase.evaluation.tables import Table
from mase.tracking import runs

QUICK = ["training.max_steps=2", "allocation.iterations=2"]

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    # Prefect's tables, which the temporary server's code brings into this process, under SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore:Type object:sqlalchemy.exc.SADeprecationWarning"),
]


def read_artifacts() -> dict[str, dict[str, Any]]:
    """Return the newest artifact of each key, from the server's API."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    query = {"sort": "UPDATED_DESC", "limit": 50}  # Prefect's own client sends nulls that its server refuses
    found = httpx.post(f"{PREFECT_API_URL.value()}/artifacts/filter", json=query).raise_for_status().json()
    return {artifact["key"]: artifact for artifact in reversed(found)}


@pytest.mark.slow
def test_a_flow_gives_what_the_plain_function_gives(
    prefect_server: None, tiny_table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.ablations import mase_ablations
    from flows.reproduce import reproduce
    from flows.request import Request

    made = mase_ablations(profile="smoke", tables=[tiny_table], seeds=1, overrides=QUICK)
    assert json.loads(json.dumps(made)) == made
    assert (made["trained"], made["failures"]) == (3, [])
    by_flow = Path(made["tables"]["tiny-ablations"]["csv"]).read_text(encoding="utf-8")
    assert list(runs()["kind"].value_counts().loc[["flow", "cell", "seed"]]) == [1, 3, 3]
    artifacts = read_artifacts()
    assert artifacts["table-tiny-ablations"]["type"] == "markdown"
    assert artifacts["progress-mase-ablations"]["data"] == 100
    table = artifacts["table-tiny-ablations"]["data"]
    assert "Full MASE" in table and f"`{made['tables']['tiny-ablations']['report']}`" in table
    assert "file:" not in json.dumps(artifacts)  # a page that a server sends cannot link to a file

    monkeypatch.setenv("MASE_HOME", str(tmp_path / "plain"))
    request = Request("smoke", (tiny_table,), seeds=1, overrides=tuple(QUICK), only_ablations=True)
    plain = reproduce(request, name="mase-ablations")
    assert Path(plain.tables["tiny-ablations"]["csv"]).read_text(encoding="utf-8") == by_flow


@pytest.mark.slow
def test_a_flow_with_a_failed_unit_fails_with_its_tables_published(
    prefect_server: None, tiny_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import steps
    from flows.paper import mase_paper
    from flows.reproduce import UnitsFailed
    from mase.errors import TrainingError

    def fail(unit: Any, **_: Any) -> None:
        raise TrainingError(f"no way: {unit.label}")

    monkeypatch.setattr(steps, "train_unit", fail)
    with pytest.raises(UnitsFailed, match="no way"):
        mase_paper(profile="smoke", tables=[tiny_table], seeds=1, overrides=QUICK)
    state = mase_paper(profile="smoke", tables=[tiny_table], seeds=1, overrides=QUICK, return_state=True)
    assert state.is_failed()
    assert "no way" in read_artifacts()["table-tiny"]["data"]


@pytest.mark.slow
def test_single_work_runs_as_flows_too(prefect_server: None) -> None:
    from flows.train import mase_train
    from flows.tune import mase_tune

    trained = mase_train("looks", profile="smoke", overrides=QUICK)
    assert (Path(trained["folder"]) / "model").is_dir()
    words = ["predict", trained["digest"][:8], "--text", "A red car.", "--text", "", "--json"]
    predicted = [json.loads(line) for line in CliRunner().invoke(app, words).stdout.splitlines()]
    assert [answer["texts"] for answer in predicted] == [["A red car."], [""]]
    assert all(answer["label"] in ("cool", "warm") for answer in predicted)
    tuned = mase_tune("looks", trials=1, profile="smoke", overrides=QUICK)
    assert json.loads(json.dumps(tuned))["trials"] == 1


@pytest.mark.slow
def test_the_command_runs_a_flow_only_if_there_is_something_to_train(
    prefect_server: None, tiny_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--profile", "smoke", "--table", tiny_table, "--seeds", "1", "--json"]
    words += [word for override in QUICK for word in ("--set", override)]
    early = CliRunner().invoke(app, ["report", *words])
    assert "not run" in Path(json.loads(early.stdout)["tables"]["tiny"]["md"]).read_text(encoding="utf-8")
    written = []

    def write(plan: Plan, tables: Sequence[Table]) -> outputs.Files:
        written.append(plan)
        return write_outputs(plan, tables)

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "write_outputs", write)
        first = CliRunner().invoke(app, ["reproduce", *words])
    assert len(written) == 1  # by the flow; the command shows what it wrote
    assert first.exit_code == 0, first.output
    count = len(runs())

    def refuse(_: Any) -> None:
        raise AssertionError("a flow was started for a plan that is done")

    monkeypatch.setattr(command, "_run_flow", refuse)
    second = CliRunner().invoke(app, ["reproduce", *words], catch_exceptions=False)
    assert (second.exit_code, second.stdout) == (0, first.stdout)
    assert len(runs()) == count
    shown = CliRunner().invoke(app, ["reproduce", *words[:-5], *words[-4:]], catch_exceptions=False)
    assert "Two rows" in shown.stdout and "report.html" in shown.stdout


def test_every_deployment_is_called_like_its_flow() -> None:
    from flows.deployments import FLOWS

    assert [flow.name for flow in FLOWS] == ["mase-paper", "mase-ablations", "mase-train", "mase-tune"]
    for flow in FLOWS:
        assert {"profile", "overrides", "data_dir"} <= set(flow.parameters.properties)
    assert {"tables", "tasks", "seeds"} <= set(FLOWS[1].parameters.properties)


def test_tasks_are_named_as_a_user_sees_them_and_cache_nothing() -> None:
    from prefect.cache_policies import NO_CACHE

    from flows.tasks import TASKS

    tasks: list[Any] = [TASKS.prepare, TASKS.graphs, TASKS.proxies, TASKS.train, TASKS.tables]
    assert [task.name for task in tasks] == ["prepare", "graphs", "proxies", "train", "tables"]
    assert all(task.cache_policy == NO_CACHE and not task.persist_result for task in tasks)


@pytest.mark.parametrize(("text", "key"), [("table-Table 6", "table-table-6"), ("a__b", "a-b"), ("-x-", "x")])
def test_an_artifact_key_has_letters_digits_and_dashes(text: str, key: str) -> None:
    assert key_of(text) == key


class Client:
    """As much of Prefect's client as the plugin uses."""

    def __init__(self, *found: tuple[str, str]) -> None:
        self.found = found

    async def read_deployments(self, **_: Any) -> list[Any]:
        return [SimpleNamespace(flow_id=flow, name=name) for flow, name in self.found]

    async def read_flow(self, flow_id: str) -> Any:
        return SimpleNamespace(name=flow_id)

    async def read(self, name: str) -> str:
        return name


@pytest.mark.parametrize("name", ["mase-ablations", "mase-ablations/mase-ablations"])
def test_a_bare_name_and_a_full_one_mean_the_same_deployment(name: str) -> None:
    from flows.prefect_plugin import with_bare_names

    client = Client(("mase-ablations", "mase-ablations"))
    assert asyncio.run(with_bare_names(Client.read)(client, name)) == "mase-ablations/mase-ablations"


def test_a_bare_name_that_is_unknown_or_ambiguous_is_an_error() -> None:
    from prefect.exceptions import ObjectNotFound

    from flows.prefect_plugin import with_bare_names

    with pytest.raises(ValueError, match="a/x, b/x"):
        asyncio.run(with_bare_names(Client.read)(Client(("b", "x"), ("a", "x")), "x"))
    with pytest.raises(ObjectNotFound):
        asyncio.run(with_bare_names(Client.read)(Client(), "x"))


def test_the_plugin_leaves_prefect_alone_where_its_class_has_moved(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from prefect.client.orchestration._deployments.client import DeploymentAsyncClient

    from flows.prefect_plugin import accept_bare_names

    monkeypatch.delattr(DeploymentAsyncClient, "read_deployment_by_name")
    with caplog.at_level(logging.WARNING):
        assert accept_bare_names(logging.getLogger("test")) is False
    assert "use <flow>/<deployment>" in caplog.text
    assert not hasattr(DeploymentAsyncClient, "read_deployment_by_name")


def test_the_plugin_wraps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.client.orchestration._deployments.client import DeploymentAsyncClient

    from flows.prefect_plugin import accept_bare_names

    monkeypatch.setattr(DeploymentAsyncClient, "read_deployment_by_name", Client.read)
    assert accept_bare_names(logging.getLogger("test"))
    wrapped = DeploymentAsyncClient.read_deployment_by_name
    assert accept_bare_names(logging.getLogger("test"))
    assert DeploymentAsyncClient.read_deployment_by_name is wrapped


def test_the_plugin_is_installed_and_switched_on_for_the_project() -> None:
    import tomllib
    from importlib.metadata import entry_points

    root = Path(__file__).resolve().parents[2]
    content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert content["tool"]["prefect"]["plugins"]["enabled"] is True
    assert [e.value for e in entry_points(group="prefect.plugins") if e.name == "mase"] == [
        "flows.prefect_plugin"
    ]
