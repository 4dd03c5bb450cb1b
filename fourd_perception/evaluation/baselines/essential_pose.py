"""Relative pose of two images from their corners and the essential matrix, with known K."""

from __future__ import annotations

from collections.abc import Callable

import cv2
from fourd_perception.geometry.poses import transform
import numpy as np

Matches = tuple[np.ndarray, np.ndarray]
Match = Callable[[np.ndarray, np.ndarray], Matches]
FEWEST = 8
# A match may lie so far from its epipolar line, pixels; and return so far from where it began.
EPIPOLAR = 0.75
ROUND_TRIP = 0.5
RATIO = 0.8


def tracked_corners(older: np.ndarray, newer: np.ndarray) -> Matches:
    """Corners [N, 2] of one grey image uint8 [h, w] followed to the other (KLT), there and back.

    For images that differ little.
    """
    corners = cv2.goodFeaturesToTrack(older, 600, 0.003, 4.0)
    if corners is None:
        return np.empty((0, 2)), np.empty((0, 2))
    there, found = _followed(older, newer, corners)
    back, found_back = _followed(newer, older, there)
    round_trip = np.linalg.norm((back - corners)[:, 0], axis=-1)
    kept = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (round_trip < ROUND_TRIP)
    return corners[kept, 0].astype(float), there[kept, 0].astype(float)


def _followed(
    image: np.ndarray, other: np.ndarray, corners: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    size, levels = (15, 15), 4
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        image, other, corners, corners.copy(), winSize=size, maxLevel=levels
    )
    return np.asarray(there), np.asarray(found)


def matched_features(older: np.ndarray, newer: np.ndarray) -> Matches:
    """Places [N, 2] of SIFT features that two grey images uint8 [h, w] share, by Lowe's ratio.

    For images from places far apart.
    """
    sift = cv2.SIFT.create(contrastThreshold=0.01)
    (points, described), (others, other_described) = (
        sift.detectAndCompute(image, None) for image in (older, newer)
    )
    if described is None or other_described is None or len(others) < 2:
        return np.empty((0, 2)), np.empty((0, 2))
    pairs = cv2.BFMatcher().knnMatch(described, other_described, k=2)
    kept = [best for best, second in pairs if best.distance < RATIO * second.distance]
    return (
        np.array([points[match.queryIdx].pt for match in kept]).reshape(-1, 2),
        np.array([others[match.trainIdx].pt for match in kept]).reshape(-1, 2),
    )


def essential_pose(
    older: np.ndarray,
    newer: np.ndarray,
    intrinsics: np.ndarray,
    newer_intrinsics: np.ndarray,
    match: Match,
) -> np.ndarray | None:
    """newer_from_older float64 [4, 4] of images uint8 [h, w, 3] RGB, its translation of length 1.

    Five points and RANSAC (Nister, PAMI 2004); intrinsics [3, 3]. None where too few corners fit.
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (older, newer)]
    places, others = match(grey[0], grey[1])
    if len(places) < FEWEST:
        return None
    rays, other_rays = _rays(places, intrinsics), _rays(others, newer_intrinsics)
    focal = 0.25 * (
        intrinsics[0, 0] + intrinsics[1, 1] + newer_intrinsics[0, 0] + newer_intrinsics[1, 1]
    )
    cv2.setRNGSeed(0)
    essential, inliers = cv2.findEssentialMat(
        rays, other_rays, np.eye(3), cv2.USAC_MAGSAC, 0.9999, EPIPOLAR / focal
    )
    if essential is None or essential.shape != (3, 3):
        return None
    count, rotation, translation, _ = cv2.recoverPose(
        essential, rays, other_rays, np.eye(3), mask=inliers.copy()
    )
    return transform(rotation, translation[:, 0]) if count >= FEWEST else None


def _rays(pixels: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    return (pixels - intrinsics[:2, 2]) / [intrinsics[0, 0], intrinsics[1, 1]]
