"""Algorithm 1: E-steps spread over the step budget, M-steps between them.

E-step t runs before optimiser step floor((t - 1) * total / T), t = 1..T. The first one
stores the uniform distribution; the weights of the last block are the ones stored in the
model and used at test. One more estimate after the last step is recorded, and never used.

Block t seeds itself from the run's seed and t, so a checkpoint at its start is all that
a resumed run needs to be bit-identical.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from mase import ranks, seeds
from mase.em import checkpoint
from mase.em.allocation import collapsed
from mase.em.batching import training_batches
from mase.em.estep import EStep, Labelled, e_step, store
from mase.em.losses import total_loss
from mase.em.mstep import Optimiser, gradient_norms, m_step_losses
from mase.errors import CheckpointFormatError, TrainingError
from mase.families import family_of
from mase.model.inference import device_of
from mase.model.mase import MaseModel
from mase.model.task_model import TaskModel
from mase.params import Params

VERSION = 2  # raise it when the same params train another model


@dataclass(frozen=True)
class Iteration:
    """What is recorded at E-step t, 1..T, and once more after the last step (t = T + 1).

    Attributes:
        weights: allocation of the block that follows (of the last block, at T + 1).
        information, information_se: nats, on the features that the params name.
        pre, post: information before and after the graph, nats.
        objective: mean log likelihood of the slice in nats; None where nothing is estimated.
        delta: L1 change of the weights.
        collapsed: whether some modality has lost its say; logged, never acted upon.
        losses, gradient_norms: mean losses and last gradient norms of the block before.
        score: main metric on the study's slice of train, where a study asks for it.
    """

    t: int
    weights: dict[str, float]
    information: dict[str, float] = field(default_factory=dict)
    information_se: dict[str, float] = field(default_factory=dict)
    pre: dict[str, float] = field(default_factory=dict)
    post: dict[str, float] = field(default_factory=dict)
    objective: float | None = None
    delta: float = 0.0
    collapsed: bool = False
    losses: dict[str, float] = field(default_factory=dict)
    gradient_norms: dict[str, float] = field(default_factory=dict)
    score: float | None = None


@dataclass(frozen=True)
class Block:
    """Mean losses and last gradient norms of one block of M-steps."""

    losses: dict[str, float] = field(default_factory=dict)
    gradient_norms: dict[str, float] = field(default_factory=dict)


class Trainer:
    """One run of Algorithm 1 over a model, in place.

    Args:
        digest: identity of the run; a checkpoint of another run is refused.
        train: rows that the M-step sees.
        estimation: the information slice.
        state: folder of the checkpoints; None keeps none.
        observe: called after every E-step; may raise to stop the run.
        advance: called after every optimiser step with (step, total).
        score: evaluates the current model for a study.

    Attributes:
        first_step: the first optimiser step of this attempt; above 0 once `run` has resumed.

    Raises:
        TrainingError: if there are no training rows.
        ParamsError: if several processes are to share a task that they cannot share.
    """

    def __init__(
        self,
        params: Params,
        model: TaskModel,
        train: Labelled,
        estimation: Labelled,
        *,
        digest: str,
        state: Path | None = None,
        observe: Callable[[Iteration], None] = lambda _: None,
        advance: Callable[[int, int], None] = lambda _step, _total: None,
        score: Callable[[TaskModel], float] | None = None,
    ):
        if len(train) == 0:
            raise TrainingError("there are no training rows")
        if ranks.count() > 1:
            ranks.check_family(params.task.family)
        self.params, self.model, self.train, self.estimation = params, model, train, estimation
        self.digest, self.state = digest, state
        self.observe, self.advance, self.score = observe, advance, score
        self.iterations = params.allocation.iterations
        self.batches_per_epoch = -(-len(train) // params.training.batch_size)
        steps = max(1, round(params.training.epochs * self.batches_per_epoch))
        learns = any(parameter.requires_grad for parameter in model.parameters())
        self.total_steps = min(steps, params.training.max_steps or steps) if learns else 0
        self.optimiser = Optimiser(model, params.training, self.total_steps)
        self.history: list[Iteration] = []
        self.first_step = 0
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])

    def run(self) -> list[Iteration]:
        """Train; return one record per E-step and a closing one (t = T + 1) that nothing uses."""
        first, block = self._resume(), Block()
        for t in range(first, self.iterations + 1):
            if len(self.history) < t:
                self.history.append(self._e_step(t, block))
                self._save(t)
            self.observe(self.history[-1])
            block = self._m_steps(t)
        return [*self.history, self._measure(self.iterations + 1, block, self._estimate())]

    def _e_step(self, t: int, block: Block) -> Iteration:
        """Measure; from t = 2 on, set the allocation."""
        before = self.model.allocation.clone()
        found = self._estimate()
        if isinstance(self.model, MaseModel) and found is not None and t > 1 and not self._converged():
            store(self.model, found)
        return self._measure(t, block, found, float((self.model.allocation - before).abs().sum()))

    def _estimate(self) -> EStep | None:
        """Return what an E-step finds, or None for a run whose weights are fixed."""
        if not isinstance(self.model, MaseModel) or self.params.allocation.mode == "fixed" or self._alone():
            return None
        seen = self._training_rows_like_the_slice()
        held_out = self.estimation if self.params.allocation.estimate_on == "slice" else seen
        prior = family_of(self.params.task).prior(self.params.task, self.train.labels)
        return e_step(self.model, held_out, seen, prior)

    def _measure(self, t: int, block: Block, found: EStep | None, delta: float = 0.0) -> Iteration:
        weights: dict[str, float] = dict(
            zip(self.model.modalities, self.model.allocation.tolist(), strict=False)
        )
        score = self.score(self.model) if self.score is not None and t > 1 else None
        record = Iteration(
            t,
            weights,
            delta=delta,
            collapsed=collapsed(self.model.allocation, floor=self.params.allocation.floor),
            losses=block.losses,
            gradient_norms=block.gradient_norms,
            score=score,
        )
        if found is None:
            return record
        return replace(
            record,
            information={m: i.value for m, i in found.information.items()},
            information_se={m: i.standard_error for m, i in found.information.items()},
            pre={m: i.value for m, i in found.pre.items()},
            post={m: i.value for m, i in found.post.items()},
            objective=found.objective,
        )

    def _m_steps(self, t: int) -> Block:
        """Run the optimiser steps of block t with the allocation fixed (Eq. 9)."""
        seeds.seed_everything(seeds.derive(self.params.seed, f"block/{t}") + ranks.rank())
        self.model.train()
        start, end = self._start(t), self._start(t + 1)
        sums: dict[str, float] = {}
        for step in range(start, end):
            indices, share = ranks.portion(self._batch(step))
            batch = self.train.batch(indices).to(device_of(self.model))
            labels = self.train.labels_of(indices).to(device_of(self.model))
            losses = m_step_losses(self.model(batch), labels, batch, self.params, self.model, share)
            self.optimiser.step(losses["total"])
            losses["task"] = ranks.summed(losses["task"])
            losses["total"] = total_loss(losses["task"], losses["contrastive"], self.params.contrastive.alpha)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.item()
            self.advance(step + 1, self.total_steps)
        if end == start:
            return Block()
        return Block({k: v / (end - start) for k, v in sums.items()}, gradient_norms(self.model))

    def _start(self, t: int) -> int:
        """Return the optimiser step that block t begins with."""
        return (t - 1) * self.total_steps // self.iterations

    def _batch(self, step: int) -> np.ndarray:
        epoch, position = divmod(step, self.batches_per_epoch)
        if self._epoch[0] != epoch:
            batch_size = self.params.training.batch_size
            self._epoch = (epoch, training_batches(self.train.lengths, batch_size, self.params.seed, epoch))
            self.model.begin_epoch(epoch)
        return self._epoch[1][position]

    def _alone(self) -> bool:
        return len(self.params.modalities) == 1

    def _converged(self) -> bool:
        """Return whether an earlier E-step moved the weights by less than `allocation.tolerance`."""
        tolerance = self.params.allocation.tolerance
        return tolerance is not None and any(i.delta < tolerance for i in self.history if i.t > 1)

    def _training_rows_like_the_slice(self) -> Labelled:
        """Return as many training rows as the slice has: for probes and for `estimate_on: train`."""
        generator = seeds.numpy_generator(self.params.seed, "training rows of the E-step")
        count = min(len(self.estimation), len(self.train))
        return self.train.subset(generator.choice(len(self.train), size=count, replace=False))

    def _save(self, t: int) -> None:
        if self.state is None or not ranks.is_main() or (t - 1) % self.params.training.checkpoint_every:
            return
        content = {
            "digest": self.digest,
            "model": checkpoint.learned_state(self.model),
            "optimiser": self.optimiser.state(),
            "history": [asdict(i) for i in self.history],
        }
        checkpoint.save(self.state, content)

    def _resume(self) -> int:
        """Restore the last checkpoint, if any; return the EM iteration whose block comes next."""
        content = checkpoint.load(self.state) if self.state is not None else None
        if content is None:
            return 1
        if content["digest"] != self.digest:
            raise CheckpointFormatError(f"{self.state} holds a checkpoint of another run; delete it")
        checkpoint.restore_learned_state(self.model, content["model"], str(self.state))
        self.optimiser.restore(content["optimiser"])
        self.history = [Iteration(**i) for i in content["history"]]
        self.first_step = self._start(len(self.history))
        return len(self.history)
