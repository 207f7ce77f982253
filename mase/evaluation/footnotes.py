"""What must be said under a table: counts, metrics, stand-ins, caveats."""

from collections.abc import Mapping

from mase.evaluation.declaration import TableParams
from mase.evaluation.evidence import Evidence

Found = Mapping[tuple[str, str], Evidence]  # (row, column) -> evidence

SMALL_PROFILES = ("demo", "smoke")
STAND_INS = (
    "Towers: small {kind} stand-ins of this project, not CLIP, AudioCLIP or CLIP-ViP, "
    "also in the rows that carry those names."
)
MINILM = (
    "Backbone all-MiniLM-L6-v2 was itself trained on question duplicates, NLI and captions; "
    "this is the same for every row."
)


def profile_notes(profile: str) -> list[str]:
    """Return the warning that goes under every table made with a small profile."""
    return [f"Profile {profile}: too small for conclusions."] if profile in SMALL_PROFILES else []


def _counts(evidence: Found) -> str:
    metrics: dict[tuple[str, int], dict[str, None]] = {}  # (title, examples) -> metrics
    for found in evidence.values():
        metrics.setdefault((found.task.title, found.labels.size), {})[found.metric.name] = None
    titles: dict[tuple[str, int], list[str]] = {}
    for (title, size), names in metrics.items():
        titles.setdefault((", ".join(names), size), []).append(title)
    parts = [f"{', '.join(names)}: {metric} on {size} examples" for (metric, size), names in titles.items()]
    return "Measured: " + "; ".join(parts) + "."


def _folds(evidence: Found) -> list[str]:
    titles: dict[int, dict[str, None]] = {}
    for found in evidence.values():
        if found.params.data.folds is not None:
            titles.setdefault(found.params.data.folds, {})[found.task.title] = None
    return [
        f"{', '.join(names)}: {count}-fold cross-validation, every example predicted by a model that was not "
        "trained on it."
        for count, names in titles.items()
    ]


def _seeds(evidence: Found) -> str:
    seeds = sorted({seed for found in evidence.values() for seed in found.seeds})
    if len(seeds) == 1:
        too_narrow = "intervals and p-values do not cover training noise, so they are too narrow"
        return f"One seed ({seeds[0]}): {too_narrow}."
    few = " With two seeds the intervals are somewhat too narrow." if len(seeds) == 2 else ""
    return f"Seeds: {', '.join(map(str, seeds))}.{few}"


def _caveats(evidence: Found) -> list[str]:
    runs = [found.params for found in evidence.values()]
    towers = [p.towers[m] for p in runs for m in p.modalities if m != "text"]
    stand_ins = [tower for tower in towers if tower.stand_in]
    kind = "random" if all(tower.format == "random" for tower in stand_ins) else "trained"
    notes = [STAND_INS.format(kind=kind)] if stand_ins else []
    if any("minilm" in f"{p.backbone.name} {p.backbone.ref}".lower() for p in runs):
        notes.append(MINILM)
    return notes


def footnotes(table: TableParams, evidence: Found) -> list[str]:
    """Return the footer of a table: what was measured on how much, and what to beware of."""
    if not evidence:
        return ["No unit of this table is done.", *table.footnotes]
    test = (
        f"Differences are against {table.reference}: paired bootstrap over examples and seeds, 95% interval, "
        "p two-sided, Holm-adjusted over the rows of a column."
    )
    measured = [_counts(evidence), *_folds(evidence), _seeds(evidence)]
    return [*measured, test, *_caveats(evidence), *table.footnotes]
