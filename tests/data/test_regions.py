"""Region features: three formats, one meaning; nothing is read whole; a broken file is one clear error."""

import base64
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mase.data.regions import RegionStore, fingerprint, image_key
from mase.errors import DataError

COUNTS = (3, 1, 4)
IMAGES = (42, 7, 900)


def arrays(seed: int = 0, width: int = 6) -> dict[str, Any]:
    """Return the arrays of three images, all regions in a row; boxes in pixels."""
    generator = np.random.default_rng(seed)
    total = sum(COUNTS)
    corners = np.sort(generator.uniform(0, 1, (total, 2, 2)), axis=1).reshape(total, 4)
    sizes = np.array([[640, 480], [300, 500], [100, 100]], dtype=np.float32)
    pixels = corners * np.tile(np.repeat(sizes, COUNTS, axis=0), 2)
    return {
        "image_ids": np.array(IMAGES),
        "features": generator.normal(size=(total, width)).astype(np.float32),
        "counts": np.array(COUNTS),
        "boxes": pixels.astype(np.float32),
        "sizes": sizes,
    }


def padded(found: dict[str, Any]) -> dict[str, Any]:
    """Return the same with (n, k, d) features; what is beyond an image's regions is nonsense."""
    ends = np.cumsum(COUNTS)
    result = dict(found)
    for name in ("features", "boxes"):
        room = np.full((len(COUNTS), max(COUNTS), found[name].shape[1]), 1e6, found[name].dtype)
        for row, (count, end) in enumerate(zip(COUNTS, ends, strict=True)):
            room[row, :count] = found[name][end - count : end]
        result[name] = room
    return result


def write(path: Path, found: dict[str, Any], *, compressed: bool = False) -> Path:
    if path.suffix == ".npz":
        (np.savez_compressed if compressed else np.savez)(path, **found)
    elif path.suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, array in found.items():
                file[name] = array
    else:
        parts = [np.split(found[name], np.cumsum(COUNTS)[:-1]) for name in ("features", "boxes")]
        columns = {
            "image_id": list(IMAGES),
            "features": [part.tolist() for part in parts[0]],
            "boxes": [part.tolist() for part in parts[1]],
            "width": found["sizes"][:, 0].tolist(),
            "height": found["sizes"][:, 1].tolist(),
        }
        parquet.write_table(pa.table(columns), path, row_group_size=2)
    return path


def all_of(path: Path) -> list[np.ndarray]:
    store = RegionStore([path])
    found = [store.regions(str(image)) for image in IMAGES]
    return [array for regions in found for array in (regions.features, regions.boxes)]


def test_every_format_gives_the_same_numbers(tmp_path: Path) -> None:
    flat = arrays()
    written = [
        write(tmp_path / "flat.npz", flat),
        write(tmp_path / "packed.npz", flat, compressed=True),
        write(tmp_path / "padded.npz", padded(flat)),
        write(tmp_path / "fortran.npz", {**flat, "features": np.asfortranarray(flat["features"])}),
        write(tmp_path / "rows.parquet", flat),
        write(tmp_path / "flat.h5", flat),
        write(tmp_path / "padded.h5", padded(flat)),
    ]
    expected = all_of(written[0])
    assert [array.shape for array in expected[::2]] == [(count, 6) for count in COUNTS]
    assert np.array_equal(expected[4], flat["features"][4:])
    for path in written[1:]:
        for one, other in zip(expected, all_of(path), strict=True):
            assert one.dtype == other.dtype == np.float32
            np.testing.assert_allclose(one, other, atol=1e-6, err_msg=path.name)


def test_boxes_are_shares_of_the_image_in_pixels_or_already(tmp_path: Path) -> None:
    found = arrays()
    shares = found["boxes"] / np.tile(np.repeat(found["sizes"], COUNTS, axis=0), 2)
    already = {**found, "boxes": shares}
    del already["sizes"]
    one, other = write(tmp_path / "a.npz", found), write(tmp_path / "b.npz", already)
    np.testing.assert_allclose(np.concatenate(all_of(one)[1::2]), shares, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(all_of(other)[1::2]), shares, atol=1e-6)
    bare = {name: found[name] for name in ("image_ids", "features", "counts")}
    assert not np.concatenate(all_of(write(tmp_path / "c.npz", bare))[1::2]).any()


