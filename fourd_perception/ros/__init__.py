"""Floor 6: the node, and the player and recorder of `replay`; the only room that knows rclpy."""
