"""Supervised segmentation of point clouds, the part that several apps share.

Needs the extra `segmentation`. Import what you need from its module.
"""
