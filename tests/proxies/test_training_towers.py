import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mase.errors import ParamsError, TrainingError
from mase.proxies import load_tower
from mase.proxies.tokenizer import ClipTokenizer
from mase.proxies.training.losses import distillation, relational_distillation, symmetric_contrastive
from mase.proxies.training.positives import PairSampler, PositiveSource
from mase.proxies.training.recipes import Corpus, Recipe, recipe_of
from mase.proxies.training.run import train_and_save
from mase.proxies.training.shipping import manifest, save_tower
from mase.proxies.training.targets import Targets
from mase.proxies.training.trainer import rate, train_tower
from mase.proxies.training.views import two_of, with_dropout

TINY = Recipe("image", (), width=16, rows=600, heads=2, steps=30, warm_up=3, distil_weight=1.0, guessed=2)
GROUPS = (
    ("a dog runs", "the puppy jogs"),
    ("a red bus", "the crimson coach"),
    ("rain falls", "wet weather"),
    ("an old clock", "antique watch"),
)


def corpus() -> Corpus:
    vectors = np.eye(4, dtype=np.float32)
    targets = Targets(("dog", "bus"), vectors[:2], ("rain", "clock"), vectors[2:])
    return Corpus((PositiveSource("pairs", GROUPS, 4, 0.0),), targets)


def test_contrastive_loss_by_hand() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    second = torch.tensor([[3.0, 0.0], [0.6, 0.8]])
    # cosines [[1, .6], [0, .8]], temperature .5: rows ln(1 + e^-.8), ln(1 + e^-1.6);
    # columns ln(1 + e^-2), ln(1 + e^-.4)
    wanted = sum(math.log1p(math.exp(-gap)) for gap in (0.8, 1.6, 2.0, 0.4)) / 4
    assert symmetric_contrastive(first, second, 0.5).item() == pytest.approx(wanted)


def test_equal_texts_are_no_negatives_and_the_diagonal_stays() -> None:
    first, second = torch.randn(3, 4), torch.randn(3, 4)
    same = torch.zeros(3, 3, dtype=torch.bool)
    same[0, 1] = same[0, 0] = True
    loss = symmetric_contrastive(first, second, 1.0, same)
    logits = F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T
    rows = torch.logsumexp(logits, 1) - logits.diagonal()
    rows[0] = torch.logsumexp(logits[0, [0, 2]], 0) - logits[0, 0]
    columns = torch.logsumexp(logits, 0) - logits.diagonal()
    columns[1] = torch.logsumexp(logits[1:, 1], 0) - logits[1, 1]
    assert loss.item() == pytest.approx(((rows.mean() + columns.mean()) / 2).item(), abs=1e-6)


def test_distillation_losses_by_hand() -> None:
    wanted = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert distillation(wanted * 5, wanted).item() == pytest.approx(0)
    assert distillation(wanted.flip(0), wanted).item() == pytest.approx(1)
    # centred on the batch, two rows are opposite on each side: nothing to correct
    assert relational_distillation(torch.randn(2, 3), wanted).item() == pytest.approx(0, abs=1e-6)
    triangle = torch.tensor([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])  # cosines -1/2
    line = torch.tensor([[1.0], [-1.0], [0.0]])  # cosines -1 and 0
    # squared differences: (0, 1) .25, (0, 2) .25, (1, 2) .25, each twice, over 9 entries;
    # the diagonal differs only for the zero row (0 against 1)
    assert relational_distillation(line, triangle).item() == pytest.approx((6 * 0.25 + 1) / 9, abs=1e-6)


def test_dropout_keeps_the_ends_and_one_word() -> None:
    generator = np.random.default_rng(0)
    rows = (100, 1, 2, 3, 101)
    for _ in range(50):
        view = with_dropout(rows, 0.9, generator)
        assert (view[0], view[-1]) == (100, 101)
        assert 3 <= len(view) <= 5
        assert set(view[1:-1]) <= {1, 2, 3}
    assert with_dropout(rows, 0.0, generator) == rows
    assert with_dropout((100, 5, 101), 0.9, generator) == (100, 5, 101)


def test_pairs_come_from_one_group() -> None:
    generator = np.random.default_rng(0)
    assert two_of([(1,)], generator) == ((1,), (1,))
    assert {two_of([(1,), (2,)], generator) for _ in range(20)} == {((1,), (2,)), ((2,), (1,))}
    tokenizer = ClipTokenizer(77)
    group = {text: number for number, texts in enumerate(GROUPS) for text in texts}
    ids = {tuple(tokenizer.encode(text)[0]): number for text, number in group.items()}
    singles = PositiveSource("alone", (("a dog runs",),), 9, 0.0)
    batch = PairSampler([PositiveSource("pairs", GROUPS, 3, 0.0), singles], tokenizer, generator).draw()
    assert len(batch.first) == 3 + 1
    assert [ids[rows] for rows in batch.first] == [ids[rows] for rows in batch.second]
    assert batch.same.tolist() == [[left == right for right in batch.second] for left in batch.first]


def test_rate_rises_and_falls() -> None:
    rates = [rate(step, TINY) for step in range(30)]
    assert rates[0] == pytest.approx(1 / 3)
    assert max(rates) == rates[2]
    assert rates[29] < 0.01


def test_training_pulls_positives_and_targets_together_and_is_deterministic(tmp_path: Path) -> None:
    losses: list[float] = []
    trained = train_tower(corpus(), TINY, seed=3, progress=lambda *step: losses.append(step[2]))
    assert losses[-1] < 0.5 * losses[0]
    again = train_tower(corpus(), TINY, seed=3)
    assert all(torch.equal(value, again.weights[name]) for name, value in trained.weights.items())
    other = train_tower(corpus(), TINY, seed=4)
    assert not torch.equal(trained.weights["text_projection"], other.weights["text_projection"])
    card = manifest(trained, corpus(), TINY, tmp_path, 3)
    path = save_tower(trained, card, tmp_path)
    tower = load_tower(str(tmp_path / "trained-image.yaml"))
    vectors = [tower.encode([group[side] for group in GROUPS]) for side in (0, 1)]
    first, second = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in vectors)
    assert ((first @ second.T).argmax(axis=1) == np.arange(4)).all()
    assert load_tower(str(path.with_suffix(".yaml"))).digest == tower.digest
    assert (card["pairs_in_a_batch"], card["tokens_left_out"]) == ({"pairs": 4}, {"pairs": 0.0})
    assert "research use" in card["use"]
    assert card["groups"] == {"pairs": 4, "names with CLIP's vector": 2, "words with a guessed vector": 2}


def test_a_diverging_run_stops() -> None:
    with pytest.raises(TrainingError, match="tower trained-image: the loss is nan"):
        train_tower(corpus(), replace(TINY, other_rate=float("inf")))


def test_an_unknown_modality_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no recipe for 'smell'; there are image, audio, video"):
        recipe_of("smell")


def test_a_short_run_on_the_real_audio_captions(shared_data: Path, tmp_path: Path) -> None:
    path = train_and_save("audio", shared_data, tmp_path, steps=2)
    tower = load_tower(str(path.with_suffix(".yaml")))
    assert (tower.modality, tower.width) == ("audio", recipe_of("audio").width)
    assert path.stat().st_size < 2_000_000
    assert tower.encode(["a dog barks"]).shape == (1, tower.width)
