"""Synthetic tasks: small, generated, in need of no file, and not a benchmark of anything.

Everything here is made up: an authored lexicon of everyday objects (`lexicon`), authored
opinions (`opinions`) and authored templates (`sentences`) are combined into four binary
tasks (`tasks`). They exist so that a first run needs no download and so that the weight
of a modality has a chance to differ between tasks, by design:

    looks    warm or cool: the usual colour of the object      (image)
    sounds   sounding or silent: whether the object makes a sound   (audio)
    moves    moving or still: whether the object moves about    (video)
    says     praise or complaint: what the sentence says       (text)

The sentence never names what decides the label of the first three. Objects are disjoint
between training and development rows, and the object is the row's group, so that the splits
made from the training rows keep objects apart too. In `says` a group is a few objects
together with the two opinions voiced of them: neither occurs in another group.
"""

from mase.data.embedded.tasks import TASKS, generate

__all__ = ["TASKS", "generate"]
