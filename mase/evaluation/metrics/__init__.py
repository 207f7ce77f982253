"""Metrics: one file per task family, each metric with a resampled twin for the bootstrap."""

from mase.evaluation.metrics.metric import Metric
from mase.evaluation.metrics.scoring import constant_predictions, majority, metric_named, score

__all__ = ["Metric", "constant_predictions", "majority", "metric_named", "score"]
