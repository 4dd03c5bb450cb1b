"""Poses of neighbouring instants solved from a prediction's depth and flow, camera by camera."""

from __future__ import annotations

from fourd_perception.engine.flow_sightings import sight_pair
from fourd_perception.engine.window_prediction import focal_factors
from fourd_perception.evaluation.pose_pairs import relative_poses
from fourd_perception.geometry.pose_from_flow import solve_motion
from fourd_perception.geometry.poses import invert
from fourd_perception.model.prediction import GridTensors, Prediction
import numpy as np
import torch


def solved_pairs(grid: GridTensors, prediction: Prediction) -> np.ndarray | None:
    """newer_from_older float64 [V, T - 1, 4, 4]; the head's where the solver refuses.

    Every camera alone, as one whose place on a rig nobody knows. None without flow.
    """
    head = relative_poses(prediction.world_from_camera)
    factor = focal_factors(grid.intrinsics, prediction.intrinsics)
    found = head.copy()
    for older in range(head.shape[1]):
        sightings = sight_pair(grid, prediction, factor, older)
        if sightings is None:
            return None
        start = torch.from_numpy(invert(head[:, older])).to(sightings[0].depth.device)
        solved = solve_motion(sightings[0], start, sightings[1])
        found[:, older] = invert(solved.older_from_newer.cpu().numpy())
    return found
