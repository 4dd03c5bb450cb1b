"""Floor 1: cameras, poses, projection, alignment, the transform tree, flow from motion."""
