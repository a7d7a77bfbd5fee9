"""Benchmark scores of predictions: streaming evaluators that keep counts, never points."""

from pcl_data.evaluation.box_overlap import box_iou, suppress_boxes
from pcl_data.evaluation.detection import ClassDetection, DetectionEvaluator, DetectionResult
from pcl_data.evaluation.instance import ClassAP, InstanceEvaluator, InstanceResult
from pcl_data.evaluation.protocol import Protocol
from pcl_data.evaluation.semantic import SemanticEvaluator, SemanticResult

__all__ = [
    "ClassAP",
    "ClassDetection",
    "DetectionEvaluator",
    "DetectionResult",
    "InstanceEvaluator",
    "InstanceResult",
    "Protocol",
    "SemanticEvaluator",
    "SemanticResult",
    "box_iou",
    "suppress_boxes",
]
