"""When messages of a written recording arrive after the instant they describe, nanoseconds.

Motion at once, calibration and images after exposure and transfer, one camera after the other, the
truth last: the same for every recording, so that the same input writes the same bytes.
"""

TF_LATENCY = 1_000_000
INFO_LATENCY = 3_000_000
IMAGE_LATENCY = 5_000_000
NEXT_CAMERA = 1_000_000
TRUTH_LATENCY = 15_000_000
