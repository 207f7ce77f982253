"""A random tower of the same size as a given one: what a measure says of no training at all."""

from mase.params import TowerParams
from mase.proxies.clip_text import ClipTextTower, random_weights
from mase.proxies.tower import Tower

SEED = 0


def random_twin(tower: Tower) -> ClipTextTower:
    """Return a random tower with the shape, heads and vocabulary of `tower`.

    Beside an encoder that is not a CLIP text transformer stands a CLIP text transformer of
    two layers with its output width.
    """
    if not isinstance(tower, ClipTextTower):
        params = _params(tower, width=tower.width // 4 * 4 or 4, output_width=tower.width, layers=2, heads=4)
        return ClipTextTower(params, random_weights(params, SEED))
    settings, state = tower.settings(), tower.weights()
    rows, width = state["token_embedding.weight"].shape
    params = _params(
        tower,
        width=width,
        output_width=tower.width,
        layers=len({name.split(".")[2] for name in state if name.startswith("transformer.")}),
        heads=settings["heads"],
        activation=settings["activation"],
        context_length=tower.context_length,
        vocabulary=rows,
    )
    return ClipTextTower(params, random_weights(params, SEED), settings["kept"])


def _params(tower: Tower, **sizes: object) -> TowerParams:
    return TowerParams.model_validate(
        {"name": "random", "modality": tower.modality, "format": "random", "ref": "random-twin", **sizes}
    )
