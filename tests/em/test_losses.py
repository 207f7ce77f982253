import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from mase.em.losses import (
    cross_modal_contrastive,
    log_likelihoods,
    mixture_loss,
    responsibilities,
    same_text_mask,
    total_loss,
)
from mase.errors import ParamsError


def loop_contrastive(features: torch.Tensor, tau: float, same: torch.Tensor) -> float:
    """Equation 8 with its logarithm, one term at a time."""
    batch, modalities, _ = features.shape
    unit = [[row / row.norm() for row in example] for example in features]
    terms = []
    for i, m, k in itertools.product(range(batch), range(modalities), range(modalities)):
        if m != k:
            kept = [j for j in range(batch) if j == i or not same[i, j]]
            scores = [math.exp(float(unit[i][m] @ unit[j][k]) / tau) for j in kept]
            terms.append(-math.log(scores[kept.index(i)] / sum(scores)))
    return sum(terms) / len(terms)


def printed_contrastive(features: torch.Tensor, tau: float) -> torch.Tensor:
    """Equation 8 exactly as printed: the positive's share itself, to be minimised."""
    shares = (torch.einsum("imd,jkd->mkij", features, features) / tau).softmax(-1)
    off = ~torch.eye(features.shape[1], dtype=torch.bool)
    return shares.diagonal(dim1=-2, dim2=-1)[off].mean()


@pytest.mark.parametrize(
    ("batch", "modalities", "tau"), [(2, 2, 1.0), (5, 4, 0.07), (4, 3, 0.5), (1, 4, 0.1)]
)
def test_contrastive_equals_the_loop(batch, modalities, tau):
    generator = torch.Generator().manual_seed(batch)
    features = torch.randn(batch, modalities, 6, generator=generator, dtype=torch.float64)
    same = torch.rand(batch, batch, generator=generator) < 0.3
    expected = loop_contrastive(features, tau, same)
    assert float(cross_modal_contrastive(features, tau, same)) == pytest.approx(expected, abs=1e-10)
    expected = loop_contrastive(features, tau, torch.zeros(batch, batch, dtype=torch.bool))
    assert float(cross_modal_contrastive(features, tau)) == pytest.approx(expected, abs=1e-10)


