"""3D semantic segmentation from images and class names, without any annotation."""
