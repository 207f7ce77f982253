"""Proxies: vectors that frozen text towers give to sentences and entity phrases (Section 3.1).

What lives here: the text towers (one transformer, one file per checkpoint format under
`formats/`), their tokenizer, and the store of extracted vectors. Training a tower, and
anything that uses vectors, lives elsewhere.
"""

from mase.proxies.build import build_tower, load_tower
from mase.proxies.extraction import extract_proxies
from mase.proxies.store import ProxyTable
from mase.proxies.tower import Tower

__all__ = ["ProxyTable", "Tower", "build_tower", "extract_proxies", "load_tower"]
