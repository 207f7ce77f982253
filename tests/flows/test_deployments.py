"""What a server and its pages get from us: parameters, deployments, the `gpu` limit, links to runs."""

import re
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows import gpu, publish
from flows.deployments import FLOWS
from flows.server_setup import ENDS, HEARTBEAT, HEARTBEAT_SECONDS, SILENCE, zombie_automation
from mase.tracking import open_tracker

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"mase-ablations", "mase-paper", "mase-train", "mase-tune"}


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_parameter_is_typed_and_says_what_it_is(flow: "Flow[..., Any]") -> None:
    schema = parameter_schema(flow)
    assert schema.properties
    for name, shown in schema.properties.items():
        assert len(shown.get("description") or "") > 8, name
        assert "type" in shown or "anyOf" in shown, name
    assert schema.required == (["task"] if "task" in schema.properties else [])


def test_an_undescribed_parameter_would_be_seen() -> None:
    def planted(profile: str = "demo") -> None:
        """Say nothing of the parameter."""

    assert not parameter_schema(planted).properties["profile"].get("description")


def test_prefect_yaml_deploys_every_flow_under_its_name() -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    deployments = content["deployments"]
    assert {deployment["name"] for deployment in deployments} == NAMES == {flow.name for flow in FLOWS}
    for deployment in deployments:
        path, function = deployment["entrypoint"].split(":")
        assert load_flow_from_entrypoint(f"{ROOT / path}:{function}").name == deployment["name"]
        assert deployment["work_pool"]["name"] == "mase"
        assert deployment["description"]


def test_a_run_counts_as_lost_after_several_heartbeats() -> None:
    automation = zombie_automation(SILENCE)
    trigger: Any = automation.trigger
    assert trigger.after == {HEARTBEAT}
    assert trigger.expect == {HEARTBEAT, *(f"prefect.flow-run.{state}" for state in ENDS)}
    assert SILENCE.total_seconds() > 3 * HEARTBEAT_SECONDS
    assert trigger.for_each == {"prefect.resource.id"}


@pytest.mark.parametrize(
    ("visible", "count"), [("", 0), ("-1", 0), ("0", 1), ("0,2", 2), ("GPU-8a", 1), ("1,-1,0", 1)]
)
def test_visible_gpus_are_counted(monkeypatch: pytest.MonkeyPatch, visible: str, count: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu.visible_gpus() == count


def test_devices_are_counted_where_none_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("os.listdir", lambda _: ["null", "nvidia2", "nvidia3", "nvidiactl", "nvidia-uvm"])
    assert gpu.gpus() == ["0", "1"]  # a container may show the third and fourth device of its machine


@gpu.in_gpu_slot
def step(value: int) -> int:
    """A step that holds a slot."""
    return value + 1


def test_a_deployments_training_on_a_gpu_takes_a_slot_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def concurrency(name: str, **options: Any) -> AbstractContextManager[None]:
        asked.append((name, options))
        return nullcontext()

    monkeypatch.setattr("prefect.concurrency.sync.concurrency", concurrency)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert step(1) == 2
    assert not asked  # no flow run, so no deployment's run
    monkeypatch.setattr("prefect.runtime.deployment", SimpleNamespace(id="a-deployment"))
    assert step(1) == 2
    # Strict: a server that lost the limit is an error. A renewal that fails is no reason to stop.
    options = {"occupy": 1, "strict": True, "raise_on_lease_renewal_failure": False}
    assert asked == [("gpu", options)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert step(1) == 2
    assert len(asked) == 1


HOLDER = """
import os, sys, time
from types import SimpleNamespace
import prefect.runtime
from flows.gpu import own_gpu
prefect.runtime.deployment = SimpleNamespace(id="a-deployment")
with own_gpu():
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.readline()
"""


def test_flow_runs_of_one_machine_take_a_gpu_each_and_wait_for_a_third(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "4\n"
        monkeypatch.setattr("prefect.runtime.deployment", SimpleNamespace(id="a-deployment"))
        with gpu.own_gpu(), gpu.own_gpu():  # the flow, and a step in it
            assert gpu.gpus() == ["7"]
        assert gpu.gpus() == ["7"]  # CUDA would not see another any more
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
        waited: list[float] = []

        def end_other(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                other.kill()
                other.wait()

        monkeypatch.setattr(gpu, "time", SimpleNamespace(sleep=end_other))
        with gpu.own_gpu():
            assert len(waited) >= 2 and gpu.gpus() == ["4"]


def test_the_link_of_a_run_is_for_browsers(mase_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = open_tracker("linked")
    assert publish.run_page(tracker.run_id) is None  # a SQLite file has no pages
    monkeypatch.setenv("MASE_TRACKING_PAGES", "http://localhost:5000/")
    page = publish.run_page(tracker.run_id)
    assert page is not None
    assert re.fullmatch(rf"http://localhost:5000/#/experiments/\d+/runs/{tracker.run_id}", page)
    monkeypatch.setenv("MASE_TRACKING_PAGES", "http://admin:s3cret@localhost:5000/?token=s3cret")
    assert publish.run_page(tracker.run_id) == page