def test_an_npz_is_mapped_and_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", arrays())
    assert isinstance(RegionStore([path]).files[0].features, np.memmap)  # type: ignore[attr-defined]


def test_images_are_named_by_number_or_by_coco_name(tmp_path: Path) -> None:
    names = np.array(["COCO_train2014_000000000042", "COCO_val2014_000000000007.jpg", "900"])
    store = RegionStore([write(tmp_path / "a.npz", {**arrays(), "image_ids": names})])
    store.require(["42", "7", "900"], 6)
    assert (
        image_key(np.int64(3)) == "3" and image_key("scene-03") == "scene-03" and image_key(b"0010") == "10"
    )
    text = write(tmp_path / "b.h5", {**arrays(), "image_ids": np.array([n.encode() for n in names])})
    RegionStore([text]).require(["42", "7", "900"], 6)


def test_several_files_answer_together_but_not_for_the_same_image(tmp_path: Path) -> None:
    first = write(tmp_path / "a.npz", arrays())
    second = write(tmp_path / "b.npz", {**arrays(1), "image_ids": np.array([1, 2, 3])})
    store = RegionStore([first, second])
    store.require(["42", "3"], 6)
    assert len(store) == 6
    assert np.array_equal(store.regions("3").features, arrays(1)["features"][4:])
    with pytest.raises(DataError, match=r"image 42 stands there and in .*a\.npz; keep it once"):
        RegionStore([first, write(tmp_path / "c.npz", arrays(2))])


def test_missing_images_are_counted_before_anything_is_trained(tmp_path: Path) -> None:
    store = RegionStore([write(tmp_path / "a.npz", arrays())])
    with pytest.raises(
        DataError, match=r"a\.npz: no region features of 2 of 3 images \(5, 6\).*data\.regions"
    ):
        store.require(["42", "5", "6"], 6)
    with pytest.raises(
        DataError, match="features have 6 numbers, but task.vqa.region_width is 2048; set it to 6"
    ):
        store.require(["42"], 2048)
    with pytest.raises(DataError, match="no region features of image 5"):
        store.regions("5")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": None}, "no array 'features'; there is 'image_ids'"),
        ({"image_ids": None}, "no array 'image_ids'"),
        ({"counts": None}, r"features \(8, 6\) are of all regions in a row, so counts must say"),
        ({"counts": np.array([3, 1])}, "counts .* is not one number for each of 3 images"),
        ({"counts": np.array([3, 1, 5])}, r"features \(8, 6\) do not fit 3 image_ids with 9 entries"),
        ({"counts": np.array([5, -1, 4])}, "counts has a negative number"),
        ({"features": np.ones((8, 6), np.int64)}, "features are int64"),
        ({"boxes": np.zeros((8, 5))}, r"boxes \(8, 5\) should be \(8, 4\)"),
        ({"sizes": np.ones((3, 3))}, r"sizes \(3, 3\) should be \(3, 2\)"),
        ({"features": np.array([{}] * 8)}, "cannot be read as .npz: array features.npy holds Python objects"),
    ],
)
def test_arrays_that_do_not_fit_are_one_clear_error(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    found = {name: array for name, array in {**arrays(), **changes}.items() if array is not None}
    path = write(tmp_path / "a.npz", found)
    with pytest.raises(DataError, match=message) as caught:
        RegionStore([path])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features": np.full((8, 6), np.nan, np.float32)},
            "image 42 has a feature that is not a finite number",
        ),
        ({"counts": np.array([0, 4, 4])}, "image 42 has no region"),
        ({"boxes": np.full((8, 4), 900.0)}, "image 42 has a box outside it; write boxes as x1, y1, x2, y2"),
        (
            {"boxes": np.full((8, 4), 9.0), "sizes": None},
            "boxes that are not between 0 and 1, and no image size",
        ),
    ],
)
def test_numbers_that_make_no_sense_are_named_with_their_image(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    found = {name: array for name, array in {**arrays(), **changes}.items() if array is not None}
    store = RegionStore([write(tmp_path / "a.npz", found)])
    with pytest.raises(DataError, match=message):
        store.regions("42")


@pytest.mark.parametrize("name", ["flat.npz", "padded.npz", "rows.parquet"])
def test_an_image_without_regions_is_named_before_anything_is_trained(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".parquet":
        lists = [[[1.0, 2.0]], [], [[1.0, 2.0], [3.0, 4.0]]]
        parquet.write_table(pa.table({"image_id": list(IMAGES), "features": lists}), path)
    elif name == "flat.npz":
        found = np.ones((3, 2), np.float32)
        np.savez(path, image_ids=np.array(IMAGES), features=found, counts=np.array([1, 0, 2]))
    else:
        found = np.ones((3, 2, 2), np.float32)
        np.savez(path, image_ids=np.array(IMAGES), features=found, counts=np.array([1, 0, 2]))
    store = RegionStore([path])
    store.require(["42", "900"], 2)
    with pytest.raises(DataError, match=rf"{name}: 1 images have no region \(7\); give each one"):
        store.require(["42", "7"], 2)
    with pytest.raises(DataError, match="image 7 has no region"):
        store.regions("7")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_files_of_two_widths_are_refused_before_anything_is_trained(tmp_path: Path, suffix: str) -> None:
    first = write(tmp_path / "a.npz", {**arrays(), "image_ids": np.array([1, 2, 3])})
    second = write(tmp_path / f"b{suffix}", arrays(1, width=4))
    with pytest.raises(
        DataError, match=r"features have 4 numbers, but those of .*a\.npz have 6; write"
    ) as caught:
        RegionStore([first, second]).require(["1"], 6)
    assert str(caught.value).startswith(str(second))


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet"])
def test_a_broken_file_is_named(tmp_path: Path, suffix: str) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"no such thing")
    with pytest.raises(DataError, match=rf"a\{suffix}: cannot be read as \{suffix}.*write or fetch it again"):
        RegionStore([path])
    whole = write(tmp_path / f"b{suffix}", arrays())
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"a\{suffix}: cannot be read"):
        RegionStore([path])


