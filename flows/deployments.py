"""The deployments: every flow under its own name, so `mase-ablations/mase-ablations` and so on.

`python -m flows.deployments LIMIT` serves them; `mase serve` runs that as its worker.
"""

import sys
from typing import cast

from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow
from prefect.types.entrypoint import EntrypointType

from flows.ablations import mase_ablations
from flows.paper import mase_paper
from flows.train import mase_train
from flows.tune import mase_tune

FLOWS: tuple["Flow[..., dict[str, object]]", ...] = (mase_paper, mase_ablations, mase_train, mase_tune)


def serve_all(limit: int) -> None:
    """Serve every flow until the process is stopped; flow runs are processes of their own."""
    deployments = [
        cast(RunnerDeployment, flow.to_deployment(name=flow.name, entrypoint_type=EntrypointType.MODULE_PATH))
        for flow in FLOWS
    ]
    for deployment in deployments:  # `serve` registers them as well, but only after it may say so
        deployment.apply()
    print("serving " + ", ".join(flow.name for flow in FLOWS))
    print("run one with:  prefect deployment run mase-ablations/mase-ablations --watch", flush=True)
    serve(*deployments, limit=limit, print_starting_message=False)


if __name__ == "__main__":
    serve_all(int(sys.argv[1]))
