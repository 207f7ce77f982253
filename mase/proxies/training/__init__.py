"""Training of the small text towers that the package ships, from captions and from CLIP vectors.

What lives here: the readers of the caption files (`corpora`), which rows no tower may see
(`held_out`), what is pulled together (`positives`, `views`), the losses, the recipes of the
three towers and the loop. Measuring a tower lives in `mase.proxies.checking`; a trained tower
is a CLIP text checkpoint like any other and is loaded as such.
"""
