"""Benchmark scores of predictions: streaming evaluators that keep counts, never points."""

from pcl_data.evaluation.instance import ClassAP, InstanceEvaluator, InstanceResult
from pcl_data.evaluation.semantic import SemanticEvaluator, SemanticResult

__all__ = [
    "ClassAP",
    "InstanceEvaluator",
    "InstanceResult",
    "SemanticEvaluator",
    "SemanticResult",
]
