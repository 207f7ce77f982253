"""The numbers of Figure 5: by hand, against brute force, and on features whose gap is known."""

from itertools import product

import numpy as np
import pytest

from mase.evaluation.embedding import (
    Features,
    comparable,
    exchanged_gap,
    gap,
    has_classes,
    in_one_space,
    side_by_side,
    silhouettes,
    told_apart,
    tsne,
    unit_vectors,
)
from mase.evaluation.embedding_numbers import Number, class_numbers, modality_numbers, numbers_frame
from mase.modalities import MODALITIES, Modality


def features(shift: float, *, texts: int = 80, seed: int = 0, width: int = 24) -> Features:
    """Return features of four modalities, each moved by `shift` along an axis of its own."""
    generator = np.random.default_rng(seed)
    classes = np.random.default_rng(1).integers(0, 2, texts)
    found: dict[Modality, np.ndarray] = {}
    for place, modality in enumerate(MODALITIES):
        found[modality] = generator.normal(size=(texts, width))
        found[modality][:, place] += shift
    together = generator.normal(size=(texts, width))
    together[:, 5] += 3.0 * classes
    return Features(found, together, classes, ("no", "yes"))


def named(numbers: list[Number], measure: str, pair: str = "", space: str = "summed") -> Number:
    (found,) = [n for n in numbers if (n.measure, n.pair, n.space) == (measure, pair, space)]
    return found


def test_the_gap_is_the_distance_of_the_mean_unit_vectors() -> None:
    # Lengths do not count: the means are (1, 0) and (0, 1).
    points = in_one_space(
        {"text": np.array([[2.0, 0.0], [5.0, 0.0]]), "image": np.array([[0.0, 1.0], [0.0, 9.0]])}
    )
    assert gap(points, 0, 1) == pytest.approx(np.sqrt(2))


def test_the_exchanged_gap_is_the_root_mean_square_over_all_exchanges() -> None:
    points = unit_vectors(np.random.default_rng(0).normal(size=(2, 6, 3)))
    gaps = []
    for signs in product([False, True], repeat=6):
        swap = np.array(signs)[:, None]
        first, second = np.where(swap, points[1], points[0]), np.where(swap, points[0], points[1])
        gaps.append(gap(np.stack([first, second]), 0, 1) ** 2)
    assert exchanged_gap(points, 0, 1) == pytest.approx(np.sqrt(np.mean(gaps)))


def test_slices_of_a_concatenation_are_orthogonal() -> None:
    points = side_by_side({"text": np.ones((3, 2)), "audio": np.ones((3, 4))})
    assert points.shape == (2, 3, 6)
    assert np.einsum("nd,nd->n", points[0], points[1]) == pytest.approx(0)
    assert np.linalg.norm(points, axis=-1) == pytest.approx(1)


def test_a_concatenation_is_never_compared_as_if_it_were_one_space() -> None:
    alike = np.random.default_rng(0).normal(size=(20, 4))
    found = Features({"text": alike, "image": alike}, np.hstack([alike, alike]), space="concatenated")
    assert silhouettes(comparable(found, "concatenated")).mean() > 0
    assert gap(in_one_space(found.modalities), 0, 1) == pytest.approx(0)


def test_without_a_gap_every_number_is_at_chance() -> None:
    numbers = modality_numbers([features(0.0, seed=s) for s in range(3)], resamples=200)
    mean = named(numbers, "gap", "mean")
    assert mean.value == pytest.approx(mean.chance, rel=0.15)
    apart = named(numbers, "separability")
    assert apart.chance == 0.25 and apart.low < 0.25 < apart.high
    assert abs(named(numbers, "silhouette").value) < 0.03
    assert mean.seeds == 3 and mean.texts == 80


def test_a_planted_gap_is_seen_in_every_number() -> None:
    numbers = modality_numbers([features(8.0)], resamples=200)
    assert named(numbers, "separability").low > 0.9
    assert named(numbers, "silhouette").low > 0.2
    for pair in ("text/image", "audio/video"):
        found = named(numbers, "gap", pair)
        assert found.low > 5 * found.chance
        assert found.low < found.value < found.high


def test_only_the_moved_modality_is_far_and_pairs_have_the_right_names() -> None:
    generator = np.random.default_rng(0)
    kept: list[Modality] = ["text", "audio", "video"]
    moved: dict[Modality, np.ndarray] = {m: generator.normal(size=(60, 12)) for m in kept}
    moved["audio"][:, 0] += 9.0
    numbers = modality_numbers([Features(moved, moved["text"])], resamples=50)
    gaps = {n.pair: n.value for n in numbers if n.measure == "gap"}
    assert set(gaps) == {"text/audio", "text/video", "audio/video", "mean"}
    assert gaps["text/video"] < 0.5 < min(gaps["text/audio"], gaps["audio/video"])


def test_seeds_that_disagree_widen_the_interval() -> None:
    same = modality_numbers([features(2.0)] * 2, resamples=200)
    apart = modality_numbers([features(0.5), features(4.0, seed=1)], resamples=200)

    def width(numbers: list[Number]) -> float:
        return named(numbers, "gap", "mean").high - named(numbers, "gap", "mean").low

    assert width(apart) > 3 * width(same)


def test_a_texts_vectors_are_never_in_both_halves_of_a_fold() -> None:
    # Both vectors of a text are the same, so they get one answer, of which one is right. Were one of them
    # fitted on, it would teach the wrong answer for the other, and nearly none would be right.
    generator = np.random.default_rng(0)
    base = generator.normal(size=(30, 40))
    points = unit_vectors(np.stack([base, base + 1e-6 * generator.normal(size=base.shape)]))
    assert told_apart(points).mean() == pytest.approx(0.5, abs=0.1)


def test_another_space_is_measured_beside_the_first() -> None:
    found = features(0.0)
    both = Features(found.modalities, found.together, contrastive=features(8.0).modalities)
    numbers = modality_numbers([both], resamples=50)
    assert named(numbers, "gap", "mean").value < named(numbers, "gap", "mean", "contrastive").value


def test_classes_are_told_apart_where_they_are_apart() -> None:
    silhouette, apart = class_numbers([features(0.0, seed=s) for s in range(2)], resamples=100)
    assert (silhouette.measure, apart.measure) == ("silhouette", "separability")
    assert silhouette.low > 0 and apart.low > apart.chance > 0.5
    assert apart.space == "together"


@pytest.mark.parametrize("classes", [None, np.zeros(80, np.int64), np.eye(1, 80, dtype=np.int64)[0]])
def test_a_task_without_two_classes_has_no_class_numbers(classes: np.ndarray | None) -> None:
    found = Features(features(0.0).modalities, features(0.0).together, classes)
    assert not has_classes(found)
    assert class_numbers([found]) == []


def test_one_modality_has_no_gap() -> None:
    alone = features(0.0).modalities["text"]
    assert modality_numbers([Features({"text": alone}, alone)]) == []


def test_the_frame_names_task_and_row() -> None:
    frame = numbers_frame({("Looks", "MPB"): class_numbers([features(0.0)], resamples=20)})
    assert list(frame.columns[:3]) == ["task", "row", "by"]
    assert set(frame["row"]) == {"MPB"} and len(frame) == 2


def test_a_picture_follows_from_points_and_seed_and_keeps_what_is_apart() -> None:
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.normal(size=(20, 8)) + 9 * np.eye(8)[k] for k in (0, 1)])
    picture = tsne(points)
    assert np.array_equal(picture, tsne(points))
    means = picture[:20].mean(0), picture[20:].mean(0)
    assert np.linalg.norm(means[0] - means[1]) > picture[:20].std()
