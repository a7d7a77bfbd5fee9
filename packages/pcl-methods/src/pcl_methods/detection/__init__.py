"""Detection: boxes of objects from scenes of which few are annotated."""
