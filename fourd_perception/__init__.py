"""fourd_perception: a metric 4-D scene from the synchronised cameras of a robot."""

__version__ = '0.1.0'
