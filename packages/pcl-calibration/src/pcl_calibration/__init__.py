"""Calibration by class: errors of streams, calibrators, smoothed and corrected labels."""

from pcl_calibration.__about__ import __version__
from pcl_calibration.calibration_error import (
    adaptive_calibration_error,
    classwise_calibration_error,
    expected_calibration_error,
    smooth_calibration_error,
)
from pcl_calibration.calibration_table import CalibrationBins, ClassCalibrationError
from pcl_calibration.class_similarity import ClassPrototypes, class_prototypes, class_similarity
from pcl_calibration.depth_aware_scaling import DepthAwareScaling
from pcl_calibration.detection_matching import (
    DetectionMatches,
    localization_calibration_error,
    match_detections,
)
from pcl_calibration.ensemble_temperature_scaling import EnsembleTemperatureScaling
from pcl_calibration.label_smoothing import (
    confusion_smoothing,
    similarity_smoothing,
    smooth_labels,
    uniform_smoothing,
)
from pcl_calibration.proper_scores import (
    BrierScore,
    NegativeLogLikelihood,
    brier_score,
    negative_log_likelihood,
)
from pcl_calibration.pseudo_label_correction import correct_pseudo_labels
from pcl_calibration.reliability_diagram import (
    ReliabilityDiagram,
    draw_reliability,
    reliability_diagram,
)
from pcl_calibration.retrieval import retrieve_unlabeled
from pcl_calibration.soft_target_loss import federated_classes, soft_target_loss
from pcl_calibration.temperature_scaling import TemperatureScaling
from pcl_calibration.vector_scaling import VectorScaling

__all__ = [
    "BrierScore",
    "CalibrationBins",
    "ClassCalibrationError",
    "ClassPrototypes",
    "DepthAwareScaling",
    "DetectionMatches",
    "EnsembleTemperatureScaling",
    "NegativeLogLikelihood",
    "ReliabilityDiagram",
    "TemperatureScaling",
    "VectorScaling",
    "__version__",
    "adaptive_calibration_error",
    "brier_score",
    "class_prototypes",
    "class_similarity",
    "classwise_calibration_error",
    "confusion_smoothing",
    "correct_pseudo_labels",
    "draw_reliability",
    "expected_calibration_error",
    "federated_classes",
    "localization_calibration_error",
    "match_detections",
    "negative_log_likelihood",
    "reliability_diagram",
    "retrieve_unlabeled",
    "similarity_smoothing",
    "smooth_calibration_error",
    "smooth_labels",
    "soft_target_loss",
    "uniform_smoothing",
]
