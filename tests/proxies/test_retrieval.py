"""Retrieved images as proxies: drawn pictures through a tiny OpenCLIP model, and feature files by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image, ImageDraw

from mase.errors import CheckpointFormatError, MissingWeightsError, ParamsError
from mase.identity import identity
from mase.params import Params, TowerParams, load_params
from mase.proxies import build_tower, extract_proxies, image_index
from mase.proxies.image_index import ApproximateIndex, ExactIndex, gallery_digest
from mase.proxies.retrieval import RetrievalTower
from mase.units import Unit, train

WIDTH = 24
MODEL = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Write random weights of a small OpenCLIP model."""
    path = tmp_path_factory.mktemp("model") / "tiny.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("open_clip.factory._MODEL_CONFIGS", {"Tiny": MODEL})
        torch.manual_seed(0)
        torch.save(open_clip.create_model("Tiny", load_weights=False).state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("open_clip.factory._MODEL_CONFIGS", {"Tiny": MODEL})


def draw(folder: Path) -> Path:
    """Draw a disc and a square of every colour; the squares are in a folder of their own."""
    (folder / "squares").mkdir(parents=True)
    for colour in COLOURS:
        for shape in ("disc", "square"):
            image = Image.new("RGB", (20, 24), "black")
            pen = ImageDraw.Draw(image)
            (pen.ellipse if shape == "disc" else pen.rectangle)((4, 4, 15, 15), fill=colour)
            image.save(folder / (f"{colour}.png" if shape == "disc" else f"squares/{colour}.jpg"))
    (folder / "notes.txt").write_text("no image")
    return folder


def tower_params(weights: Path, images: Path, **retrieval: Any) -> TowerParams:
    sizes = {"width": 32, "layers": 1, "heads": 2, "output_width": WIDTH, "context_length": 16}
    return TowerParams.model_validate(
        {
            "name": "drawn",
            "modality": "image",
            "format": "retrieval",
            "ref": "Tiny",
            "pretrained": str(weights),
            "activation": "gelu",
            "retrieval": {"images": str(images), "neighbours": 3, **retrieval},
            **sizes,
        }
    )


def feature_file(folder: Path, vectors: np.ndarray, names: list[str] | None = None) -> Path:
    np.save(folder / "mine.npy", vectors)
    listing = names or [f"{i}.jpg" for i in range(len(vectors))]
    (folder / "mine.names.txt").write_text("\n".join(listing) + "\n")
    return folder / "mine.npy"


def built(params: TowerParams) -> RetrievalTower:
    tower = build_tower(params)
    assert isinstance(tower, RetrievalTower)
    return tower


def by_open_clip(weights: Path, folder: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return unit vectors of texts and images as OpenCLIP itself reads them, and the images' names."""
    model, _, transform = open_clip.create_model_and_transforms("Tiny", pretrained=str(weights))
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg"))
    with torch.inference_mode():
        pixels = torch.stack([transform(Image.open(p).convert("RGB")) for p in files])
        images = model.eval().encode_image(pixels, normalize=True).numpy()
        queries = model.encode_text(open_clip.get_tokenizer("Tiny")(texts), normalize=True).numpy()
    return queries, images, [p.relative_to(folder).as_posix() for p in files]


def test_a_text_gets_the_mean_of_its_nearest_pictures(weights, tmp_path):
    folder, texts = draw(tmp_path / "shapes"), ["a red disc", "a blue square on the wall"]
    tower = built(tower_params(weights, folder))
    queries, images, names = by_open_clip(weights, folder, texts)
    nearest = np.argsort(-(queries @ images.T), axis=1)[:, :3]
    np.testing.assert_allclose(tower.encode(texts), images[nearest].mean(1), atol=1e-5)
    found = tower.retrieve(texts)
    assert [[r.name for r in row] for row in found] == [[names[i] for i in row] for row in nearest]
    assert found[0][0].cosine == pytest.approx(float(queries[0] @ images[nearest[0, 0]]), abs=1e-5)
    assert len(tower.gallery.names) == 2 * len(COLOURS)
    assert tower.encode([]).shape == (0, WIDTH)


def test_pictures_are_read_once_and_by_their_bytes(weights, tmp_path, monkeypatch):
    folder = draw(tmp_path / "shapes")
    params = tower_params(weights, folder)
    before = built(params)
    with monkeypatch.context() as patch:
        patch.setattr("mase.proxies.retrieval._opened", lambda path: pytest.fail("read again"))
        again = built(params)
    assert again.digest == before.digest and (again.gallery.vectors == before.gallery.vectors).all()
    moved = folder.rename(tmp_path / "moved")
    assert built(tower_params(weights, moved)).digest == before.digest
    Image.new("RGB", (9, 9), "pink").save(moved / "red.png")
    assert built(tower_params(weights, moved)).digest != before.digest


def test_a_few_pictures_are_open_at_a_time(weights, tmp_path, monkeypatch):
    whole = built(tower_params(weights, draw(tmp_path / "a"))).gallery.vectors
    sizes: list[int] = []
    monkeypatch.setattr(image_index, "BATCH", 4)
    encode = image_index.encode_folder

    def watched(tower: TowerParams, folder: Path, model: str, read: Any) -> Any:
        def counted(files: Any) -> np.ndarray:
            sizes.append(len(files))
            return read(files)

        return encode(tower, folder, f"{model}/again", counted)

    monkeypatch.setattr("mase.proxies.retrieval.encode_folder", watched)
    np.testing.assert_allclose(built(tower_params(weights, tmp_path / "a")).gallery.vectors, whole, atol=1e-5)
    assert sizes == [4, 4, 2]


def test_a_feature_file_is_searched_as_it_is(weights, tmp_path):
    texts = ["a red disc", "a green square", "rain"]
    plain = tower_params(weights, tmp_path).model_copy(update={"format": "open_clip", "retrieval": None})
    queries = build_tower(plain).encode(texts)
    noise = np.random.default_rng(0).normal(size=(40, WIDTH)) * np.abs(queries).mean() * 0.1
    vectors = (np.vstack([queries, queries, noise[:34]]) + noise * 0.1).astype(np.float16)
    vectors[:3] *= 7  # lengths do not count
    tower = built(tower_params(weights, feature_file(tmp_path, vectors), neighbours=2))
    names = [sorted(r.name for r in row) for row in tower.retrieve(texts)]
    assert names == [["0.jpg", "3.jpg"], ["1.jpg", "4.jpg"], ["2.jpg", "5.jpg"]]
    unit = vectors.astype(np.float32) / np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True)
    np.testing.assert_allclose(tower.encode(texts)[1], (unit[1] + unit[4]) / 2, atol=1e-5)
    np.testing.assert_allclose(tower.encode(texts[::-1]), tower.encode(texts)[::-1], atol=1e-6)


def test_exact_search_is_the_whole_order_and_ties_go_to_the_first():
    generator = np.random.default_rng(0)
    vectors, queries = generator.normal(size=(50, 8)), generator.normal(size=(7, 8))
    vectors[30] = vectors[3]
    found = ExactIndex(vectors).search(queries, 50)
    for query, order in zip(queries, found, strict=True):
        cosines = vectors @ query
        assert (np.diff(cosines[order]) <= 1e-12).all() and sorted(order) == list(range(50))
        assert list(order).index(3) + 1 == list(order).index(30)


def test_approximate_search_finds_almost_all_of_the_nearest_and_always_the_same():
    pytest.importorskip("faiss", reason="needs the extra `retrieval`")
    generator = np.random.default_rng(0)
    vectors, queries = (generator.normal(size=(n, 16)).astype(np.float32) for n in (2000, 50))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exact, found = ExactIndex(vectors).search(queries, 10), ApproximateIndex(vectors).search(queries, 10)
    hits = [len({*a} & {*b}) / 10 for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
    assert np.mean(hits) > 0.95
    assert (ApproximateIndex(vectors).search(queries, 10) == found).all()


def test_without_faiss_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ParamsError, match="pip install faiss-cpu"):
        ApproximateIndex(np.eye(3, dtype=np.float32))


def test_what_is_wrong_with_the_images_is_said(weights, tmp_path):
    with pytest.raises(MissingWeightsError, match="is not there; give a folder of images"):
        built(tower_params(weights, tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingWeightsError, match="has no image"):
        built(tower_params(weights, tmp_path / "empty"))
    (tmp_path / "empty" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(CheckpointFormatError, match=r"bad\.png: not a readable image"):
        built(tower_params(weights, tmp_path / "empty"))
    with pytest.raises(ParamsError, match="neither a folder nor"):
        built(tower_params(weights, weights))
    with pytest.raises(ParamsError, match="neighbours: 3, but .* has 2 images"):
        built(tower_params(weights, feature_file(tmp_path, np.eye(2, WIDTH))))


@pytest.mark.parametrize(
    ("vectors", "names", "wanted"),
    [
        (np.ones((4, WIDTH)), ["a"], r"has 1 names but mine\.npy is float64 \(4, 24\)"),
        (np.ones((1, 3)), ["a"], "output_width is 24"),
        (np.full((1, WIDTH), np.nan), ["a"], "not finite"),
        (np.zeros((1, WIDTH)), ["a"], "image 0 has a vector of zeros"),
    ],
)
def test_a_broken_feature_file_is_an_error(weights, tmp_path, vectors, names, wanted):
    with pytest.raises(CheckpointFormatError, match=wanted):
        built(tower_params(weights, feature_file(tmp_path, vectors, names)))


def test_the_block_and_the_format_go_together(weights, tmp_path):
    content = tower_params(weights, tmp_path).model_dump()
    for change in ({"format": "open_clip"}, {"retrieval": None}):
        with pytest.raises(ValueError, match="go together"):
            TowerParams.model_validate(content | change)


def with_tower(tower: TowerParams, *overrides: str) -> Params:
    params = load_params(
        "looks",
        profile="smoke",
        overlays=("methods/mpb_image",),
        overrides=("training.max_steps=2", *overrides),
    )
    return params.model_copy(update={"towers": {"image": tower}})


def test_it_is_a_tower_for_every_method_and_counts_by_its_bytes(weights, tmp_path):
    features = feature_file(tmp_path, np.random.default_rng(0).normal(size=(30, WIDTH)))
    params = with_tower(tower_params(weights, features))
    assert train(Unit(params, "+Image")).counts["steps"] == 2
    named = identity(params)["towers"]["image"]["retrieval"]
    assert named["images"] == gallery_digest(params.towers["image"], str(features))
    other = with_tower(tower_params(weights, features, neighbours=4))
    before = Unit(params, "").digest
    assert Unit(other, "").digest != before
    np.save(features, np.random.default_rng(1).normal(size=(30, WIDTH)))
    changed = with_tower(tower_params(weights, features))
    assert Unit(changed, "").digest != before
    table = extract_proxies(build_tower(params.towers["image"]), ["a red disc", "rain"])
    assert table.vectors().shape == (2, WIDTH)


def test_a_run_without_it_is_called_as_before():
    plain = load_params("looks", profile="smoke", overlays=("methods/mpb_image",))
    assert "retrieval" not in identity(plain)["towers"]["image"]
