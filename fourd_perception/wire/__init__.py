"""Floor 5: messages <-> frames, cameras and scene updates, given the message classes."""
