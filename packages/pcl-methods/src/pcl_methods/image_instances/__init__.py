"""Instance segmentation of images with few and rare labels, as in the paper on better labels.

Porcher et al., "Better (Pseudo-)Labels for Semi-Supervised Instance Segmentation", 2024: targets
smoothed towards similar and rare classes, and pseudo-labels of a teacher corrected by its
calibration error. `pip install pcl-methods[images]` brings what it needs besides.
"""
