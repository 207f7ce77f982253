"""Metrics of generated sentences against several references: one file per metric, tokens in one place.

What CommonGen reports lives here. The core needs no Java; METEOR-1.5 and SPICE say why they are absent.
"""

from mase.evaluation.metrics.generation.bleu import bleu_statistics, corpus_bleu, resampled_bleu
from mase.evaluation.metrics.generation.cider import DocumentFrequencies, cider, document_frequencies
from mase.evaluation.metrics.generation.columns import METRICS, java_columns, score_columns
from mase.evaluation.metrics.generation.coverage import coverage
from mase.evaluation.metrics.generation.java import java_metric_reason
from mase.evaluation.metrics.generation.rouge import rouge_2_pairs, rouge_l_coco, rouge_l_pairs
from mase.evaluation.metrics.generation.scoring import SCORES, GenerationScores, generation_scores
from mase.evaluation.metrics.generation.tokens import tokenise

__all__ = [
    "METRICS",
    "SCORES",
    "DocumentFrequencies",
    "GenerationScores",
    "bleu_statistics",
    "cider",
    "corpus_bleu",
    "coverage",
    "document_frequencies",
    "generation_scores",
    "java_columns",
    "java_metric_reason",
    "resampled_bleu",
    "rouge_2_pairs",
    "rouge_l_coco",
    "rouge_l_pairs",
    "score_columns",
    "tokenise",
]
