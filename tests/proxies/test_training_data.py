import ast
import json
from pathlib import Path

import numpy as np
import pytest

import mase.proxies.training
from mase.errors import DataError, ParamsError
from mase.proxies.training import corpora, recipes, vectors
from mase.proxies.training.held_out import head_noun, split_clips, split_keys, split_names, split_pictures
from mase.proxies.training.lexical_teacher import LexicalTeacher, synset_features
from mase.proxies.training.targets import frequent_words, image_targets
from mase.proxies.training.vocabulary import choose_vocabulary


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_captions_are_grouped_by_picture_and_tidied(tmp_path: Path) -> None:
    annotations = [
        {"image_id": 7, "caption": " A  dog\n runs. "},
        {"image_id": 9, "caption": "A cat"},
        {"image_id": 7, "caption": "Dog"},
    ]
    path = tmp_path / "coco_captions" / "captions_val2017.json"
    write(path, json.dumps({"annotations": annotations}))
    assert corpora.coco_pictures(tmp_path) == {"7": ("A dog runs.", "Dog"), "9": ("A cat",)}
    write(path, json.dumps({"annotations": [{"id": 1}]}))
    with pytest.raises(DataError, match=r"captions_val2017.json: not COCO's caption layout"):
        corpora.coco_pictures(tmp_path)


def test_clips_are_told_apart_by_their_start(tmp_path: Path) -> None:
    rows = 'audiocap_id,youtube_id,start_time,caption\n1,x,10,"A dog, barking"\n2,x,30,Rain\n3,x,10,Barks\n'
    write(tmp_path / "audiocaps" / "val.csv", rows)
    assert corpora.audiocaps_clips(tmp_path) == {"x/10": ("A dog, barking", "Barks"), "x/30": ("Rain",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("audiocap_id,youtube_id\n1,x\n", "line 1: no column 'caption'"),
        ("audiocap_id,caption\n1\n", "line 2: too few fields"),
    ],
)
def test_malformed_captions_are_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "audiocaps" / "train.csv", text)
    with pytest.raises(DataError, match=message):
        corpora.audiocaps_captions(tmp_path)


def test_a_missing_file_says_what_to_point_at(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"point --data-dir at the folder that contains msrvtt/"):
        corpora.msrvtt_sentences(tmp_path)


def test_graphs_become_words(tmp_path: Path) -> None:
    rows = 'image_id,region_id,caption,scene_graph\n1,2,a red bus,"( bus , is , red ) , ( a , on , b )"\n'
    write(tmp_path / "factual_sg" / "random" / "train.csv", rows)
    assert corpora.factual_regions(tmp_path) == [("a red bus", "bus is red a on b")]


def test_names_lose_their_sense_and_vectors_their_length(tmp_path: Path) -> None:
    folder = tmp_path / "clip_text_vectors"
    write(folder / "lvis.names.txt", "bat (animal)\naerosol_can\n")
    write(folder / "openimages.names.txt", "Bat\n")
    np.save(folder / "lvis.npy", np.array([[3.0, 4.0], [0.0, 2.0]], dtype=np.float16))
    np.save(folder / "openimages.npy", np.array([[1.0, 0.0]], dtype=np.float16))
    found = vectors.object_names(tmp_path)
    assert found.names == ("aerosol can", "bat")
    np.testing.assert_allclose(found.vectors, [[0, 1], [0.6, 0.8]], atol=1e-3)
    np.save(folder / "lvis.npy", np.zeros((3, 2)))
    with pytest.raises(DataError, match="has 2 names but"):
        vectors.object_names(tmp_path)


def test_held_out_rows_do_not_depend_on_the_others_order() -> None:
    keys = [str(number) for number in range(50)]
    train, held = split_keys(keys, "picture", 10)
    assert (len(train), len(held)) == (40, 10)
    assert split_keys(reversed(keys), "picture", 10) == (train, held)
    assert set(train) | set(held) == set(keys)
    assert split_keys(keys, "clip", 10) != (train, held)
    assert list(map(len, split_clips(keys[:5]))) == [2, 3]


