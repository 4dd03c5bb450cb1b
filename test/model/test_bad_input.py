"""What a network cannot read is refused with the value met, the limit and the remedy."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.network import Network
from fourd_perception.model.published_config import network_config
from network_fixtures import fourd_values
import numpy as np
import pytest
import torch


@pytest.fixture(scope='module')
def network() -> Network:
    """A small 4D-VGGT."""
    return Network(network_config(fourd_values(16, 2, 4, 1, [0, 1, 2, 3], 3))).eval()


@pytest.mark.parametrize('size', [(28, 40), (27, 28), (0, 28), (7, 7)])
def test_sizes_that_the_patch_does_not_divide(network, size):
    with pytest.raises(ValueError, match=f'{size[1]}x{size[0]} do not divide into patches of 14'):
        network.tables(*size)


@pytest.mark.parametrize(
    ('images', 'words'),
    [
        (torch.zeros(1, 2, 3, 28, 28), '28x28 pixels, the tables were made for 42x28'),
        (torch.zeros(2, 3, 28, 42), r'floating point \[B, S, 3, H, W\]'),
        (torch.zeros(1, 2, 4, 28, 42), r'float32 \[1, 2, 4, 28, 42\]'),
        (torch.zeros(1, 0, 3, 28, 42), 'one frame or more'),
        (torch.zeros(1, 2, 3, 28, 42, dtype=torch.uint8), 'are torch.uint8'),
        (torch.zeros(1, 2, 3, 28, 42, dtype=torch.float64), 'float64, the weights torch.float32'),
        (torch.zeros(1, 2, 3, 28, 42, device='meta'), 'lie on meta, the weights on cpu'),
    ],
)
def test_images_of_another_size_shape_type_or_device(network, images, words):
    with pytest.raises(ValueError, match=words):
        network.encode(images, network.tables(28, 42))


def test_a_layout_for_another_number_of_cells(network):
    tables = network.tables(28, 42)
    patches = network.encode(torch.rand(1, 3, 3, 28, 42), tables)
    with pytest.raises(ValueError, match='3 cells are given, the layout has 2'):
        network.trunk(patches, CellLayout.sequence(2), tables)


def test_layouts_that_are_none():
    with pytest.raises(ValueError, match='at least one cell'):
        CellLayout((), ())
    with pytest.raises(ValueError, match='repeat'):
        CellLayout((0, 0), (1, 1))
    with pytest.raises(ValueError, match='reference cell 2'):
        CellLayout((0, 0), (0, 1), 2)
    with pytest.raises(ValueError, match='is missing; name a present one'):
        CellLayout.of_grid(np.array([[True, False]]), (0, 1))


def test_a_view_without_any_frame_is_named():
    present = np.array([[True, True], [False, False], [False, True]])
    with pytest.raises(ValueError, match='view 1 has no frame at any of the 2 instants; leave it'):
        CellLayout.of_grid(present, (0, 0))


def test_words_that_no_branch_knows(network):
    config = network.config
    within = replace(config, trunk=replace(config.trunk, spatial_mask='same_view'))
    with pytest.raises(ValueError, match="spatial mask 'same_view' is not known"):
        Network(within)
    with pytest.raises(ValueError, match="temporal branch 'lstm' is not known"):
        Network(replace(config, temporal='lstm'))