def test_contrastive_of_two_by_two_by_hand():
    # both modalities of row 0 point along x and of row 1 along y: positives 1, negatives 0
    aligned = torch.tensor([[[3.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 2.0]]])
    assert float(cross_modal_contrastive(aligned, 0.5)) == pytest.approx(math.log(1 + math.exp(-2)))
    # swapped in the second modality: positives 0, negatives 1
    crossed = torch.tensor([[[3.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [2.0, 0.0]]])
    assert float(cross_modal_contrastive(crossed, 0.5)) == pytest.approx(math.log(1 + math.exp(2)))


def matching_margin(features: torch.Tensor) -> float:
    """Mean cosine of a row's own modalities, less that with other rows."""
    unit = functional.normalize(features.detach(), dim=-1)
    cosines = torch.einsum("id,jd->ij", unit[:, 0], unit[:, 1])
    off = ~torch.eye(len(features), dtype=torch.bool)
    return float(cosines.diagonal().mean() - cosines[off].mean())


def descend(loss, seed: int = 0, steps: int = 100) -> tuple[float, float]:
    torch.manual_seed(seed)
    features = torch.randn(8, 2, 16, requires_grad=True)
    before = matching_margin(features)
    optimiser = torch.optim.SGD([features], lr=2.0)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(features).backward()
        optimiser.step()
    return before, matching_margin(features)


@pytest.mark.parametrize("seed", range(3))
def test_printed_equation_8_pushes_matching_features_apart_and_ours_pulls_them_together(seed):
    before, printed = descend(lambda f: printed_contrastive(functional.normalize(f, dim=-1), 0.5), seed)
    assert printed < before - 0.3
    before, ours = descend(lambda f: cross_modal_contrastive(f, 0.5), seed)
    assert ours > before + 0.3


def test_duplicates_are_no_negatives_of_each_other():
    torch.manual_seed(0)
    features = torch.randn(3, 2, 8)
    features[2] = features[0]
    same = same_text_mask([("A dog.",), ("a cat",), ("a  DOG.",)])
    assert same.tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    masked = cross_modal_contrastive(features, 0.1, same)
    assert float(masked) == pytest.approx(loop_contrastive(features, 0.1, same), abs=1e-5)
    assert masked < cross_modal_contrastive(features, 0.1)


def test_rows_that_share_either_sentence_are_marked():
    same = same_text_mask([("a", "b"), ("c", "A"), ("d", "e"), ()])
    assert same[0, 1] and same[1, 0]
    assert int(same.sum()) == 5  # that pair twice, and three rows with themselves
    assert same_text_mask([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("features", "same"),
    [
        (torch.randn(1, 4, 8), None),
        (torch.randn(5, 1, 8), None),
        (torch.randn(3, 2, 8), torch.ones(3, 3, dtype=torch.bool)),  # no row keeps a negative
    ],
)
def test_nothing_to_contrast_gives_exactly_zero_and_no_gradient(features, same):
    features = features.clone().requires_grad_()
    loss = cross_modal_contrastive(features, 0.07, same)
    loss.backward()
    assert loss.item() == 0.0
    assert features.grad is not None and bool((features.grad == 0).all())


def test_a_zero_feature_gets_no_gradient_and_no_nan():
    torch.manual_seed(0)
    features = torch.randn(4, 3, 8)
    features[1, 2] = 0.0
    features.requires_grad_()
    cross_modal_contrastive(features, 0.07).backward()
    assert features.grad is not None and bool(torch.isfinite(features.grad).all())
    assert bool((features.grad[1, 2] == 0).all())
    assert bool((features.grad[0] != 0).any())


def test_contrastive_gradients_are_right_in_float64():
    torch.manual_seed(0)
    features = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    same = same_text_mask([("a",), ("b",), ("a",), ("c",)])
    assert torch.autograd.gradcheck(lambda f: cross_modal_contrastive(f, 0.3, same), (features,))
    gate = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 4, 2, 1])
    assert torch.autograd.gradcheck(lambda g, f: mixture_loss(g.log_softmax(-1), f, labels), (gate, features))


def test_contrastive_is_float32_under_autocast_and_needs_a_temperature():
    torch.manual_seed(0)
    features = torch.randn(6, 3, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = cross_modal_contrastive(features, 0.07)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(cross_modal_contrastive(features.float(), 0.07)), abs=1e-6)
    with pytest.raises(ParamsError, match="tau must be above 0"):
        cross_modal_contrastive(features, 0.0)


def test_total_loss_is_exactly_the_task_loss_at_alpha_zero():
    task = torch.tensor(0.3)
    assert total_loss(task, torch.tensor(math.inf), 0.0) is task
    assert float(total_loss(task, torch.tensor(2.0), 0.1)) == pytest.approx(0.5)


def loop_joint(gate: torch.Tensor, likelihood) -> list[list[float]]:
    batch, modalities = gate.shape
    return [[math.exp(float(gate[i, m])) * likelihood(i, m) for m in range(modalities)] for i in range(batch)]


@pytest.mark.parametrize("family", ["classification", "regression"])
def test_mixture_equals_the_loop(family):
    torch.manual_seed(1)
    gate = torch.randn(5, 3, dtype=torch.float64).log_softmax(-1)
    if family == "classification":
        outputs, labels, sigma = (
            torch.randn(5, 3, 4, dtype=torch.float64),
            torch.tensor([0, 1, 2, 3, 0]),
            None,
        )
        joint = loop_joint(gate, lambda i, m: float(outputs[i, m].softmax(-1)[labels[i]]))
    else:
        outputs, labels, sigma = (
            torch.randn(5, 3, dtype=torch.float64),
            torch.randn(5, dtype=torch.float64),
            0.7,
        )
        normal = torch.distributions.Normal(outputs, sigma)
        joint = loop_joint(gate, lambda i, m: float(normal.log_prob(labels[:, None])[i, m].exp()))
    expected = -sum(math.log(sum(row)) for row in joint) / len(joint)
    assert float(mixture_loss(gate, outputs, labels, sigma=sigma)) == pytest.approx(expected, abs=1e-10)
    posterior = torch.tensor([[p / sum(row) for p in row] for row in joint], dtype=torch.float64)
    torch.testing.assert_close(responsibilities(gate, outputs, labels, sigma=sigma), posterior)


