"""Benchmark scores of predictions: streaming evaluators that keep counts, never points."""

from pcl_data.evaluation.box_overlap import box_iou, suppress_boxes
from pcl_data.evaluation.coverage import ClassCoverage, CoverageEvaluator, CoverageResult
from pcl_data.evaluation.detection import ClassDetection, DetectionEvaluator, DetectionResult
from pcl_data.evaluation.instance import ClassAP, InstanceEvaluator, InstanceResult
from pcl_data.evaluation.panoptic import PanopticEvaluator, PanopticResult, PanopticScores
from pcl_data.evaluation.score_protocol import ScoreProtocol
from pcl_data.evaluation.semantic import SemanticEvaluator, SemanticResult

__all__ = [
    "ClassAP",
    "ClassCoverage",
    "ClassDetection",
    "CoverageEvaluator",
    "CoverageResult",
    "DetectionEvaluator",
    "DetectionResult",
    "InstanceEvaluator",
    "InstanceResult",
    "PanopticEvaluator",
    "PanopticResult",
    "PanopticScores",
    "ScoreProtocol",
    "SemanticEvaluator",
    "SemanticResult",
    "box_iou",
    "suppress_boxes",
]
