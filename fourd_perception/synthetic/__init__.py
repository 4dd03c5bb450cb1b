"""Floor 3: procedural scenes with exact ground truth, and the predictor that hands it out."""
