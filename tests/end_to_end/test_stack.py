"""The services of docker-compose.yml as processes: an ablation run from submission to MLflow's answer."""

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.compose_file import read
from tests.end_to_end.stack import Stack, postgres_programs

SECRETS = {
    "POSTGRES_PASSWORD": "odd/characters:and@signs",
    "PREFECT_LOGIN": "admin:prefect-secret",
    "MLFLOW_ADMIN_PASSWORD": "mlflow-secret-12",
    "MLFLOW_SECRET_KEY": "a-long-random-text",
}
MLFLOW_LOGIN = f"admin:{SECRETS['MLFLOW_ADMIN_PASSWORD']}"
ABLATIONS = {
    "profile": "smoke",
    "seeds": 1,
    "tasks": ["looks"],
    "rows": ["w/o contrastive loss"],
    "overrides": ["training.epochs=20", "training.max_steps=60", "allocation.iterations=6"],
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("stack")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    programs = postgres_programs()
    if programs is None:
        message = "no PostgreSQL: apt-get install postgresql"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    content = read("docker-compose.yml", SECRETS)
    running = Stack(content, programs, tmp_path_factory.mktemp("stack"))
    try:
        running.start("prefect", "mlflow", "optuna-dashboard")
        # As with docker-compose.gpu.yml, so that training takes a slot of the limit `gpu`.
        running.start("worker", "dashboard", CUDA_VISIBLE_DEVICES="0")
        yield running
    finally:
        running.close()


def ask(
    url: str, login: str | None = None, body: dict[str, Any] | None = None, host: str | None = None
) -> tuple[int, Any]:
    """Return the status and the JSON of an answer."""
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as refused:
        return refused.code, None


def prefect(stack: Stack, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask Prefect's API."""
    status, answer = ask(f"{stack.url('4200')}/api{path}", SECRETS["PREFECT_LOGIN"], body)
    assert status in (200, 201), (path, status)
    return answer


def tracked(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the runs that MLflow has, by name: status, tags and the last value of each metric."""
    body = {"experiment_ids": ["1"], "max_results": 100}
    status, answer = ask(f"{stack.url('5000')}/api/2.0/mlflow/runs/search", MLFLOW_LOGIN, body)
    assert status == 200
    found = {}
    for run in answer.get("runs", []):
        data = {
            kind: {i["key"]: i["value"] for i in run["data"].get(kind, [])} for kind in ("tags", "metrics")
        }
        found[run["info"]["run_name"]] = {
            "status": run["info"]["status"],
            "id": run["info"]["run_id"],
            **data,
        }
    return found


def until(ready: Callable[[], Any], seconds: float, stack: Stack) -> Any:
    """Wait for something and return it."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < deadline, stack.log("worker")[-5000:]
        time.sleep(0.3)
    return found


def submit(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the deployment with Prefect's own command line, as a user on the host does."""
    options = [word for key, value in ABLATIONS.items() for word in ("-p", f"{key}={json.dumps(value)}")]
    command = ["prefect", "deployment", "run", "mase-ablations/mase-ablations", *options, *words]
    user = {"PREFECT_API_URL": f"{stack.url('4200')}/api", "PREFECT_HOME": str(stack.folder / "user")}
    environment = stack.environment("worker", **user)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, cwd="/")


def flow_run(stack: Stack) -> Any:
    """Return the newest run of the flow, None if there is none."""
    found = prefect(stack, "/flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC", "limit": 1})
    return found[0] if found else None


def slots_taken(stack: Stack) -> int:
    return prefect(stack, "/v2/concurrency_limits/gpu")["active_slots"]


def test_servers_answer_those_who_may_ask(stack: Stack) -> None:
    mlflow = f"{stack.url('5000')}/api/2.0/mlflow/experiments/search?max_results=1"
    assert ask(mlflow, MLFLOW_LOGIN)[0] == 200
    assert ask(mlflow, MLFLOW_LOGIN, host="mlflow:5000")[0] == 200
    assert ask(mlflow, MLFLOW_LOGIN, host="attacker.example")[0] == 403
    assert ask(mlflow)[0] == ask(mlflow, "admin:wrong")[0] == 401
    flows = f"{stack.url('4200')}/api/flows/count"
    assert ask(flows, SECRETS["PREFECT_LOGIN"], {})[0] == 200
    assert ask(flows, None, {})[0] == ask(flows, "admin:wrong", {})[0] == 401


def test_every_server_keeps_its_data_in_postgres(stack: Stack) -> None:
    owner = stack.environment("mlflow")
    tables = {"prefect": "deployment", "mlflow": "experiments", "optuna": "studies"}
    for database, table in tables.items():
        command = ["psql", "-d", database, "-qtAc", f"SELECT count(*) FROM {table}"]
        done = subprocess.run(command, env=owner, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert subprocess.run(
        ["psql", "-d", "mlflow", "-qtAc", "SELECT username FROM users"],
        env=owner,
        capture_output=True,
        text=True,
    ).stdout.split() == ["admin"]


def test_a_cancelled_run_is_killed_and_a_new_one_goes_on_from_there(stack: Stack) -> None:
    units = stack.folder / "var/lib/mase/units"
    submitted = submit(stack)
    assert submitted.returncode == 0, submitted.stderr
    until(lambda: list(units.glob("*/state/checkpoint.pt")), 120, stack)
    assert slots_taken(stack) == 1
    run = flow_run(stack)
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    prefect(stack, f"/flow_runs/{run['id']}/set_state", cancelling)
    until(lambda: flow_run(stack)["state_type"] == "CANCELLED", 120, stack)
    stopped = {name: run for name, run in tracked(stack).items() if run["status"] == "KILLED"}
    assert {run["status"] for run in tracked(stack).values()} <= {"KILLED", "FINISHED"}
    assert {run["tags"]["mase.kind"] for run in stopped.values()} == {"flow", "cell", "seed"}
    (unit,) = [run["tags"]["mase.unit"] for run in stopped.values() if "mase.unit" in run["tags"]]
    assert (units / unit / "state" / "checkpoint.pt").exists()
    assert not (units / unit / "result.json").exists()
    assert slots_taken(stack) == 0

    done = submit(stack, "--watch")
    assert done.returncode == 0, done.stdout + done.stderr + stack.log("worker")[-5000:]
    assert "Completed" in done.stdout
    check_what_is_tracked(stack, stopped, units)
    check_artifacts(stack)


def check_what_is_tracked(stack: Stack, stopped: dict[str, dict[str, Any]], units: Path) -> None:
    """What MLflow answers over HTTP is what the units wrote, in the runs that were cut off."""
    runs = tracked(stack)
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    assert [run["tags"]["mase.kind"] for run in runs.values()].count("seed") == 3
    assert all(runs[name]["id"] == run["id"] for name, run in stopped.items())
    assert all(runs[name]["tags"]["mase.attempt"] == "2" for name in stopped)
    results = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in units.glob("*/result.json")
    }
    by_unit = {run["tags"]["mase.unit"]: run for run in runs.values() if run["tags"]["mase.kind"] == "seed"}
    assert set(by_unit) == set(results)
    for digest, run in by_unit.items():
        assert run["metrics"]["eval/looks/accuracy"] == results[digest]["metrics"]["accuracy"]


def check_artifacts(stack: Stack) -> None:
    """The second flow run has left its table, its progress and a link to its run in MLflow."""
    run = flow_run(stack)
    body = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}, "sort": "UPDATED_DESC"}
    left = {item["key"]: item for item in prefect(stack, "/artifacts/filter", body)}
    assert "Full MASE" in left["table-demo-ablations"]["data"]
    assert left["progress-mase-ablations"]["data"] == 100
    (parent,) = [run for run in tracked(stack).values() if run["tags"]["mase.kind"] == "flow"]
    assert (
        f"{stack.url('5000')}/#/experiments/1/runs/{parent['id']}".replace("127.0.0.1", "localhost")
        in (left["mlflow-run"]["data"])
    )


def test_a_silent_run_is_marked_as_crashed(stack: Stack) -> None:
    seconds = 10  # the shortest that Prefect allows
    code = (
        "import sys; from datetime import timedelta; from prefect.events import emit_event;"
        "from flows.server_setup import HEARTBEAT, set_up_server;"
        f"set_up_server(silence=timedelta(seconds={seconds}));"
        "emit_event(HEARTBEAT, {'prefect.resource.id': 'prefect.flow-run.' + sys.argv[1]})"
    )
    deployment = prefect(stack, "/deployments/name/mase-ablations/mase-ablations")
    body = {"flow_id": deployment["flow_id"], "state": {"type": "RUNNING", "name": "Running"}}
    lost = prefect(stack, "/flow_runs/", body)["id"]
    command = [stack.here("python"), "-c", code, lost]
    subprocess.run(command, env=stack.environment("worker"), check=True, timeout=60, cwd="/")
    until(lambda: prefect(stack, f"/flow_runs/{lost}")["state_type"] == "CRASHED", 60, stack)
    assert "no heartbeat for 10 s" in prefect(stack, f"/flow_runs/{lost}")["state"]["message"]
    (automation,) = prefect(stack, "/automations/filter", {})
    assert automation["trigger"]["within"] == seconds
