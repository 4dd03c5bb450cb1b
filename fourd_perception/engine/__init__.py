"""Floor 4: a visual grid in, a metric SceneUpdate out."""
