"""The predictor made ready: device chosen, weights loaded, kernels run once."""

from __future__ import annotations

import os

from fourd_perception.engine.network_size import network_size
from fourd_perception.engine.predictors import load_predictor
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.model.prediction import GridTensors, Predictor
from fourd_perception.ros.settings import Settings
import numpy as np
import torch

USUAL_IMAGE = (640, 480)  # before the first image nobody knows better


def choose_device(name: str) -> str:
    """The torch device that the parameter `device` names.

    Raises ValueError when there is no such device on this machine.
    """
    if name == 'auto':
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'device {name!r} cannot be used: {reason}; set device: auto') from error
    return name


def use_threads(count: int) -> None:
    """Let torch use `count` threads on the CPU; 0 leaves one core to the executor."""
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(count or max(1, cores - 1))


def ready_predictor(settings: Settings, device: str) -> Predictor:
    """The predictor of `weights`, after one run over a blank window.

    Raises ValueError or FileNotFoundError with the remedy.
    """
    predictor = load_predictor(settings.weights, device, masks=settings.masks)
    # The truth of a recording knows no blank images, and has nothing to warm.
    if predictor.info.parameters:
        predictor.predict(_blank(settings, predictor.info.patch, device))
    return predictor


def _blank(settings: Settings, patch: int, device: str) -> GridTensors:
    views, times = len(settings.cameras), settings.window_length
    width, height = network_size([USUAL_IMAGE], patch, settings.pixel_budget)
    return GridTensors(
        images=torch.zeros(views, times, 3, height, width, device=device),
        present=np.ones((views, times), bool),
        valid=torch.ones(views, height, width, dtype=torch.bool, device=device),
        intrinsics=np.full((views, 3, 3), np.nan),
        pixel_maps=(PixelMap(),) * views,
        cameras=settings.cameras,
        stamps=np.broadcast_to(np.arange(times), (views, times)),
        reference=(0, 0),
    )
