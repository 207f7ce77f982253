"""Run as a process: extract with the embedded image tower, slowly, writing a line per encoded span.

Arguments: the store, the log, seconds to wait before each span.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mase.proxies import extract_proxies, extraction, load_tower
from mase.proxies.tower import Encoding

TEXTS = [
    f"{colour} {thing} number {n}"
    for colour in ("red", "blue")
    for thing in ("ball", "drum")
    for n in range(5)
]
SPAN = 4


def main(root: Path, log: Path, wait: float) -> None:
    extraction.SPAN = SPAN
    tower = load_tower("embedded-image")
    encode = tower.encode_checked

    def slow(texts: Sequence[str]) -> Encoding:
        with log.open("a") as stream:
            stream.write(f"{len(texts)}\n")
        time.sleep(wait)
        return encode(texts)

    tower.encode_checked = slow
    table = extract_proxies(tower, TEXTS, root=root)
    print(table.digest, table.vectors()[table.rows(TEXTS)].tobytes().hex())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
