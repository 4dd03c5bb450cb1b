"""Tracked points: where they are, and what is asked of them."""

from __future__ import annotations

from dataclasses import replace
import math

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.training.track_loss import track_loss, track_truth
from plane_clips import plane_clips
import pytest
import torch

LAYOUT = CellLayout((0, 0, 0), (0, 1, 2), reference=1)


def tracked() -> Clips:
    """Clips with five points, three of them the plane's points at known pixels of instant 1."""
    clips = plane_clips()
    k, pose = clips.intrinsics[:, 0, 1], clips.world_from_camera[:, 0, 1]
    pixels = torch.tensor([[5.0, 6, 1], [20, 11, 1], [40, 30, 1]])
    depth = clips.depth[:, 0, 1][:, pixels[:, 1].long(), pixels[:, 0].long()]
    rays = torch.einsum('nij,qj->nqi', torch.linalg.inv(k), pixels)
    points = torch.einsum('nij,nqj->nqi', pose[:, :3, :3], depth[..., None] * rays)
    points = torch.cat([torch.randn(2, 2, 3), points + pose[:, None, :3, 3]], dim=1)
    visible = torch.ones(2, 1, 3, 5, dtype=torch.bool)
    visible[:, :, 1, :2] = False
    visible[1, :, 1, 4] = False
    visible[0, :, 2, 3] = False
    return replace(
        clips, track_points=points[:, None].expand(-1, 3, -1, -1), track_visible=visible
    )


def test_queries_are_the_pixels_of_points_that_the_reference_sees():
    truth = track_truth(tracked(), LAYOUT, queries=4)
    assert truth.known.tolist() == [[True, True, True, False], [True, True, False, False]]
    expected = torch.tensor([[5.0, 6], [20, 11], [40, 30]])
    assert torch.allclose(truth.queries(1)[0, :3], expected, atol=1e-3)
    assert truth.queries(1)[1, 2:].tolist() == [[0, 0], [0, 0]]
    assert truth.visible[0, :, :3].tolist() == [[True] * 3, [True] * 3, [True, False, True]]
    # The flow of the plane leads from the query to the track's next place.
    flow = tracked().flow_forward[0, 0, 1, :, 6, 5]
    assert torch.allclose(truth.pixels[0, 2, 0], expected[0] + flow, atol=1e-2)


def test_loss_equals_the_plain_sums():
    truth = track_truth(tracked(), LAYOUT, queries=3)
    generator = torch.Generator().manual_seed(0)
    tracks = [truth.pixels + 4 * torch.randn(2, 3, 3, 2, generator=generator) for _ in range(2)]
    visibility, confidence = (torch.rand(2, 3, 3, generator=generator) for _ in range(2))
    places: tuple[list[float], list[float]] = ([], [])
    entropies: tuple[list[float], list[float]] = ([], [])

    def entropy(share: float, true: bool) -> float:
        return -math.log(share if true else 1 - share)

    for s in range(3):
        for q in range(3):
            seen = bool(truth.visible[0, s, q])
            entropies[0].append(entropy(visibility[0, s, q].item(), seen))
            if not seen:
                continue
            errors = [track[0, s, q] - truth.pixels[0, s, q] for track in tracks]
            for place, error in zip(places, errors):
                place.append(error.abs().mean().item())
            near = errors[1].norm().item() < 3
            entropies[1].append(entropy(confidence[0, s, q].item(), near))
    means = [sum(values) / len(values) for values in (*places, *entropies)]
    expected = 0.8 * means[0] + means[1] + means[2] + means[3]
    found = track_loss(tracks, visibility, confidence, truth)
    assert found[0].item() == pytest.approx(expected, rel=1e-4)


def test_clips_without_tracks_say_nothing():
    truth = track_truth(plane_clips(), LAYOUT, queries=3)
    assert truth.known.shape[1] == 0
    empty = torch.zeros(2, 3, 0)
    assert track_loss([torch.zeros(2, 3, 0, 2)], empty, empty, truth).tolist() == [0, 0]
