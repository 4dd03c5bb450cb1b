"""Floor 5: losses, schedules and loops that fit the networks to pictures with known truth."""
