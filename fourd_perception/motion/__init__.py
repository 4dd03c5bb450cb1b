"""Floor 3: VGGT4D, masks of what moves from any network of the VGGT family, without training."""
