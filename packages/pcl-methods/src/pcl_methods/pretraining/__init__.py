"""Contrastive pre-training of a backbone on scenes without labels.

PointContrast, Contrastive Scene Contexts, SSPL, DepthContrast and BYOL. `learning` is a run on one
page; import what you need from its module.
"""
