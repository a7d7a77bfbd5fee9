"""TWIST: self-training for instance segmentation from a few labeled scenes.

Chu et al., "TWIST: Two-Way Inter-Label Self-Training for Semi-Supervised 3D Instance
Segmentation", CVPR 2022. `rounds` is the method on one page (Fig. 2 of the paper): begin there.
Import what you need from its module.
"""
