"""Semantic segmentation that learns from images and class names, without any annotation.

Import what you need from its module.
"""
