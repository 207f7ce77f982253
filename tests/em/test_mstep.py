"""Which parameters learn at which rate."""

import pytest

from mase.em.mstep import parameter_groups
from mase.model.adapters import is_adapter
from mase.params import load_params
from mase.training import assemble

RATES = ("training.lr_backbone=1e-5", "training.lr_new=1e-3")


@pytest.mark.parametrize("adapter", ["none", "lora", "prompt"])
def test_an_adapter_is_new_and_the_backbone_under_it_does_not_learn(adapter: str) -> None:
    params = load_params("looks", profile="smoke", overrides=(*RATES, f"backbone.adapter={adapter}"))
    model = assemble(params).model
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {
        names[id(p)]: group["lr"]
        for group in parameter_groups(model, params.training)
        for p in group["params"]  # type: ignore[attr-defined]
    }
    assert set(rates) == {name for name, p in model.named_parameters() if p.requires_grad}
    adapters = {rate for name, rate in rates.items() if is_adapter(name)}
    plain = {rate for name, rate in rates.items() if name.startswith("backbone.") and not is_adapter(name)}
    new = {rate for name, rate in rates.items() if not name.startswith("backbone.")}
    assert new == {1e-3}
    assert (adapters, plain) == ((set(), {1e-5}) if adapter == "none" else ({1e-3}, set()))
