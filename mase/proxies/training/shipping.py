"""Write a trained tower as a CLIP text checkpoint with what a reader must know beside it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save

from mase.artifacts import sha256_file, write_atomically, write_json
from mase.proxies.training.corpora import SOURCES
from mase.proxies.training.recipes import Corpus, Recipe
from mase.proxies.training.trainer import TrainedTower

NOTE = "Trained on captions alone, by `mase towers train {modality}`; a stand-in for a tower that saw {seen}."
SEEN = {"image": "pictures", "audio": "sounds", "video": "videos"}
USE = {
    "image": "research use; the data and their terms are below",
    "audio": "academic use only, because of AudioCaps",
    "video": "research use only, because of MSR-VTT",
}


def manifest(
    trained: TrainedTower, corpus: Corpus, recipe: Recipe, data_dir: Path, seed: int
) -> dict[str, Any]:
    """Return what the weights were made of: recipe, counts, files with sums and licences."""
    files = {
        key: {
            "title": SOURCES[key].title,
            "licence": SOURCES[key].licence,
            "sha256": {name: sha256_file(Path(data_dir).expanduser() / name) for name in SOURCES[key].files},
        }
        for key in recipe.sources
    }
    counts = {source.name: len(source.groups) for source in corpus.sources}
    if corpus.targets:
        counts["names with CLIP's vector"] = len(corpus.targets.names)
        counts["words with a guessed vector"] = len(corpus.targets.guessed_names)
    return {
        "tower": trained.params.name,
        "recipe": asdict(recipe),
        "seed": seed,
        "groups": counts,
        "pairs_in_a_batch": {source.name: source.per_batch for source in corpus.sources},
        "tokens_left_out": {source.name: source.dropout for source in corpus.sources},
        "use": USE[recipe.modality],
        "data": files,
        "vocabulary": len(trained.kept),
        "last_loss": round(trained.loss, 4),
    }


def save_tower(trained: TrainedTower, card: dict[str, Any], out: Path) -> Path:
    """Write weights (half precision), kept BPE ids, params and manifest; return the weights' path."""
    name, folder = trained.params.name, Path(out).expanduser()
    path = folder / f"{name}.safetensors"
    half = {key: value.to(torch.float16).contiguous() for key, value in trained.weights.items()}
    write_atomically(path, save(half))
    write_json(folder / f"{name}.token_ids.json", trained.kept)
    write_json(folder / f"{name}.manifest.json", {**card, "weights_sha256": sha256_file(path)})
    params = trained.params.model_copy(
        update={
            "ref": path.name,
            "note": NOTE.format(modality=trained.params.modality, seen=SEEN[trained.params.modality]),
        }
    )
    settings = params.model_dump(mode="json", exclude_defaults=True)
    write_atomically(folder / f"{name}.yaml", yaml.safe_dump(settings, sort_keys=False, width=110))
    return path