def test_log_likelihoods_refuse_a_sigma_that_is_no_spread():
    with pytest.raises(ParamsError, match="sigma must be above 0"):
        log_likelihoods(torch.zeros(2, 3), torch.zeros(2), sigma=0.0)


def test_em_never_decreases_the_likelihood_of_a_mixture_of_classifiers():
    """Full batch, no dropout, float64; label copies modality 0 in half of the rows, 1 in the rest."""
    torch.manual_seed(2)
    features = torch.randn(120, 3, 4, dtype=torch.float64)
    labels = torch.where(torch.arange(120) < 60, features[:, 0, 0] > 0, features[:, 1, 0] > 0).long()
    heads = (0.1 * torch.randn(3, 4, 2, dtype=torch.float64)).requires_grad_()
    gate, losses = torch.full((1, 3), 1 / 3, dtype=torch.float64).log(), []

    def outputs() -> torch.Tensor:
        return torch.einsum("bmd,mdc->bmc", features, heads)

    for _ in range(20):
        losses.append(mixture_loss(gate, outputs(), labels).item())
        weights = responsibilities(gate, outputs(), labels)
        gate = weights.mean(0, keepdim=True).log()
        optimiser = torch.optim.LBFGS([heads], max_iter=50, line_search_fn="strong_wolfe")

        def negative_q(
            optimiser: torch.optim.Optimizer = optimiser, weights: torch.Tensor = weights
        ) -> float:
            optimiser.zero_grad()
            loss = -(weights * log_likelihoods(outputs(), labels)).sum(-1).mean()
            loss.backward()
            return loss.item()

        optimiser.step(negative_q)
    steps = torch.tensor(losses).diff()
    assert bool((steps <= 1e-10).all())
    assert losses[-1] < losses[0] - 0.3
    assert float(gate[0, 2].exp()) < 0.2  # the modality that the label never copies


def test_em_never_decreases_the_likelihood_of_a_mixture_of_regressions():
    """The M-step is closed-form: weighted least squares, mean responsibilities, weighted variance."""
    torch.manual_seed(3)
    features = torch.randn(200, 2, 3, dtype=torch.float64)
    noise = 0.1 * torch.randn(200, dtype=torch.float64)
    labels = torch.where(torch.arange(200) < 140, 2 * features[:, 0, 0], -features[:, 1, 1]) + noise
    heads, sigma = torch.randn(2, 3, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    gate, losses = torch.full((1, 2), 0.5, dtype=torch.float64).log(), []
    for _ in range(20):
        predictions = torch.einsum("bmd,md->bm", features, heads)
        losses.append(float(mixture_loss(gate, predictions, labels, sigma=sigma)))
        weights = responsibilities(gate, predictions, labels, sigma=sigma)
        gate = weights.mean(0, keepdim=True).log()
        root = weights.sqrt().T.unsqueeze(-1)  # (M, B, 1)
        heads = torch.linalg.lstsq(root * features.transpose(0, 1), root * labels[:, None]).solution.squeeze(
            -1
        )
        residual = labels[:, None] - torch.einsum("bmd,md->bm", features, heads)
        sigma = ((weights * residual.square()).sum(0) / weights.sum(0)).sqrt()
    assert bool((torch.tensor(losses).diff() <= 1e-10).all())
    assert losses[-1] < losses[0] - 0.5
    assert float(gate[0, 0].exp()) == pytest.approx(0.7, abs=0.1)


def test_the_gradient_of_the_mixture_is_the_gradient_of_its_bound():
    torch.manual_seed(4)
    head, features = nn.Linear(3, 2).double(), torch.randn(6, 2, 3, dtype=torch.float64)
    gate, labels = torch.randn(6, 2, dtype=torch.float64).log_softmax(-1), torch.randint(2, (6,))
    mixture = torch.autograd.grad(mixture_loss(gate, head(features), labels), head.weight)[0]
    weights = responsibilities(gate, head(features), labels)
    bound = -(weights * log_likelihoods(head(features), labels)).sum(-1).mean()
    torch.testing.assert_close(mixture, torch.autograd.grad(bound, head.weight)[0])