def test_other_files_and_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"region features come as \.npz, \.h5, \.hdf5, \.parquet, not as '\.pkl'"
    ):
        RegionStore([tmp_path / "a.pkl"])
    parquet.write_table(pa.table({"image_id": [1], "vectors": [[[1.0]]]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no column 'features'; there is 'image_id', 'vectors'"):
        RegionStore([tmp_path / "a.parquet"])
    for wrong, message in (
        ([1.0, 2.0], "not a list of lists"),
        ([[1.0], [1.0, 2.0]], "rows of different lengths"),
    ):
        parquet.write_table(pa.table({"image_id": [1], "features": [wrong]}), tmp_path / "b.parquet")
        with pytest.raises(DataError, match=message):
            RegionStore([tmp_path / "b.parquet"]).regions("1")


def test_h5_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match="needs the package h5py; install it"):
        RegionStore([tmp_path / "a.h5"])


def test_the_fingerprint_follows_the_content_and_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", arrays())
    copy = tmp_path / "b.npz"
    copy.write_bytes(path.read_bytes())
    assert fingerprint(copy) == fingerprint(path)
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    copy.write_bytes(bytes(changed))
    assert fingerprint(copy) != fingerprint(path)


def test_the_documented_conversion_of_the_published_tsv_is_read(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    page = (Path(__file__).parents[2] / "docs" / "region_features.md").read_text()
    code: dict[str, Any] = {"__name__": "example"}
    exec(page.split("```python\n")[1].split("```")[0], code)
    found = arrays(width=2048)
    ends, lines = np.cumsum(COUNTS), []
    for row, (count, end) in enumerate(zip(COUNTS, ends, strict=True)):
        packed = [
            base64.b64encode(found[n][end - count : end].tobytes()).decode() for n in ("boxes", "features")
        ]
        width, height = found["sizes"][row].astype(int)
        lines.append("\t".join([str(IMAGES[row]), str(width), str(height), str(count), *packed]))
    (tmp_path / "a.tsv").write_text("\n".join(lines) + "\n")
    code["convert"]([tmp_path / "a.tsv"], tmp_path / "a.h5")
    store = RegionStore([tmp_path / "a.h5"])
    store.require(map(str, IMAGES), 2048)
    np.testing.assert_allclose(store.regions("900").features, found["features"][4:], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        store.regions("7").boxes * [300, 500, 300, 500], found["boxes"][3:4], atol=1e-2
    )
