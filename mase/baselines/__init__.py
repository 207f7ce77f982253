"""The systems that the paper compares with, one file each.

What may live here: a module per baseline with the interface of `mase.model.mase.MaseModel`
(a label-free batch in, a `MaseOutput` out), and what only it needs.
"""
