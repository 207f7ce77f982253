"""The EM iteration of Sections 3.3 and 3.4 (Algorithm 1).

What may live here: information and allocation (E-step), losses and optimisation (M-step),
the loop that alternates them, and its checkpoints. It takes models and inputs that are
already built; it knows no files of data sets, no tables, no Prefect.
"""
