"""The trained weights in the package: what their card says, and that a checkpoint's loader reads them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

import mase
from mase.artifacts import sha256_file
from mase.params import TowerParams, read_named, validate
from mase.proxies import load_tower
from mase.proxies.checking.metrics import recall, unit
from mase.proxies.checking.retrieval import cosines, held_out_groups, measure
from mase.proxies.checking.twin import random_twin
from mase.proxies.locate import find_checkpoint
from mase.proxies.tower import BatchedTower
from mase.proxies.training.corpora import audiocaps_clips
from mase.proxies.training.held_out import split_clips

FOLDER = Path(mase.__file__).parent / "proxies" / "weights"
TOWERS = ("image", "audio", "video")
LARGEST = 6_000_000  # bytes of the whole folder
PARAPHRASES = {
    "image": (
        ("a man is surfing on a big wave", "a surfer rides his board in the ocean"),
        ("a plate with a slice of pizza", "cheese pizza served on a white dish"),
        ("two giraffes near some trees", "a giraffe standing in tall grass by a tree"),
        ("a train at the station", "a passenger train pulls up to a platform"),
        ("a kitchen with a stove and a sink", "kitchen counter with an oven and cabinets"),
        ("a boy swings a baseball bat", "a batter hits the ball during a game"),
        ("a cat sleeping on a bed", "a kitten lies on a blanket"),
        ("a person skiing down a hill", "a skier in the snow on a slope"),
    ),
    "audio": (
        ("a dog barks loudly", "dogs are barking and growling"),
        ("rain falls on a roof", "rainfall and thunder in the distance"),
        ("a man gives a speech to a crowd", "a male speaking while people applaud"),
        ("a car engine starts", "an engine revs and idles"),
        ("birds chirp in the trees", "a bird tweets and sings"),
        ("water runs from a faucet", "a stream of water is flowing and splashing"),
        ("a baby cries", "an infant is crying"),
        ("a siren wails", "an emergency vehicle sounds its siren"),
    ),
    "video": (
        ("a man is cooking in a kitchen", "a person prepares food in a pan"),
        ("a woman sings on a stage", "a singer performs a song with a band"),
        ("boys are playing football", "players kick a soccer ball on the field"),
        ("a girl rides a horse", "a person is horse riding"),
        ("someone is snowboarding down a slope", "a snowboarder rides in the snow"),
        ("a man drives a car fast", "a person is driving on the road in a race car"),
        ("a dog catches a frisbee", "dogs jump for a frisbee"),
        ("a man is surfing", "a surfer riding a wave"),
    ),
}


def manifest(modality: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"trained-{modality}.manifest.json").read_text(encoding="utf-8"))


def check(modality: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"trained-{modality}.check.json").read_text(encoding="utf-8"))


def params_of(modality: str) -> TowerParams:
    name = f"embedded-{modality}"
    return validate(TowerParams, read_named("towers", name), name)


@pytest.mark.parametrize("modality", TOWERS)
def test_the_weights_are_those_of_their_manifest_and_of_their_check(modality: str) -> None:
    path, card = FOLDER / f"trained-{modality}.safetensors", manifest(modality)
    assert card["weights_sha256"] == sha256_file(path)
    assert (card["tower"], card["recipe"]["modality"]) == (path.stem, modality)
    assert check(modality)["digest"] == load_tower(f"embedded-{modality}").digest
    assert {str(tensor.dtype) for tensor in load_file(path).values()} == {"torch.float16"}


@pytest.mark.parametrize("modality", TOWERS)
def test_the_manifest_and_the_licence_file_say_what_may_be_done(modality: str) -> None:
    card = manifest(modality)
    licences = (FOLDER / "LICENCE.md").read_text(encoding="utf-8")
    assert card["use"] in licences
    assert set(card["data"]) == set(card["recipe"]["sources"])
    assert "esc50" not in json.dumps(card)  # CC BY-NC
    for source in card["data"].values():
        assert source["sha256"]
        assert f"| {source['title']} | {source['licence']} |" in licences


def test_the_weights_and_their_papers_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= LARGEST


@pytest.mark.parametrize("modality", TOWERS)
def test_the_packaged_weights_are_found_from_any_folder(
    modality: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint(params_of(modality)) == FOLDER / f"trained-{modality}.safetensors"
    tower = load_tower(f"embedded-{modality}")
    assert (tower.modality, tower.width) == (modality, params_of(modality).output_width)


@pytest.mark.parametrize("modality", TOWERS)
def test_the_random_control_has_as_many_parameters(modality: str) -> None:
    towers = [load_tower(f"{kind}-{modality}") for kind in ("embedded", "random")]
    shapes = [{name: value.shape for name, value in tower.weights().items()} for tower in towers]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("modality", TOWERS)
def test_a_tower_knows_a_paraphrase_better_than_random_ones_do(modality: str) -> None:
    tower = load_tower(f"embedded-{modality}")

    def found(encoder: BatchedTower) -> float:
        first, second = (
            unit(encoder.encode(list(side))) for side in zip(*PARAPHRASES[modality], strict=True)
        )
        return recall(first @ second.T)[1]

    assert found(tower) >= 0.75
    assert found(tower) > max(found(random_twin(tower)), found(load_tower(f"random-{modality}")))


def rows_of_the_card() -> list[list[str]]:
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]


def test_the_numbers_of_the_card_are_those_of_the_checks() -> None:
    encoders = ("tower", "random", "tf-idf")
    seen = set()
    for name, corpus, *numbers in rows_of_the_card():
        retrieval = check(name.strip("`").removeprefix("trained-"))["retrieval"][corpus]
        wanted = [100 * retrieval[encoder]["recall"][k] for encoder in encoders for k in ("1", "10")]
        assert [float(number) for number in numbers] == pytest.approx(wanted, abs=0.051)
        seen.add((name, corpus))
    assert seen == {
        (f"`trained-{tower}`", corpus) for tower in TOWERS for corpus in ("coco_captions", "audiocaps")
    }


def test_the_card_names_every_agreement_with_clip() -> None:
    text = re.sub(r"\s+", " ", (FOLDER / "README.md").read_text(encoding="utf-8"))
    for title, names in check("image")["names"].items():
        for row in ("tower", "character n-grams"):
            assert f"{names['rows'][row]['cosine']:.3f}" in text, (title, row)


def test_a_figure_of_the_card_comes_out_again(shared_data: Path) -> None:
    clips = audiocaps_clips(shared_data)
    groups, _ = held_out_groups(clips, split_clips(list(clips))[1])
    found = measure(groups, cosines(load_tower("embedded-audio").encode))
    stated = check("audio")["retrieval"]["audiocaps"]["tower"]["recall"]
    np.testing.assert_allclose([found.recall[k] for k in (1, 10)], [stated["1"], stated["10"]], atol=0.005)
