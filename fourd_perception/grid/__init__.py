"""Floor 0, numpy only: frames, time slices, the synchroniser, the sliding window."""
