"""The scene from above: a cloud with the cameras that see it, and the trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
from fourd_perception.geometry.cameras import CameraModel
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
import numpy as np

INK = '#22252b'
FAINT = '#8b919c'
ESTIMATE = '#d6421f'
TRUTH = '#9db4d0'
MAX_POINTS = 150_000
FRUSTUM_SHARE = 0.07
MIN_SIDE = 0.1


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera in the frame of the cloud: `cloud_from_camera` is float64 [4, 4]."""

    camera: CameraModel
    cloud_from_camera: np.ndarray


@dataclass(frozen=True, eq=False)
class CloudView:
    """Points [N, 3] with colours uint8 [N, 3], and the cameras, all in one frame.

    Points that are not finite are left out.
    """

    xyz: np.ndarray
    rgb: np.ndarray
    viewpoints: Sequence[Viewpoint] = ()


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Positions [N, 3] of base or camera over time and, where known, the true ones.

    truth: [M, 3] in the same frame (the caller aligns); with M = N the i-th positions belong to
    the same instant, and the largest distance between them is written down.
    """

    estimate: np.ndarray
    truth: np.ndarray | None = None


def plan_axes(xyz: np.ndarray, z_up: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(right, ahead, height) of points [..., 3], as on a map whose top is straight ahead.

    z_up: a base frame (x ahead, y left, z up); else an optical one (x right, y down, z ahead).
    """
    x, y, z = np.moveaxis(np.asarray(xyz, float), -1, 0)
    return (-y, x, z) if z_up else (x, z, -y)


