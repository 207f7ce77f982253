"""One unit by itself, trained through the same steps as the units of a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flows import progress
from mase import ranks
from mase.params import load_params
from mase.units import Unit, UnitResult, check_free, load_result

if TYPE_CHECKING:
    from flows.steps import Steps


def one_unit(
    task: str,
    *,
    profile: str,
    methods: Sequence[str],
    seed: int,
    overrides: Sequence[str],
    backbone: str | None = None,
    preset: str | None = None,
) -> Unit:
    """Return the unit that these params make.

    Raises:
        ParamsError: if the params are wrong.
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
    return Unit(params=params, label=f"{'+'.join(methods)} / {params.task.name} / seed {seed}")


def finished(unit: Unit) -> UnitResult | None:
    """Return the result of a unit that has its model.

    Raises:
        TrainingError: if another process trains the unit that several ranks are to train.
    """
    done = load_result(unit)
    if done is not None and (done.folder / "model").is_dir():
        return done
    if ranks.count() > 1:
        check_free(unit)
    return None


def train_one(unit: Unit, steps: "Steps | None" = None) -> dict[str, Any]:
    """Train a unit and keep its model, or find it done; return its digest, folder and scores.

    Args:
        steps: what each step calls; by default the plain functions.

    Raises:
        DataError: if the data are wrong; nothing is written then.
        MaseError: whatever the training raises.
    """
    done = ranks.decided(lambda: finished(unit))
    if done is not None:
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
    result = chosen.train(unit.params.model_dump(mode="json"), unit.label, None, True)
    progress.current().finish(f"{result['seconds']:.1f} s")
    return result | {"trained": True}
