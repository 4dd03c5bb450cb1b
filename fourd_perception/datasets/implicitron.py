"""Annotations of frames in the Implicitron layout, as Dynamic Replica and Co3Dv2 have them."""

from __future__ import annotations

from collections.abc import Mapping
import gzip
import json
from pathlib import Path
from typing import Any
import zlib

from fourd_perception.datasets.files import DataSetError, read_bytes
from fourd_perception.geometry.poses import invert, transform
import numpy as np


def read_annotations(path: Path) -> list[dict[str, Any]]:
    """The list in a gzipped JSON file (`*.jgz`)."""
    try:
        annotations = json.loads(gzip.decompress(read_bytes(path)))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataSetError(f'{path} is no whole gzipped JSON file: {error}') from error
    if not isinstance(annotations, list) or not annotations:
        raise DataSetError(f'{path} holds no list of frames; download the data set again')
    return annotations


def camera(viewpoint: Mapping[str, Any], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics [3, 3] in pixels and world_from_camera [4, 4] of a viewpoint.

    size: (height, width) of its image. PyTorch3D looks along z with x left and y up, takes row
    vectors, and measures focal lengths and the principal point in halves of the image, from the
    middle to the left and up (specification D.8).
    """
    layout = str(viewpoint.get('intrinsics_format') or 'ndc_norm_image_bounds').lower()
    half = np.array([size[1], size[0]]) / 2.0
    if layout not in ('ndc_norm_image_bounds', 'ndc_isotropic'):
        raise DataSetError(f'intrinsics of format {layout!r} are unknown; need ndc')
    unit = half if layout == 'ndc_norm_image_bounds' else np.full(2, half.min())
    focal = np.asarray(viewpoint['focal_length'], float) * unit
    # Edges of the image are at 0 and its width there; here pixel (0, 0) has its centre at (0, 0).
    centre = half - np.asarray(viewpoint['principal_point'], float) * unit - 0.5
    intrinsics = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
    flip = np.diag([-1.0, -1.0, 1.0])
    rotation = flip @ np.asarray(viewpoint['R'], float).T
    return intrinsics, invert(transform(rotation, flip @ np.asarray(viewpoint['T'], float)))
