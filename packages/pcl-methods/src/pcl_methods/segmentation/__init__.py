"""Supervised segmentation of point clouds, the part that several apps share.

Import what you need from its module.
"""
