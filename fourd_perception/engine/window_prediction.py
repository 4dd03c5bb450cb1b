"""A prediction as the search for scale and world sees it: a list of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.engine.depth_statistics import STRIDE, thinned
from fourd_perception.geometry.cameras import Rig
from fourd_perception.geometry.sightings import Sightings
from fourd_perception.model.prediction import GridTensors, Prediction
import numpy as np
import torch

CellKey = tuple[str, int]  # camera, stamp

MAX_FOCAL_ERROR = 0.15


@dataclass(frozen=True, eq=False)
class WindowPrediction:
    """The N present cells of a window whose pose the network gave.

    keys:              (camera, stamp) of each
    view, time:        int [N], its place in the grid
    gauge_from_camera: float64 [N, 4, 4], network gauge
    base_from_camera:  float64 [N, 4, 4], NaN where the rig does not know the camera's place
    depth:             float64 [N, h, w], gauge units, thinned, for the known focal length
    confidence:        float32 [N, h, w]
    focal_factor:      float64 [V, T], known over predicted focal length; 1 where none is known
    shape:             (V, T) of the grid
    newest, reference: time of the newest column, view of its reference camera
    fixed:             whether the base stands still (`Rig.fixed`)
    sightings:         of the two newest slices, each towards the other (`sight_pair`), where the
                       motion between them is to be solved; else None
    unsolved:          why there are none although it is; empty otherwise
    """

    keys: tuple[CellKey, ...]
    view: np.ndarray
    time: np.ndarray
    gauge_from_camera: np.ndarray
    base_from_camera: np.ndarray
    depth: torch.Tensor
    confidence: torch.Tensor
    focal_factor: np.ndarray
    shape: tuple[int, int]
    reference: int
    fixed: bool
    sightings: tuple[Sightings, Sightings] | None = None
    unsolved: str = ''

    @property
    def newest(self) -> int:
        """Time index of the newest column."""
        return self.shape[1] - 1

    @property
    def posed(self) -> np.ndarray:
        """Int [M]: the cells whose place on the rig is known."""
        return np.flatnonzero(np.isfinite(self.base_from_camera).all(axis=(1, 2)))


def window_prediction(
    tensors: GridTensors, prediction: Prediction, rigs: Sequence[Rig], reference: str
) -> WindowPrediction:
    """Collect the cells; `rigs` holds the rig at each time, `reference` the newest slice's camera.

    In a rig that stands still the newest knowledge holds at all times.
    """
    usable = tensors.present & np.isfinite(prediction.world_from_camera).all(axis=(2, 3))
    view, time = np.nonzero(usable)
    factor = focal_factors(tensors.intrinsics, prediction.intrinsics)
    cells = torch.from_numpy(view), torch.from_numpy(time)
    depth = thinned(prediction.depth, tensors.valid[:, None])[cells]
    scale = torch.from_numpy(factor[view, time]).to(depth.device)[:, None, None]
    fixed = rigs[-1].fixed
    known = [
        _place(rigs[-1 if fixed else t], tensors.cameras[v])
        for v, t in zip(view.tolist(), time.tolist())
    ]
    return WindowPrediction(
        keys=tuple((tensors.cameras[v], int(tensors.stamps[v, t])) for v, t in zip(view, time)),
        view=view,
        time=time,
        gauge_from_camera=prediction.world_from_camera[view, time],
        base_from_camera=np.array(known).reshape(-1, 4, 4),
        depth=depth * scale,
        confidence=prediction.depth_confidence[..., ::STRIDE, ::STRIDE][cells],
        focal_factor=factor,
        shape=usable.shape,
        reference=tensors.cameras.index(reference),
        fixed=fixed,
    )


def _place(rig: Rig, camera: str) -> np.ndarray:
    model = rig.cameras.get(camera)
    if model is None or model.base_from_camera is None:
        return np.full((4, 4), np.nan)
    return model.base_from_camera


def focal_factors(known: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """float64 [V, T]: known over predicted focal length; 1 where either is not known.

    Depth times this factor, unprojected with the known focal length, has the same x and y as the
    network's own depth unprojected with its own, so it fits the network's translations
    (design section 3). known [V, 3, 3], predicted [V, T, 3, 3].
    """
    area_known = (known[:, 0, 0] * known[:, 1, 1])[:, None]
    area_predicted = predicted[..., 0, 0] * predicted[..., 1, 1]
    with np.errstate(invalid='ignore', divide='ignore'):
        factor = np.sqrt(area_known / area_predicted)
    return np.where(np.isfinite(factor), factor, 1.0)


def focal_warnings(tensors: GridTensors, prediction: Prediction, factor: np.ndarray) -> list[str]:
    """A line for each camera whose newest predicted focal length is 15 % or more off the known."""
    off = np.abs(1.0 / factor[:, -1] - 1.0) > MAX_FOCAL_ERROR
    return [
        f'{tensors.cameras[v]}: the network sees a focal length of '
        f'{prediction.intrinsics[v, -1, 0, 0]:.0f} px where the calibration says '
        f'{tensors.intrinsics[v, 0, 0]:.0f} px; check CameraInfo'
        for v in np.flatnonzero(off & tensors.present[:, -1])
    ]
