"""From a modality's name to weights on disk."""

from dataclasses import replace
from pathlib import Path

from mase.proxies.training.recipes import CORPORA, image_corpus, recipe_of
from mase.proxies.training.shipping import manifest, save_tower
from mase.proxies.training.trainer import Progress, train_tower


def train_and_save(
    modality: str,
    data_dir: Path,
    out: Path,
    *,
    seed: int = 0,
    steps: int | None = None,
    distil_probes: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train one tower and write it; return the path of its weights.

    Args:
        modality: image, audio or video.
        data_dir: folder of the data sets.
        out: folder of the weights, made if it is not there.
        seed: of the initial weights and all draws.
        steps: instead of the recipe's.
        distil_probes: image only: also distil names that a colour, shape or material probe asks for.
        progress: called after every step.

    Raises:
        ParamsError: if there is no recipe of that name.
        DataError: if a data file is missing or malformed.
        TrainingError: if the loss is no longer finite.
    """
    recipe = recipe_of(modality)
    if steps is not None:
        recipe = replace(recipe, steps=steps, warm_up=min(recipe.warm_up, max(1, steps // 10)))
    if modality == "image":
        corpus = image_corpus(data_dir, distil_probes=distil_probes)
    else:
        corpus = CORPORA[recipe.modality](data_dir)
    trained = train_tower(corpus, recipe, seed=seed, progress=progress)
    card = manifest(trained, corpus, recipe, data_dir, seed)
    return save_tower(trained, {**card, "probe_names_distilled": distil_probes}, out)
