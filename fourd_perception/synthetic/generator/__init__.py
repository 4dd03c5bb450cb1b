"""Scenes for training: drawn per seed with numpy, rendered in batches with torch."""
