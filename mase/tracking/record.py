"""What is known of a run, free of any store."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mase.tracking import names


@dataclass(frozen=True)
class DatasetRecord:
    """A data set that a run used."""

    name: str
    digest: str
    source: str
    context: str
    rows: int


@dataclass
class RunRecord:
    """A run as it is stored. `points` maps a metric's name to {step: value}."""

    run_id: str
    name: str
    experiment: str
    status: str = "RUNNING"
    params: dict[str, str] = field(default_factory=dict)
    points: dict[str, dict[int, float]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: list[DatasetRecord] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)

    @property
    def parent(self) -> str | None:
        """The run id of the parent, if there is one."""
        return self.tags.get(names.PARENT)

    @property
    def metrics(self) -> Mapping[str, float]:
        """Each metric's value at its highest step."""
        return {key: steps[max(steps)] for key, steps in self.points.items()}

    def trajectory(self, key: str) -> list[tuple[int, float]]:
        """Return (step, value) of a metric in the order of steps; empty if it was never recorded."""
        return sorted(self.points.get(key, {}).items())
