"""The released layout of ViLBERT's weights: a state dict of torch, keys of `VILBertForVLTasks`.

    bert.embeddings.*, bert.encoder.layer.N.*     the language model, all its layers
    bert.v_embeddings.*                           image_embeddings, image_location_embeddings, LayerNorm
    bert.encoder.v_layer.N.*                      the visual layers
    bert.encoder.c_layer.N.*                      co-attention: query1 of the picture, query2 of the text
    bert.t_pooler.dense.*, bert.v_pooler.dense.*  the poolers
    vil_prediction.main.0.*, main.3.*             the answering network, weight_g and weight_v apart

Left out by name: `cls.*`, `vil_logit.*`, `vision_logit.*`, `linguisic_logit.*` (heads of other tasks; so
spelt there), and `q_dense1`, `q_dense2` of co-attention, which the released forward pass does not use. A
checkpoint from pre-training has no `vil_prediction.*`; the answering network is new then. The order of the
answers is not in the file: `vilbert.answers` gives it, else `vil_prediction.main.3.*` is left out.

ConceptBert's checkpoints hold the same below `vilbert.`; of the rest (`q_kg_transformer.*`, `aggregator.*`,
`vil_prediction.*`, `*conceptnet_embedding*`, `*LayerNorm_kb*`) nothing is read: its layers are built
otherwise there.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mase.errors import CheckpointFormatError, MissingWeightsError
from mase.params.streams import VilbertParams
from mase.tensor_files import read_tensors

log = logging.getLogger(__name__)

ANSWERS = "vil_prediction.main.3."
PREDICTION = "vil_prediction."
ANSWERING = (PREDICTION, "bert.t_pooler.", "bert.v_pooler.")
CONCEPTBERT = "vilbert."
LEFT_OUT = re.compile(
    r"^(cls|vil_logit|vision_logit|linguisic_logit)\.|\.q_dense[12]\.|embeddings\.position_ids$"
)
LEFT_OUT_OF_CONCEPTBERT = re.compile(
    r"^(q_kg_transformer|aggregator|vil_prediction|question_pooler|fusion_question)\.|conceptnet_embedding|LayerNorm_kb"
)
NAMES = {
    r"^streams\.embeddings\.feature\.": "bert.v_embeddings.image_embeddings.",
    r"^streams\.embeddings\.place\.": "bert.v_embeddings.image_location_embeddings.",
    r"^streams\.embeddings\.norm\.": "bert.v_embeddings.LayerNorm.",
    r"^streams\.visual\.(\d+)\.attention\.": r"bert.encoder.v_layer.\1.attention.self.",
    r"^streams\.visual\.(\d+)\.mixed\.dense\.": r"bert.encoder.v_layer.\1.attention.output.dense.",
    r"^streams\.visual\.(\d+)\.mixed\.norm\.": r"bert.encoder.v_layer.\1.attention.output.LayerNorm.",
    r"^streams\.visual\.(\d+)\.feed\.": r"bert.encoder.v_layer.\1.",
    r"^streams\.bridges\.(\d+)\.visual\.(\w+)\.": r"bert.encoder.c_layer.\1.biattention.\g<2>1.",
    r"^streams\.bridges\.(\d+)\.text\.(\w+)\.": r"bert.encoder.c_layer.\1.biattention.\g<2>2.",
    r"^streams\.bridges\.(\d+)\.visual_mixed\.dense\.": r"bert.encoder.c_layer.\1.biOutput.dense1.",
    r"^streams\.bridges\.(\d+)\.visual_mixed\.norm\.": r"bert.encoder.c_layer.\1.biOutput.LayerNorm1.",
    r"^streams\.bridges\.(\d+)\.text_mixed\.dense\.": r"bert.encoder.c_layer.\1.biOutput.dense2.",
    r"^streams\.bridges\.(\d+)\.text_mixed\.norm\.": r"bert.encoder.c_layer.\1.biOutput.LayerNorm2.",
    r"^streams\.bridges\.(\d+)\.visual_feed\.": r"bert.encoder.c_layer.\1.v_",
    r"^streams\.bridges\.(\d+)\.text_feed\.": r"bert.encoder.c_layer.\1.t_",
    r"^text_pooler\.": "bert.t_pooler.dense.",
    r"^visual_pooler\.": "bert.v_pooler.dense.",
    r"^head\.main\.": PREDICTION + "main.",
    # what the prefixes above leave of a feed-forward part, and of a normalised weight
    r"(?<=[._])inner\.": "intermediate.dense.",
    r"(?<=[._])outer\.dense\.": "output.dense.",
    r"(?<=[._])outer\.norm\.": "output.LayerNorm.",
    r"parametrizations\.weight\.original0$": "weight_g",
    r"parametrizations\.weight\.original1$": "weight_v",
}
_BACKBONE = re.compile(r"^backbone\.encoder\.(embeddings|encoder\.layer\.\d+)\.(.+)$")
_LAST = re.compile(r"^backbone\.parts\.(\d+)\.encoder\.layer\.0\.(.+)$")


def released_name(name: str, first: int) -> str | None:
    """Return what a tensor of `Vilbert` is called in the released layout; None where it has no counterpart.

    Args:
        first: number of the first of the language model's layers that co-attention comes before.

    >>> released_name("backbone.parts.1.encoder.layer.0.output.dense.bias", 6)
    'bert.encoder.layer.7.output.dense.bias'
    """
    if found := _BACKBONE.match(name):
        return f"bert.{found[1]}.{found[2]}"
    if found := _LAST.match(name):
        return f"bert.encoder.layer.{first + int(found[1])}.{found[2]}"
    if not name.startswith(("streams.", "text_pooler.", "visual_pooler.", "head.main.")):
        return None
    for pattern, replacement in NAMES.items():
        name = re.sub(pattern, replacement, name)
    return name


def load_released(model: nn.Module, params: VilbertParams, answers: Sequence[str]) -> None:
    """Fill a model from a checkpoint of the released layout; log what of the file is left out.

    Args:
        answers: the run's own, whose rows are taken out of the checkpoint's answer layer where
            `params.answers` says which is which; an answer that it does not have starts new.

    Raises:
        MissingWeightsError: if there is no such file.
        CheckpointFormatError: if it is no state dict, lacks a tensor, has an unknown one or one of
            another shape, or the language model is not a BERT.
    """
    assert params.checkpoint is not None
    path = Path(params.checkpoint).expanduser()
    state, left_out = _known(_read(path), path)
    wanted = _wanted(model, path)
    if not hasattr(model, "text_pooler"):  # ConceptBert answers from other vectors
        left_out += sorted({f"{name.rpartition('.')[0]}.*" for name in state if name.startswith(ANSWERING)})
        state = {name: tensor for name, tensor in state.items() if not name.startswith(ANSWERING)}
    if not any(name.startswith(PREDICTION) for name in state):
        wanted = {name: place for name, place in wanted.items() if not name.startswith(PREDICTION)}
    ranked = {name: state.pop(name) for name in list(state) if name.startswith(ANSWERS)}
    wanted = {name: place for name, place in wanted.items() if not name.startswith(ANSWERS)}
    own = model.state_dict()
    _refuse(path, state, {name: own[place].shape for name, place in wanted.items()})
    model.load_state_dict({wanted[name]: tensor for name, tensor in state.items()}, strict=False)
    if ranked and params.answers is not None:
        _fill_answers(model, ranked, _listed(params.answers), answers, path)
    elif ranked:
        left_out.append(ANSWERS + "* (set vilbert.answers)")
    log.warning("%s: left out on purpose: %s", path, ", ".join(sorted(set(left_out))) or "nothing")


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise MissingWeightsError(f"vilbert.checkpoint: {path} is not there")
    return {name.removeprefix("module."): tensor for name, tensor in read_tensors(path).items()}


def _known(state: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors that have a place, and the parts that are left out by name."""
    left_out = [LEFT_OUT]
    if any(name.startswith(CONCEPTBERT) for name in state):
        below = {n.removeprefix(CONCEPTBERT): t for n, t in state.items() if n.startswith(CONCEPTBERT)}
        rest = {n: t for n, t in state.items() if not n.startswith(CONCEPTBERT)}
        if both := sorted(below.keys() & rest.keys() - {n for n in rest if n.startswith(PREDICTION)}):
            raise CheckpointFormatError(f"{path}: {both[0]} stands there with and without {CONCEPTBERT}")
        state, left_out = {**rest, **below}, [LEFT_OUT, LEFT_OUT_OF_CONCEPTBERT]
    dropped = [name for name in state if any(pattern.search(name) for pattern in left_out)]
    kept = {name: tensor for name, tensor in state.items() if name not in dropped}
    return kept, [f"{name.split('.')[0]}.*" if name[:5] != "bert." else name for name in dropped]


