"""Measure a text tower: what its vectors know, on texts that no tower here was trained on.

What lives here: the metrics, the baselines that stand beside a tower (TF-IDF, character
n-grams, a random tower of the same size) and the report. Nothing here trains a tower.
"""
