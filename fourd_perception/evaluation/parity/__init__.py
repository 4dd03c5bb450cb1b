"""Numbers of the reference implementations, reproduced: fixture folders in, errors out."""
