"""The parts of pages that compute: neighbours, the contour, summaries, sentences, drawings."""

import math
import re

import pandas as pd
import pytest

from dashboards import information, scene_graphs, shown, store
from dashboards.contour import GRID, between
from dashboards.cost import by_group
from dashboards.neighbours import neighbours, vocabulary
from mase.scenegraph import parse
from tests.dashboards.filling import HOSTILE


def test_an_object_of_the_vocabulary_is_its_own_nearest_neighbour() -> None:
    assert {"lemon", "helicopter"} <= set(vocabulary())
    for modality in ("image", "audio", "video"):
        found = neighbours(modality, ["lemon", "helicopter"], 3, random=False)
        for phrase, near in found.items():
            assert near[0] == (phrase, pytest.approx(1.0, abs=1e-4))
            assert near[1][1] >= near[2][1]


def test_random_towers_are_other_towers() -> None:
    trained = neighbours("image", ["red bus"], 5, random=False)
    assert neighbours("image", ["red bus"], 5, random=True) != trained


def test_the_contour_covers_the_trials_and_passes_through_them() -> None:
    trials = pd.DataFrame({"x": [0.001, 1.0, 0.03], "y": [0.01, 0.5, 0.1], "score": [0.2, 0.4, 0.9]})
    cells = between(trials)
    assert len(cells) == GRID**2
    assert cells["x"].min() == pytest.approx(0.001) and cells["x2"].max() == pytest.approx(1.0)
    for x, y, score in trials.to_numpy().tolist():
        inside = (cells["x"] <= x * 1.0001) & (cells["x2"] >= x * 0.9999)
        inside &= (cells["y"] <= y * 1.0001) & (cells["y2"] >= y * 0.9999)
        assert cells[inside]["score"].mean() == pytest.approx(score, abs=0.05)
    assert cells["score"].between(0.2, 0.9).all()


def test_a_contour_of_one_value_of_a_param_is_finite() -> None:
    cells = between(pd.DataFrame({"x": [0.1, 0.1], "y": [0.01, 1.0], "score": [0.0, 1.0]}))
    assert cells.notna().all(axis=None)


def test_information_is_averaged_over_seeds_with_both_kinds_of_error() -> None:
    seeds = pd.DataFrame(
        {
            "task": "mrpc", "row": ["MPB", "MPB", "Text only"],
            "em/information/image": [0.1, 0.3, None], "em/information_se/image": [0.05, 0.05, None],
            "em/weight/image": [0.4, 0.6, None],
        }
    )  # fmt: skip
    (found,) = information.summary(seeds).to_dict("records")
    assert (found["row"], found["modality"], found["seeds"]) == ("MPB", "image", 2)
    assert found["information"] == pytest.approx(0.2) and found["weight"] == pytest.approx(0.5)
    assert found["information_se"] == pytest.approx(math.sqrt((0.05**2 + 0.02) / 2))
    assert information.summary(seeds[["task", "row"]]).empty


def test_cost_adds_up_in_hours() -> None:
    paid = pd.DataFrame({"row": ["a", "b", "b"], "cost/seconds": [1800.0, 3600.0, 7200.0]})
    paid = paid.assign(**{"cost/examples_per_second": 10.0, "cost/peak_bytes": 2.0**31})
    assert by_group(paid, "row")[["row", "units", "hours", "peak"]].to_numpy().tolist() == [
        ["b", 2, 3.0, 2.0], ["a", 1, 0.5, 2.0],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (4.24, "4.2 s"),
        (41, "41 s"),
        (720, "12 min"),
        (4 * 3600, "4.0 h"),
        (260_000, "3.0 d"),
        (math.nan, "–"),
    ],
)
def test_durations_have_a_unit(seconds: float, said: str) -> None:
    assert shown.duration(seconds) == said


def test_an_allocation_is_read_from_points_of_known_modalities_alone() -> None:
    keys = ["em/weight/text", "em/information/text", "em/weight/smell", "em/weight/text/x"]
    points = pd.DataFrame({"run_id": "a", "key": keys, "step": 1, "value": [0.5, 0.1, 0.9, 0.9]})
    (found,) = store.from_points(points).to_dict("records")
    assert (found["iteration"], found["modality"], found["weight"], found["information"]) == (
        1,
        "text",
        0.5,
        0.1,
    )
    assert math.isnan(found["information_se"])


@pytest.mark.parametrize(
    "name", ["../../etc", "0086fa806b51002e6a6", "0086fa806b51002e6a69/..", "", None, 3.5]
)
def test_only_a_units_name_leads_to_a_folder(name: object) -> None:
    assert store.unit_folder(name) is None  # type: ignore[arg-type]
    folder = store.unit_folder("0086fa806b51002e6a69")
    assert folder is not None and folder.parent.name == "units"


def test_the_drawing_has_every_entity_attribute_and_relation() -> None:
    (graph,) = parse(["A red bus passes a small dog."])
    drawing = scene_graphs.as_dot(graph, "#000000", "#0072B2")
    assert re.findall(r'label="([^"]*)"', drawing) == ["bus", "red", "dog", "small", " pass "]
    assert "e0 -> e1" in drawing


@pytest.mark.parametrize("text", [*HOSTILE, 'a" shape=box URL="javascript:x', "a\nb", "end\\"])
def test_a_label_cannot_leave_its_quotes(text: str) -> None:
    inside = scene_graphs.quoted(text)[1:-1]
    assert not re.search(r'(?<!\\)(?:\\\\)*"', inside)
    assert not inside.endswith("\\") or re.search(r"(?:\\\\)+$", inside)
    assert "\n" not in inside and "&" not in inside.replace("&amp;", "")
