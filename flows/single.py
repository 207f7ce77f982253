"""One unit by itself, trained through the same steps as the units of a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flows import progress
from mase.params import load_params
from mase.units import Unit, load_result

if TYPE_CHECKING:
    from flows.steps import Steps


def train_one(
    task: str,
    *,
    profile: str,
    methods: Sequence[str],
    seed: int,
    overrides: Sequence[str],
    backbone: str | None = None,
    preset: str | None = None,
    steps: "Steps | None" = None,
) -> dict[str, Any]:
    """Train a unit and keep its model, or find it done; return its digest, folder and scores.

    Args:
        steps: what each step calls; by default the plain functions.

    Raises:
        ParamsError, DataError: if the params or the data are wrong; nothing is written then.
        MaseError: whatever the training raises.
    """
    params = load_params(
        task,
        profile=profile,
        overlays=methods,
        overrides=overrides,
        seed=seed,
        backbone=backbone,
        preset=preset,
    )
    unit = Unit(params=params, label=f"{'+'.join(methods)} / {params.task.name} / seed {seed}")
    done = load_result(unit)
    if done is not None and (done.folder / "model").is_dir():
        return {
            "digest": done.digest,
            "folder": str(done.folder),
            "metrics": dict(done.metrics),
            "seconds": done.seconds,
            "trained": False,
        }
    from flows.steps import PLAIN, Inputs  # not needed for a unit that is done

    chosen = steps or PLAIN
    progress.current().start(unit.label)
    Inputs(chosen).make_ready(unit)
    result = chosen.train(params.model_dump(mode="json"), unit.label, None, True)
    progress.current().finish(f"{result['seconds']:.1f} s")
    return result | {"trained": True}
