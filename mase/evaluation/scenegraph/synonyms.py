"""The synonym lists that SPICE looks words up in: WordNet synsets, and bases of irregular forms.

Both files have two lines per entry: `english.synsets` a word and the ids of its synsets,
`english.exceptions` a base and its irregular forms. They come with the FACTUAL data and
with METEOR; this package does not carry them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mase.errors import DataError

SYNSETS, EXCEPTIONS = "english.synsets", "english.exceptions"

_NOUN = "s: ses:s xes:x zes:z ches:ch shes:sh men:man ies:y"
_VERB = "s: ies:y es:e es: ed:e ed: ing:e ing:"
_ADJECTIVE = "er: est: er:e est:e"
DETACHMENTS = tuple(
    (suffix, ending)
    for rules in (_NOUN, _VERB, _ADJECTIVE)
    for suffix, _, ending in (rule.partition(":") for rule in rules.split())
)
"""WordNet's detachment rules in their order: the first that gives a listed word is taken."""


class SynonymLists:
    """Say which synsets a word or phrase may stand for.

    Args:
        synsets: synset ids by word; the words of a phrase are joined by underscores.
        bases: the base forms of irregular forms.
    """

    def __init__(
        self, synsets: Mapping[str, frozenset[str]], bases: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self._synsets = synsets
        self._bases = bases or {}
        self._found: dict[str, frozenset[str]] = {}

    @classmethod
    def read(cls, folder: Path) -> "SynonymLists":
        """Read `english.synsets` and `english.exceptions` from a folder.

        Raises:
            DataError: if a file is missing, not UTF-8, or ends in the middle of an entry.
        """
        synsets = {word: frozenset(ids.split()) for word, ids in _entries(folder / SYNSETS)}
        bases: dict[str, tuple[str, ...]] = {}
        for base, forms in _entries(folder / EXCEPTIONS):
            for form in forms.split():
                bases[form] = (*bases.get(form, ()), base)
        return cls(synsets, bases)

    def synsets_of(self, phrase: str) -> frozenset[str]:
        """Return the synsets of a phrase as written and of its base form; none if it is not listed."""
        if phrase not in self._found:
            word = "_".join(phrase.lower().split())
            bases = self._bases.get(word) or (self._detached(word),)
            self._found[phrase] = frozenset().union(*map(self._listed, (word, *bases)))
        return self._found[phrase]

    def _listed(self, word: str) -> frozenset[str]:
        return self._synsets.get(word, frozenset())

    def _detached(self, word: str) -> str:
        """Return the listed base of a regular form, or the word itself."""
        if word.endswith("ful"):
            return word[:-3] if word[:-3] in self._synsets else word
        if word.endswith("ss") or len(word) <= 2:
            return word
        bases = (word.removesuffix(suffix) + end for suffix, end in DETACHMENTS if word.endswith(suffix))
        return next((base for base in bases if base in self._synsets), word)


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as cause:
        raise DataError(
            f"{path}: {cause.strerror}; give the folder with {SYNSETS} and {EXCEPTIONS}"
        ) from cause
    except UnicodeDecodeError as cause:
        raise DataError(f"{path}: not UTF-8; this is not a synonym list") from cause
    lines = lines[:-1] if not lines[-1].strip() else lines
    if len(lines) % 2:
        raise DataError(
            f"{path}, line {len(lines)}: the last entry has no second line; is the file complete?"
        )
    for place in range(0, len(lines), 2):
        yield lines[place].strip(), lines[place + 1].strip()
