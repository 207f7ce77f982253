"""What a study searches: the typed content of `params/search/*.yaml`."""

from typing import Annotated

from pydantic import Field, model_validator

from mase.params import Frozen, read_named, validate


class Range(Frozen):
    """The interval of one number."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a log scale needs low above 0, not {self.low}")
        return self


class SearchParams(Frozen):
    """A search space and the sampler's and the pruner's warm-up."""

    about: str
    space: Annotated[dict[str, Range], Field(min_length=1, description="dotted params key to interval")]
    sampler_seed: int = 0
    startup_trials: Annotated[int, Field(ge=1)] = Field(default=8, description="random trials before TPE")
    pruner_trials: Annotated[int, Field(ge=1)] = Field(
        default=5, description="trials before the median pruner acts"
    )
    pruner_iterations: Annotated[int, Field(ge=0)] = Field(
        default=3, description="EM iterations never pruned"
    )


def load_search(name: str) -> SearchParams:
    """Read `params/search/<name>.yaml`, or the file at the path `name`.

    Raises:
        ParamsError: with every error in the file, by dotted path.
    """
    return validate(SearchParams, read_named("search", name), f"search {name}")
