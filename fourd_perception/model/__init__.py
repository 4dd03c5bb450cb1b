"""Floor 2: the networks, and the contract that every predictor keeps."""
