"""`fourd-small`: the small network of this package, reference-free and fit for streaming."""
