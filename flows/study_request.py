"""What a study asks, and the point that it starts from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.search import SearchParams, load_search
from mase.artifacts import digest_of, home
from mase.errors import ParamsError
from mase.params import Params, load_params


@dataclass(frozen=True)
class StudyRequest:
    """What one study asks; JSON-able, so that worker processes can be given it."""

    task: str
    profile: str = "demo"
    method: str = "mase"
    backbone: str | None = None
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    search: str = "alpha_tau"
    seed: int = 0

    def params(self, values: Mapping[str, float] | None = None) -> Params:
        """Return the params of a trial with these values, scored on the tune slice."""
        chosen = [f"{key}={value!r}" for key, value in (values or {}).items()]
        return load_params(
            self.task,
            profile=self.profile,
            backbone=self.backbone,
            preset=self.preset,
            overlays=(self.method,),
            overrides=(*self.overrides, *chosen, "data.evaluate_on=tune"),
            seed=self.seed,
        )

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "StudyRequest":
        """Return the request that `asdict` wrote."""
        return cls(**{**content, "overrides": tuple(content["overrides"])})

    def name(self) -> str:
        """Return the study's name, which changes with anything that changes its trials."""
        base = self.params().model_dump(mode="json")
        space = load_search(self.search).model_dump(mode="json", exclude={"about"})
        label = f"{base['task']['name']}-{Path(self.method).name}-{Path(self.search).stem}"
        return f"{label}-{digest_of({'params': base, 'search': space}, 10)}"

    def folder(self) -> Path:
        """Return the study's folder."""
        return home() / "studies" / self.name()


def starting_values(params: Params, search: SearchParams) -> dict[str, float]:
    """Return the values that the params have now; they are the first trial.

    Raises:
        ParamsError: if a key is no param or its value lies outside its range. A study whose
            first trial is the starting point can never end below it.
    """
    values, errors = {}, []
    for key, interval in search.space.items():
        value: Any = params
        for part in key.split("."):
            value = getattr(value, part, None)
        if not isinstance(value, int | float):
            errors.append(f"  {key}: not a number in these params")
        elif not interval.low <= value <= interval.high:
            errors.append(f"  {key}: starts at {value:g}, outside [{interval.low:g}, {interval.high:g}]")
        else:
            values[key] = float(value)
    if errors:
        hint = "these params may not use what is searched: give another --search or --method"
        raise ParamsError("the study cannot start\n" + "\n".join(errors) + f"\n  {hint}")
    return values
