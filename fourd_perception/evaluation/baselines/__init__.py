"""What is known to work without learning, measured beside every network (training.md 3.11)."""