def _wanted(model: nn.Module, path: Path) -> dict[str, str]:
    """Return the names of the released layout with the model's own."""
    backbone = model.get_submodule("backbone")
    kind, parts = backbone.config.model_type, backbone.get_submodule("parts")  # type: ignore[union-attr]
    if kind != "bert":
        raise CheckpointFormatError(f"{path} is of a BERT, but the language model is of type {kind}")
    first = int(backbone.depth) - len(list(parts.children()))  # type: ignore[arg-type]
    named = {released_name(name, first): name for name in model.state_dict()}
    return {name: place for name, place in named.items() if name is not None}


def _refuse(path: Path, state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    missing, unknown = sorted(shapes.keys() - state.keys()), sorted(state.keys() - shapes.keys())
    other = sorted(n for n in shapes.keys() & state.keys() if state[n].shape != shapes[n])
    said = [f"lacks {', '.join(missing[:3])}"] if missing else []
    said += [f"has the unknown {', '.join(unknown[:3])}"] if unknown else []
    said += [f"has {n} {tuple(state[n].shape)}, but the params say {tuple(shapes[n])}" for n in other[:3]]
    if said:
        counts = f"{len(missing)} missing, {len(unknown)} unknown, {len(other)} of another shape"
        raise CheckpointFormatError(
            f"{path}: {'; '.join(said)} ({counts}); set backbone.* and vilbert.* to what it was trained with"
        )


def _listed(name: str) -> list[str]:
    path = Path(name).expanduser()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as cause:
        raise CheckpointFormatError(f"vilbert.answers: {path} is not a JSON list: {cause}") from cause
    if not isinstance(found, list) or not all(isinstance(answer, str) for answer in found):
        raise CheckpointFormatError(f"vilbert.answers: {path} is not a JSON list of answers")
    return found


def _fill_answers(
    model: nn.Module, ranked: Mapping[str, Tensor], theirs: Sequence[str], ours: Sequence[str], path: Path
) -> None:
    """Take the rows of the shared answers from the checkpoint's last layer."""
    layer = model.get_submodule("head.main.3")
    assert isinstance(layer, nn.Linear)
    shapes = {
        ANSWERS + "weight_g": torch.Size(()),
        ANSWERS + "weight_v": torch.Size((len(theirs), layer.in_features)),
        ANSWERS + "bias": torch.Size((len(theirs),)),
    }
    _refuse(path, ranked, shapes)
    direction = ranked[ANSWERS + "weight_v"]
    weight = ranked[ANSWERS + "weight_g"] * direction / direction.norm()
    place = {answer: row for row, answer in enumerate(theirs)}
    shared = [(row, place[answer]) for row, answer in enumerate(ours) if answer in place]
    with torch.no_grad():
        mixed, bias = layer.weight.clone(), layer.bias
        for row, source in shared:
            mixed[row], bias[row] = weight[source], ranked[ANSWERS + "bias"][source]
        layer.weight = mixed
    log.warning("%s: %d of %d answers are the checkpoint's", path, len(shared), len(ours))
