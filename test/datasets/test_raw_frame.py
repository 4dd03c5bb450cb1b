"""Frames at another size: every map keeps agreeing with the intrinsics."""

from __future__ import annotations

from fourd_perception.datasets.raw_frame import fitted, RawFrame
from fourd_perception.geometry.clips import OCCLUDED, UNKNOWN, VISIBLE
from hypothesis import given, settings, strategies as st
import numpy as np

SIZES = st.tuples(st.integers(8, 60), st.integers(8, 60))
PLACES = st.tuples(st.floats(0, 1), st.floats(0, 1))


def rays(intrinsics: np.ndarray, size: tuple[int, int], image: tuple[int, int]) -> np.ndarray:
    """(x / z, y / z) [h, w, 2] at the pixels of a map over an image of the intrinsics."""
    y, x = np.mgrid[: size[0], : size[1]]
    x = (x + 0.5) * image[1] / size[1] - 0.5
    y = (y + 0.5) * image[0] / size[0] - 0.5
    k = intrinsics
    return np.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1]], axis=-1)


@given(SIZES, SIZES, SIZES, PLACES)
def test_pixels_keep_their_rays(
    image: tuple[int, int],
    map_size: tuple[int, int],
    size: tuple[int, int],
    place: tuple[float, float],
) -> None:
    """A map of where each pixel looks still says so after crop and resize.

    To within half a pixel of the map: of the nearest one.
    """
    intrinsics = np.array([[33.0, 0, 17.3], [0, 41.0, 8.9], [0, 0, 1]])
    seen = rays(intrinsics, map_size, image).astype(np.float32)
    # Positive, as depths are.
    frame = RawFrame(
        np.zeros((*image, 3), np.uint8), intrinsics=intrinsics, depth=seen[..., 0] + 100
    )
    vertical = RawFrame(frame.image, intrinsics=intrinsics, depth=seen[..., 1] + 100)
    across, down = fitted(frame, size, place), fitted(vertical, size, place)
    assert across.image.shape == (*size, 3) and across.depth.shape == size
    expected = rays(across.intrinsics, size, size)
    half = 0.5 * image[1] / map_size[1] / 33.0, 0.5 * image[0] / map_size[0] / 41.0
    assert np.abs(across.depth - 100 - expected[..., 0]).max() <= half[0] + 1e-4
    assert np.abs(down.depth - 100 - expected[..., 1]).max() <= half[1] + 1e-4


@given(SIZES, SIZES, SIZES, PLACES)
def test_flow_keeps_its_angle(
    image: tuple[int, int],
    map_size: tuple[int, int],
    size: tuple[int, int],
    place: tuple[float, float],
) -> None:
    """Flow of one displacement of rays is that displacement times the new focal lengths."""
    intrinsics = np.diag([30.0, 20.0, 1.0])
    displacement = np.array([0.3, -0.2])
    focal = np.array([30.0 * map_size[1] / image[1], 20.0 * map_size[0] / image[0]])
    flow = np.broadcast_to((displacement * focal).astype(np.float32), (*map_size, 2))
    frame = RawFrame(np.zeros((*image, 3), np.uint8), intrinsics=intrinsics, flow_forward=flow)
    small = fitted(frame, size, place)
    expected = displacement * np.diagonal(small.intrinsics)[:2]
    np.testing.assert_allclose(
        small.flow_forward, np.broadcast_to(expected, (*size, 2)), rtol=1e-5
    )


@given(SIZES, SIZES, PLACES)
def test_crops_have_the_aspect_of_the_clip(
    image: tuple[int, int], size: tuple[int, int], place: tuple[float, float]
) -> None:
    intrinsics = np.eye(3)
    small = fitted(RawFrame(np.zeros((*image, 3), np.uint8), intrinsics=intrinsics), size, place)
    across, down = small.intrinsics[0, 0], small.intrinsics[1, 1]
    # But for a crop of whole pixels, of which one may be half a pixel off.
    assert abs(across / down - 1) <= 0.5 / min(size) * max(across, down) + 1e-9
    # The whole width or the whole height is seen.
    assert np.isclose(across, size[1] / image[1]) or np.isclose(down, size[0] / image[0])


def nearest_known(
    known: np.ndarray, size: tuple[int, int], row: int, column: int
) -> list[tuple[int, int]]:
    """Known old pixels in a new one that are nearest to its middle; several when equally near."""
    height, width = known.shape
    distances = {}
    for r, c in np.argwhere(known):
        y, x = (r + 0.5) * size[0] / height, (c + 0.5) * size[1] / width
        if int(y) == row and int(x) == column:
            distances[r, c] = np.hypot(y - row - 0.5, x - column - 0.5)
    return [p for p, distance in distances.items() if distance < min(distances.values()) + 1e-9]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_sparse_maps_take_the_known_pixel_nearest_to_the_middle(seed: int) -> None:
    generator = np.random.default_rng(seed)
    image, size = (12, 18), (5, 7)
    known = generator.random(image) < generator.choice([0.02, 0.1, 0.4])
    # The crop: 17 of 18 columns, from the first one.
    known[:, 17] = False
    depth = np.where(known, generator.uniform(1, 9, image), np.nan).astype(np.float32)
    flow = np.where(known[..., None], generator.normal(size=(*image, 2)), np.nan)
    hidden = np.where(known, generator.choice([VISIBLE, OCCLUDED], image), UNKNOWN)
    frame = RawFrame(
        np.zeros((*image, 3), np.uint8),
        depth=depth,
        flow_forward=flow.astype(np.float32),
        occluded_forward=hidden.astype(np.uint8),
        sparse=True,
    )
    small = fitted(frame, size, (0.0, 0.0))
    for cell in np.ndindex(*size):
        chosen = nearest_known(known[:, :17], size, *cell)
        if not chosen:
            assert np.isnan(small.depth[cell]) and np.isnan(small.flow_forward[cell]).all()
            assert small.occluded_forward[cell] == UNKNOWN
            continue
        pixel = next(p for p in chosen if depth[p] == small.depth[cell])
        scaled = flow[pixel] * [7 / 17, 5 / 12]
        np.testing.assert_allclose(small.flow_forward[cell], scaled, rtol=1e-5)
        assert small.occluded_forward[cell] == hidden[pixel]


def test_a_still_image_is_averaged_and_not_sampled() -> None:
    checks = (np.indices((32, 32)).sum(axis=0) % 2 * 200).astype(np.uint8)
    small = fitted(RawFrame(np.stack([checks] * 3, axis=-1)), (16, 16), (0.5, 0.5))
    assert (small.image == 100).all()
