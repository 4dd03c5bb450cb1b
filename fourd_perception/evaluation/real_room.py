"""Depth and poses of a room that was photographed from places far apart, with ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
from fourd_perception.engine.network_size import Layout
from fourd_perception.evaluation.baselines.clip_answers import CONSTANT, MEAN_IMAGE, SIFT
from fourd_perception.evaluation.baselines.essential_pose import essential_pose, matched_features
from fourd_perception.evaluation.baselines.mean_depth import mean_depth
from fourd_perception.evaluation.clip_evaluation import NETWORK, network_answers
from fourd_perception.evaluation.clip_scores import Answer
from fourd_perception.evaluation.metrics import abs_rel, delta, scale_of_medians
from fourd_perception.evaluation.picture_grids import lay_pictures, Pictures
from fourd_perception.evaluation.pose_pairs import pair_errors
from fourd_perception.evaluation.score_table import Bar, Row, Table
from fourd_perception.geometry.poses import invert
from fourd_perception.model.prediction import Predictor
import numpy as np

# The photographs that show the same things.
OVERLAPPING = ((0, 1), (0, 2), (1, 2))
# Issue: constant depth scores .36.
BAR = Bar(0.27)
# What the network is told of the time between two photographs.
SECONDS = 0.5


@dataclass(frozen=True, eq=False)
class Room:
    """N photographs with their truth.

    images:            uint8 [N][h, w, 3] RGB
    depth:             float32 [N, h, w] along z; 0 where unknown
    world_from_camera: float64 [N, 4, 4]
    intrinsics:        float64 [N, 3, 3]
    """

    images: list[np.ndarray]
    depth: np.ndarray
    world_from_camera: np.ndarray
    intrinsics: np.ndarray


def score_room(
    predictor: Predictor, room: Room, progress: Callable[[float], None]
) -> tuple[Table, np.ndarray]:
    """AbsRel of each photograph, and the poses of overlapping pairs.

    AbsRel is after scaling each by the ratio of the medians (spec D.2 b). Depth is that of each
    photograph alone, poses are those of each pair as two instants of one camera. Returns the
    table, and the network's depth [N, h, w] at the size of the photographs.
    """
    patch = predictor.info.patch
    depths = []
    for number in range(len(room.images)):
        pictures = _photographs(room, [number], patch)
        answer = network_answers(predictor, pictures.grid([0]))[NETWORK]
        assert answer.depth is not None
        depths.append(_resized(answer.depth[0, 0], pictures.layouts[0]))
        progress((number + 1) / (len(room.images) + len(OVERLAPPING)))
    rows = _depth_rows(room, np.stack(depths))
    for number, pair in enumerate(OVERLAPPING):
        grid = _photographs(room, pair, patch).grid([0, 1])
        rows += _pose_rows(room, pair, network_answers(predictor, grid))
        progress((len(depths) + number + 1) / (len(depths) + len(OVERLAPPING)))
    return Table('room_rgbd: depth and poses', rows), np.stack(depths)


def _photographs(room: Room, numbers: list[int] | tuple[int, int], patch: int) -> Pictures:
    return lay_pictures(
        [[room.images[n] for n in numbers]],
        [room.intrinsics[numbers[0]]],
        [SECONDS * i for i in range(len(numbers))],
        patch,
    )


def _resized(depth: np.ndarray, layout: Layout) -> np.ndarray:
    """Depth of the network's image at the size of the photograph (bicubic, spec D.2)."""
    part = depth[layout.rows, layout.columns].astype(np.float32)
    return cv2.resize(part, layout.image, interpolation=cv2.INTER_CUBIC)


def _depth_rows(room: Room, predicted: np.ndarray) -> list[Row]:
    methods = {
        NETWORK: predicted,
        MEAN_IMAGE: np.broadcast_to(mean_depth(room.depth.shape[1:]), room.depth.shape),
        CONSTANT: np.ones_like(room.depth),
    }
    errors: dict[str, float] = {}
    close: dict[str, float] = {}
    for method, depths in methods.items():
        per_image = []
        for depth, truth in zip(depths, room.depth):
            scaled = depth * scale_of_medians(depth, truth, truth > 0)
            per_image.append((abs_rel(scaled, truth, truth > 0), delta(scaled, truth, truth > 0)))
        errors[method], close[method] = np.mean(per_image, axis=0).tolist()
    count = f'{len(predicted)} images'
    return [
        Row('AbsRel, each image scaled by its median', errors, NETWORK, (BAR,), count=count),
        Row('delta < 1.25', close, NETWORK, count=count),
    ]


def _pose_rows(room: Room, pair: tuple[int, int], answers: dict[str, Answer]) -> list[Row]:
    first, second = pair
    found = {
        m: a.newer_from_older[0, 0] for m, a in answers.items() if a.newer_from_older is not None
    }
    sift = essential_pose(
        room.images[first],
        room.images[second],
        room.intrinsics[first],
        room.intrinsics[second],
        matched_features,
    )
    found[SIFT] = np.full((4, 4), np.nan) if sift is None else sift
    truth = invert(room.world_from_camera[second]) @ room.world_from_camera[first]
    errors = {method: pair_errors(pose[None], truth[None])[0] for method, pose in found.items()}
    return [
        Row(
            f'{what} of pair {first}-{second}',
            {m: float(e[i]) for m, e in errors.items()},
            unit='degrees',
        )
        for i, what in enumerate(('rotation', 'direction'))
    ]