def draw_cloud(axes: Axes, view: CloudView, z_up: bool, unit: str) -> None:
    """Draw the cloud from above, high points over low ones, and the cameras' frusta on top.

    What hangs higher over the cameras than half their height over the ground (a ceiling) is cut
    away, and the panel says where.
    """
    finite = np.isfinite(view.xyz).all(axis=1)
    xyz, rgb = view.xyz[finite], view.rgb[finite]
    if not len(xyz):
        no_data(axes, 'no points')
        return
    right, ahead, height = plan_axes(xyz, z_up)
    title = f'{len(xyz):,} points from above'
    cut = _cut_height(height, view.viewpoints, z_up)
    if (height > cut).any():
        title += f', cut at a height of {cut:.2f} {unit}'
    shown = np.flatnonzero(height <= cut)
    shown = shown[:: -(-len(shown) // MAX_POINTS)]
    shown = shown[np.argsort(height[shown])]
    centres = [v.cloud_from_camera[:3, 3] for v in view.viewpoints]
    inliers = np.percentile(xyz[shown], (3.0, 97.0), axis=0)
    side = _frame(axes, np.vstack([inliers, *centres]), z_up)
    across = 72.0 * axes.get_window_extent().width / axes.figure.dpi
    size = float(np.clip(0.9 * across / np.sqrt(len(shown)), 1.5, 5.0))
    colour = rgb[shown] / 255.0
    axes.scatter(right[shown], ahead[shown], s=size**2, c=colour, marker='s', linewidths=0)
    for viewpoint in view.viewpoints:
        _draw_frustum(axes, viewpoint, FRUSTUM_SHARE * side, z_up)
    _dress(axes, title, unit)


def draw_trajectory(axes: Axes, trajectory: Trajectory, z_up: bool, unit: str) -> None:
    """Estimate and truth from above; a ring marks the start, an arrow the end."""
    estimate = trajectory.estimate[np.isfinite(trajectory.estimate).all(axis=1)]
    if not len(estimate):
        no_data(axes, 'no poses')
        return
    right, ahead, _ = plan_axes(estimate, z_up)
    extent = [estimate]
    title = f'Trajectory, {_length(estimate):.2f} {unit} in {len(estimate)} poses'
    if trajectory.truth is not None:
        extent.append(trajectory.truth)
        true_right, true_ahead, _ = plan_axes(trajectory.truth, z_up)
        axes.plot(true_right, true_ahead, color=TRUTH, lw=7, solid_capstyle='round', label='truth')
        if trajectory.truth.shape == trajectory.estimate.shape:
            gap = np.nanmax(np.linalg.norm(trajectory.truth - trajectory.estimate, axis=1))
            words = f'{1000.0 * gap:.2g} mm' if unit == 'm' and gap < 0.1 else f'{gap:.2g} {unit}'
            title += f'\nat most {words} from the truth'
    axes.plot(right, ahead, '.-', color=ESTIMATE, lw=1.6, ms=5, label='estimate')
    axes.plot(right[0], ahead[0], 'o', ms=11, mfc='none', mec=INK, mew=1.5, label='start')
    if len(estimate) > 1:
        axes.annotate(
            '',
            (right[-1], ahead[-1]),
            (right[-2], ahead[-2]),
            arrowprops={'arrowstyle': '-|>,head_width=0.4,head_length=0.7', 'color': ESTIMATE},
        )
    _frame(axes, np.concatenate(extent), z_up)
    axes.legend(loc='best', fontsize=9, frameon=True, framealpha=0.9, edgecolor='none')
    _dress(axes, title, unit)


def no_data(axes: Axes, words: str) -> None:
    """Leave a place empty and say why."""
    axes.set(xticks=[], yticks=[], facecolor='#e6e8eb')
    axes.spines[:].set_visible(False)
    axes.text(
        0.5, 0.5, words, transform=axes.transAxes, ha='center', va='center', color=FAINT, size=11
    )


def _cut_height(height: np.ndarray, viewpoints: Sequence[Viewpoint], z_up: bool) -> float:
    if not viewpoints:
        return np.inf
    centres = np.stack([v.cloud_from_camera[:3, 3] for v in viewpoints])
    top = float(plan_axes(centres, z_up)[2].max())
    over_ground = top - float(np.percentile(height, 2.0))
    return top + 0.5 * over_ground if over_ground > 0 else np.inf


def _frame(axes: Axes, xyz: np.ndarray, z_up: bool) -> float:
    """Set limits with equal scales around all points; the longer side of what is shown."""
    corners = np.stack(plan_axes(xyz, z_up)[:2])
    lower, upper = np.nanmin(corners, axis=1), np.nanmax(corners, axis=1)
    side = max(float((upper - lower).max()), MIN_SIDE)
    panel = axes.get_window_extent()
    middle, half = 0.5 * (lower + upper), np.maximum(0.55 * (upper - lower), 0.05 * side)
    scale = float(np.max(half / (panel.width, panel.height)))
    axes.set_xlim(*(middle[0] + scale * panel.width * np.array([-1.0, 1.0])))
    axes.set_ylim(*(middle[1] + scale * panel.height * np.array([-1.0, 1.0])))
    axes.set_aspect('equal')
    return side


def _draw_frustum(axes: Axes, viewpoint: Viewpoint, depth: float, z_up: bool) -> None:
    """Draw the outline of the viewing pyramid up to `depth`; only a dot without intrinsics."""
    camera, pose = viewpoint.camera, viewpoint.cloud_from_camera
    apex = np.array(plan_axes(pose[:3, 3], z_up)[:2])
    axes.plot(*apex, 'o', ms=4, color=INK, zorder=4)
    beyond = np.array(plan_axes(pose[:3, 3] + 1.4 * depth * pose[:3, 2], z_up)[:2])
    axes.text(
        beyond[0],
        beyond[1],
        camera.name,
        ha='center',
        va='center',
        size=9,
        color=INK,
        zorder=5,
        bbox={'boxstyle': 'round,pad=0.2', 'fc': 'white', 'ec': 'none', 'alpha': 0.75},
    )
    if camera.intrinsics is None:
        return
    x, y = np.array([-0.5, camera.width - 0.5]), np.array([-0.5, camera.height - 0.5])
    pixels = np.array([[u, v, 1.0] for u in x for v in y])
    rays = depth * pixels @ np.linalg.inv(camera.intrinsics).T
    points = np.vstack([np.zeros(3), rays]) @ pose[:3, :3].T + pose[:3, 3]
    plan = np.stack(plan_axes(points, z_up)[:2], axis=1).astype(np.float32)
    outline = cv2.convexHull(plan)[:, 0]
    axes.add_patch(Polygon(outline, closed=True, fc='#ffffff66', ec='white', lw=3.5, zorder=3))
    axes.add_patch(Polygon(outline, closed=True, fc='none', ec=INK, lw=1.4, zorder=3))


def _length(positions: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def _dress(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, loc='left', size=12, color=INK, pad=8)
    axes.set_xlabel(f'right ({unit})', size=9, color=FAINT)
    axes.set_ylabel(f'ahead ({unit})', size=9, color=FAINT)
    axes.tick_params(labelsize=9, colors=FAINT)
    axes.grid(color='#e4e6ea', lw=0.8)
    axes.set_axisbelow(True)
    axes.set_facecolor('#f7f8f9')
    axes.spines[:].set_color('#d5d8dd')
