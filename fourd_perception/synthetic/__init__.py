"""Floor 3: procedural scenes and rigs with exact ground truth; the truth predictor."""
