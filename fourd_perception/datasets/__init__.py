"""One loader per public data set, all to `Clips`, and their weighted mixture."""