def test_names_with_one_head_are_never_on_both_sides() -> None:
    names = [f"{colour} thing{number}" for colour in ("big", "old") for number in range(100)]
    train, held, probes = split_names(names, frozenset({"big thing3"}))
    assert (train ^ held ^ probes).all()
    assert probes.sum() == 1
    heads = [
        {head_noun(name) for name, use in zip(names, mask, strict=True) if use} for mask in (train, held)
    ]
    assert heads[0].isdisjoint(heads[1])
    assert 0.1 < held.mean() < 0.3
    assert not split_names(names, frozenset({"big thing3"}), distil_probes=True)[2].any()


def test_near_synsets_share_windows() -> None:
    synsets = {"dog": (2084071,), "puppy": (2085374,), "spoon": (4284002,)}
    dog, puppy, spoon = (set(synset_features(name, synsets).split()) for name in ("dog", "puppy", "spoon"))
    assert len(dog & puppy) > len(dog & spoon)
    assert synset_features("hot dogs", synsets).split() == synset_features("dog", synsets).split()
    assert synset_features("xyz", synsets) == ""


def test_the_teacher_goes_by_spelling_and_by_meaning() -> None:
    synsets = {"dog": (2084071,), "puppy": (2084371,), "spoon": (4284002,), "zz": ()}
    wanted = np.array([[1.0, 0.0], [0.0, 1.0]])
    teacher = LexicalTeacher(["dog", "spoon"], wanted, synsets)
    guessed = teacher.predict(["puppy", "teaspoon", "zz"])
    assert guessed[0, 0] > 0.9
    assert guessed[1, 1] > 0.9
    assert not guessed[2].any()


def test_vocabulary_keeps_what_occurs_then_what_is_common() -> None:
    texts = ["giraffe giraffe zebra"]
    kept = choose_vocabulary(texts, 520)
    assert len(kept) == 520
    assert kept == sorted(kept)
    without = choose_vocabulary([], 520)
    assert len(set(kept) - set(without)) == 1  # the giraffe; one zebra is not enough
    with pytest.raises(ParamsError, match="514 to 49408 rows"):
        choose_vocabulary(texts, 100)


def test_frequent_words() -> None:
    assert frequent_words(["A dog, a DOG!", "dog cat a"], least=3) == ["dog"]


@pytest.mark.parametrize(
    ("caption", "moves"),
    [
        ("A man running with a dog", True),
        ("Two people ride", False),
        ("kids riding bikes", True),
        ("a building with a ceiling", False),
        ("She is skiing.", True),
    ],
)
def test_motion(caption: str, moves: bool) -> None:
    assert recipes.shows_motion(caption) == moves


def test_no_tower_sees_held_out_rows(shared_data: Path) -> None:
    pictures = corpora.coco_pictures(shared_data)
    train, held = split_pictures(pictures)
    unseen = {pictures[key] for key in held}
    for corpus in (recipes.image_corpus(shared_data), recipes.video_corpus(shared_data)):
        assert unseen.isdisjoint(corpus.sources[0].groups)
        kept = {caption for key in train for caption in pictures[key]}
        assert set(corpus.sources[0].texts()) <= kept
    clips = corpora.audiocaps_clips(shared_data)
    groups = recipes.audio_corpus(shared_data).sources[0].groups
    assert set(groups) == {clips[key] for key in split_clips(list(clips))[0]}


def test_vectors_of_held_out_and_probe_names_are_not_targets(shared_data: Path) -> None:
    objects, probes = vectors.object_names(shared_data), vectors.probe_names(shared_data)
    assert {"banana", "fire hydrant"} <= probes
    targets = image_targets(shared_data, ["a dog"])
    distilled, _, _ = split_names(objects.names, probes)
    assert set(targets.names) == {name for name, use in zip(objects.names, distilled, strict=True) if use}
    assert probes.isdisjoint(targets.names)
    real = dict(zip(objects.names, objects.vectors - objects.vectors[distilled].mean(0), strict=True))
    cosines = [
        vector @ real[name] / np.linalg.norm(real[name])
        for name, vector in zip(targets.guessed_names, targets.guessed_vectors, strict=True)
        if name in real
    ]
    assert max(cosines) < 0.999  # guesses, never CLIP's own vectors
    assert len(image_targets(shared_data, [], distil_probes=True).names) > len(targets.names)


def test_no_room_of_training_reads_the_embedded_tasks() -> None:
    for path in Path(mase.proxies.training.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(module.startswith("mase.data") for module in modules), path
