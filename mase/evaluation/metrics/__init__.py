"""Metrics: one file per task family, each metric with a resampled twin for the bootstrap."""

from mase.evaluation.metrics.metric import Metric
from mase.evaluation.metrics.scoring import best_constant, constant_predictions, metric_named, score

__all__ = ["Metric", "best_constant", "constant_predictions", "metric_named", "score"]
