"""MPB and "+None": what their heads see, and that they share MASE's interface."""

import numpy as np
import pytest
import torch

from mase.baselines.mc_ptm import TowerWithHead
from mase.baselines.mpb import MultimodalProxyBaseline
from mase.params import load_params
from mase.training import assemble


def smoke(*overlays: str):
    return load_params("looks", profile="smoke", overlays=overlays)


@pytest.mark.parametrize("method", ["methods/mpb", "methods/mpb_image"])
def test_mpb_is_one_linear_layer_on_the_raw_features_side_by_side(method):
    run = assemble(smoke(method))
    model = run.model.eval()
    assert isinstance(model, MultimodalProxyBaseline)
    batch = run.evaluation.batch(np.arange(5))
    pooled = model.backbone(batch.ids, batch.mask, batch.types, batch.frozen)[1]
    proxies = [batch.proxies[m] for m in model.modalities[1:]]
    together = torch.cat([pooled, *proxies], dim=1)
    output = model(batch)
    assert output.post[:, 0].equal(together)
    assert torch.allclose(
        output.logits, together @ model.head.output.weight.T + model.head.output.bias, atol=1e-6
    )
    assert model.head.hidden is None and batch.graph is None


def test_mpb_has_the_uniform_allocation_over_its_modalities():
    model = assemble(smoke("methods/mpb_image")).model
    assert model.allocation.tolist() == [0.5, 0.5]


def test_plus_none_is_a_head_on_one_frozen_proxy_without_tokens():
    run = assemble(smoke("methods/mc_ptm_audio"))
    assert isinstance(run.model, TowerWithHead)
    batch = run.evaluation.batch(np.arange(5))
    assert batch.ids is None and list(batch.proxies) == ["audio"]
    assert run.model.eval()(batch).logits.equal(run.model.head(batch.proxies["audio"]))
    assert {n.split(".")[0] for n, _ in run.model.named_parameters()} == {"head"}
