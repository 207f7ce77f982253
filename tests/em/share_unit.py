"""Ask for a unit that is done and for one in use, as one of several ranks, and write down what came of it.

`torchrun -m tests.em.share_unit FOLDER`: each rank writes FOLDER/<rank>. Only rank 0 sees the stores, as
where a file takes its time to be seen on another machine.
"""

import os
import sys
from pathlib import Path

from mase import ranks
from mase.errors import MaseError
from mase.params import load_params
from mase.units import Unit, train


def units() -> tuple[Unit, Unit]:
    quick = ("training.max_steps=2", "allocation.iterations=2")
    first, second = (load_params("looks", profile="smoke", overrides=quick, seed=seed) for seed in (0, 1))
    return Unit(first, "done"), Unit(second, "used")


def main(folder: Path) -> None:
    if not ranks.is_main():
        os.environ["MASE_HOME"] = str(folder / "elsewhere")
    said = ""
    for unit in units():
        try:
            said += f"{unit.label}: {train(unit).trained}\n"
        except MaseError as cause:
            said += f"{unit.label}: {cause}\n"
    (folder / str(ranks.rank())).write_text(said, encoding="utf-8")
    ranks.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
