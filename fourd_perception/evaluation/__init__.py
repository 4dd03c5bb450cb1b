"""Floor 5: metrics, the scoring of recorded outputs, reports."""
