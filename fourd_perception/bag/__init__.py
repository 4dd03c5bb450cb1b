"""Floor 6: rosbag2 recordings in and out, without ROS."""
