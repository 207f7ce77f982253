"""What a Prefect server must have before it runs our deployments: a limit, an automation, a work pool."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.gpu import LIMIT, visible_gpus
from mase.errors import ParamsError, TrackingError

PROJECT = Path(__file__).resolve().parent.parent
HEARTBEAT_SECONDS = 60
SILENCE = timedelta(seconds=3 * HEARTBEAT_SECONDS + 20)
ZOMBIES = "mase: mark silent flow runs as crashed"
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Paused", "Suspended", "Scheduled")


def set_up_server(gpu_slots: int | None = None, silence: timedelta = SILENCE) -> None:
    """Make the `gpu` limit and the automation for zombie runs, where the server has none yet.

    Args:
        gpu_slots: trainings on GPUs at a time, over all machines; sets the limit anew. None keeps
            what there is, and makes a limit of one per GPU of this machine, at least one.
        silence: how long a flow run may say nothing before it counts as crashed.
    """
    with get_client(sync_client=True) as client:
        _make_limit(client, gpu_slots)
        _make_automation(client, silence)


def _make_limit(client: SyncPrefectClient, slots: int | None) -> None:
    if slots is not None:
        client.upsert_global_concurrency_limit_by_name(LIMIT, slots)
        return
    try:
        client.read_global_concurrency_limit_by_name(LIMIT)
    except ObjectNotFound:
        made = GlobalConcurrencyLimitCreate(name=LIMIT, limit=max(1, visible_gpus()))
        client.create_global_concurrency_limit(made)


def zombie_automation(silence: timedelta) -> AutomationCore:
    """Return the automation that marks a flow run Crashed when its heartbeats stop without an end."""
    crash: ActionTypes = ChangeFlowRunState(
        name=None,
        state=StateType.CRASHED,
        message=f"no heartbeat for {silence.total_seconds():.0f} s; run it again to go on",
        force=False,
    )
    return AutomationCore(
        name=ZOMBIES,
        description="A machine that is lost, or a process that is killed, cannot say how its run ended.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT, *(f"prefect.flow-run.{state}" for state in ENDS)},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
        ),
        actions=[crash],
    )


def _make_automation(client: SyncPrefectClient, silence: timedelta) -> None:
    wanted = zombie_automation(silence)
    known = client.read_automations_by_name(ZOMBIES)
    for automation in known[:1]:
        client.update_automation(automation.id, wanted)
    if not known:
        client.create_automation(wanted)


def deploy(work_pool: str) -> None:
    """Make a work pool of processes, and deploy `prefect.yaml` to it.

    Raises:
        ParamsError: if the pool is of another type, or `prefect.yaml` is not beside this package.
        TrackingError: if Prefect does not deploy it.
    """
    if not (PROJECT / "prefect.yaml").is_file():
        raise ParamsError(f"no prefect.yaml in {PROJECT}; --work-pool needs a checkout of the project")
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=work_pool, type="process"))
        except ObjectAlreadyExists:
            pool = client.read_work_pool(work_pool)
            if pool.type != "process":
                raise ParamsError(f"work pool {work_pool} is of type {pool.type}, not process") from None
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--pool", work_pool]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        raise TrackingError(f"prefect deploy: {(done.stdout + done.stderr).strip()}")
