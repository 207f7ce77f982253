"""COCO's captions: one JSON file with a list of annotations, several captions to a picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mase.data.decoding import malformed
from mase.data.records import Record
from mase.data.structured import read_json


def read_coco(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    """Yield the annotations (`caption`, `image_id`, `id`), numbered from 1 in the file's order.

    Raises:
        DataError: if the file is not JSON with a list of captions.
    """
    found = read_json(path)
    annotations = found.get("annotations") if isinstance(found, dict) else None
    if not isinstance(annotations, list) or not annotations:
        raise malformed(path, 1, "no list 'annotations'", "give a captions file of COCO (captions_*.json)")
    for number, annotation in enumerate(annotations, start=1):
        if not isinstance(annotation, dict) or "caption" not in annotation:
            remedy = "give a captions file of COCO, not one of instances or key points"
            raise malformed(path, 1, f"annotation {number} has no caption", remedy)
        yield number, annotation
