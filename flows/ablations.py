"""The flow `mase-ablations`: the reference, full MASE, and MASE without each of its parts."""

from dataclasses import replace
from typing import Any

from prefect import flow

from flows.paper import asked, run_and_publish, with_parameters_of


@flow(name="mase-ablations", flow_run_name="mase-ablations-{profile}", validate_parameters=True)
@with_parameters_of(asked)
def mase_ablations(**values: Any) -> dict[str, Any]:
    """Run the ablation rows of a table; result and errors as for `mase_paper`."""
    request, engine = asked(**values)
    return run_and_publish(replace(request, only_ablations=True), "mase-ablations", engine)
