"""The three towers: what each is trained on, and how."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mase.errors import ParamsError
from mase.proxies.training import corpora
from mase.proxies.training.held_out import split_clips, split_pictures
from mase.proxies.training.positives import PositiveSource
from mase.proxies.training.targets import Targets, image_targets

TowerModality = Literal["image", "audio", "video"]

# Captions with one of these, inflected, are taken to be about something that moves.
MOTION_VERBS = (
    "bend bike bounce bowl brush carry catch chase clap climb cook crawl cross cut dance dive draw drink "
    "drive eat fall fight flip float fly follow grind hang hit hold hop jog jump kick kneel land lead lean "
    "leap lift march mix move paddle paint perform pet pitch play point pour pull push race reach ride roll "
    "row run sail serve shake skate ski skid slice slide snowboard spin splash spray stir stretch surf "
    "sweep swim swing swipe take talk throw toss travel trot turn twist walk wash wave wrestle"
).split()
_STEMS = "|".join(sorted({verb.removesuffix("e") for verb in MOTION_VERBS}))
_MOTION = re.compile(rf"\b(?:{_STEMS})[a-z]?ing\b")  # one letter for a doubled consonant


@dataclass(frozen=True)
class Recipe:
    """Sizes and schedule of a tower.

    Attributes:
        rows: most rows of the token embedding.
        least: occurrences from which a token is kept.
        temperature: of the contrastive loss.
        embedding_rate, other_rate: peak learning rates of the token embedding and of the rest.
        warm_up: steps to the peak; a cosine leads back to zero.
        distil_weight: of the cosine to the targets; the relational term has ten times this.
        distilled, guessed: names with CLIP's vector and with a guessed one in a batch.
    """

    modality: TowerModality
    sources: tuple[str, ...]
    width: int = 96
    rows: int = 8000
    least: int = 2
    heads: int = 4
    layers: int = 1
    steps: int = 300
    temperature: float = 0.06
    embedding_rate: float = 0.01
    other_rate: float = 0.002
    warm_up: int = 50
    distil_weight: float = 0.0
    distilled: int = 96
    guessed: int = 288


RECIPES: dict[TowerModality, Recipe] = {
    "image": Recipe("image", ("coco", "factual", "clip", "wordnet"), steps=600, distil_weight=5.0),
    "audio": Recipe("audio", ("audiocaps", "audioset"), steps=450),
    "video": Recipe("video", ("coco", "factual", "msrvtt", "kinetics"), steps=300),
}


@dataclass(frozen=True)
class Corpus:
    """Everything that a tower sees."""

    sources: tuple[PositiveSource, ...]
    targets: Targets | None = None

    def texts(self) -> list[str]:
        """Return every text, names included, in a fixed order."""
        names = [*self.targets.names, *self.targets.guessed_names] if self.targets else []
        return [text for source in self.sources for text in source.texts()] + names


def shows_motion(caption: str) -> bool:
    """Whether a caption has a present participle of a verb of motion or action."""
    return _MOTION.search(caption.lower()) is not None


def _training_pictures(data_dir: Path) -> list[tuple[str, ...]]:
    pictures = corpora.coco_pictures(data_dir)
    train, _ = split_pictures(pictures)
    return [pictures[key] for key in train]


def image_corpus(data_dir: Path, *, distil_probes: bool = False) -> Corpus:
    """Captions of one picture; region captions with themselves and with their graph; CLIP's vectors."""
    regions = corpora.factual_regions(data_dir)
    sources = (
        PositiveSource("captions of a picture", tuple(_training_pictures(data_dir)), 512, 0.2),
        PositiveSource("region captions", tuple((caption,) for caption, _ in regions), 192, 0.4),
        PositiveSource("region caption and graph", tuple(regions), 128, 0.3),
    )
    texts = [text for source in sources for text in source.texts()]
    return Corpus(sources, image_targets(data_dir, texts, distil_probes=distil_probes))


def audio_corpus(data_dir: Path) -> Corpus:
    """Captions of one clip; training captions with themselves; names of sounds and their parts."""
    clips = corpora.audiocaps_clips(data_dir)
    train, _ = split_clips(list(clips))
    names = corpora.audioset_names(data_dir)
    return Corpus(
        (
            PositiveSource("captions of a clip", tuple(clips[key] for key in train), 96, 0.4),
            PositiveSource("captions", tuple((t,) for t in corpora.audiocaps_captions(data_dir)), 384, 0.6),
            PositiveSource("sound classes", tuple(tuple(name.split(", ")) for name in names), 64, 0.3),
        )
    )


def video_corpus(data_dir: Path) -> Corpus:
    """Captions of pictures and regions with motion; sentences about videos; names of actions."""
    moving = [captions for captions in _training_pictures(data_dir) if any(map(shows_motion, captions))]
    regions = [caption for caption, _ in corpora.factual_regions(data_dir) if shows_motion(caption)]
    actions = corpora.kinetics_names(data_dir)
    return Corpus(
        (
            PositiveSource("captions of a picture with motion", tuple(moving), 384, 0.3),
            PositiveSource("region captions with motion", tuple((text,) for text in regions), 192, 0.5),
            PositiveSource(
                "video sentences", tuple((text,) for text in corpora.msrvtt_sentences(data_dir)), 96, 0.5
            ),
            PositiveSource("actions", tuple((name, f"a person is {name}") for name in actions), 96, 0.2),
        )
    )


CORPORA: dict[TowerModality, Callable[[Path], Corpus]] = {
    "image": image_corpus,
    "audio": audio_corpus,
    "video": video_corpus,
}


def recipe_of(modality: str) -> Recipe:
    """Return the recipe of a modality.

    Raises:
        ParamsError: if there is none.
    """
    for name, recipe in RECIPES.items():
        if name == modality:
            return recipe
    raise ParamsError(f"no recipe for {modality!r}; there are {', '.join(RECIPES)}")
