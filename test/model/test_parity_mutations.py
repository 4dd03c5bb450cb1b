"""Every detail that is easily got wrong makes parity fail when it is got wrong."""

from __future__ import annotations

from fourd_perception.evaluation.parity.networks import check_network
from fourd_perception.model import cross_time, cross_view
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.heads import dense
from fourd_perception.model.layers import attention, patch_encoder
from network_fixtures import GOLDEN, needs_golden
import pytest
import torch
from torch import nn
import torch.nn.functional as F

Patch = pytest.MonkeyPatch


def no_rotary(patch: Patch) -> None:
    patch.setattr(attention, 'rotate', lambda tokens, table: tokens)


def patches_count_from_zero(patch: Patch) -> None:
    true_table = cross_view.rotary_table

    def from_zero(rows, columns, special, *rest):
        whole = true_table(rows + 1, columns + 1, 0, *rest)
        keep = torch.arange((rows + 1) * (columns + 1)).view(rows + 1, columns + 1)
        places = torch.cat(
            [torch.zeros(special, dtype=torch.long), keep[:rows, :columns].flatten()]
        )
        return type(whole)(whole.cos[places], whole.sin[places])

    patch.setattr(cross_view, 'rotary_table', from_zero)


def no_qk_norm(patch: Patch) -> None:
    true_heads = attention.Attention.queries_keys_values

    def heads(self, x, rotary):
        self.q_norm = self.k_norm = nn.Identity()
        return true_heads(self, x, rotary)

    patch.setattr(attention.Attention, 'queries_keys_values', heads)


def no_first_frame_slot(patch: Patch) -> None:
    true_special = cross_view.CrossViewGlobalFusion.with_special

    def special(self, patches, reference):
        tokens = true_special(self, patches, reference)
        count = self.special
        others = torch.cat([self.camera_token, self.register_token], dim=2)[:, 1]
        return torch.cat([others.expand(*tokens.shape[:2], -1, -1), tokens[:, :, count:]], dim=2)

    patch.setattr(cross_view.CrossViewGlobalFusion, 'with_special', special)


def no_relu_on_the_residual_path(patch: Patch) -> None:
    def forward(self, x):
        return x + self.conv2(self.conv1(x.relu()).relu())

    patch.setattr(dense.ResidualUnit, 'forward', forward)


def no_uv_embedding(patch: Patch) -> None:
    patch.setattr(dense, 'UV_WEIGHT', 0.0)


def no_antialiasing(patch: Patch) -> None:
    true_interpolate = F.interpolate

    def interpolate(*args, antialias=False, **options):
        return true_interpolate(*args, **options)

    patch.setattr(patch_encoder.F, 'interpolate', interpolate)


def tanh_gelu(patch: Patch) -> None:
    patch.setattr(nn.GELU, 'forward', lambda self, x: F.gelu(x, approximate='tanh'))


def one_temporal_neighbour_less(patch: Patch) -> None:
    true_neighbours = CellLayout.temporal_neighbours

    def neighbours(self, window):
        index = true_neighbours(self, window)
        index[:, window // 2 + 1] = -1
        return index

    patch.setattr(CellLayout, 'temporal_neighbours', neighbours)
    # Neither what is kept of true neighbours, nor false ones kept for later.
    patch.setattr(cross_time, 'neighbours_of', cross_time.neighbours_of.__wrapped__)


def no_time_bias(patch: Patch) -> None:
    true_forward = cross_time.WindowAttention.forward

    def forward(self, *args):
        self.relative_time_bias.data.zero_()
        return true_forward(self, *args)

    patch.setattr(cross_time.WindowAttention, 'forward', forward)


def three_pose_iterations(patch: Patch) -> None:
    from fourd_perception.model.heads.camera import CameraHead

    true_forward = CameraHead.forward

    def forward(self, tokens):
        self.iterations = 3
        results = true_forward(self, tokens)
        return [*results, results[-1]]

    patch.setattr(CameraHead, 'forward', forward)


MUTATIONS = [
    ('vggt_tiny', no_rotary),
    ('vggt_tiny', patches_count_from_zero),
    ('vggt_tiny', no_qk_norm),
    ('vggt_tiny', no_first_frame_slot),
    ('vggt_tiny', no_relu_on_the_residual_path),
    ('vggt_tiny', no_uv_embedding),
    ('vggt_tiny', tanh_gelu),
    ('vggt_tiny', three_pose_iterations),
    ('vggt_dino_tiny', no_antialiasing),
    ('fourd_vggt/tiny', one_temporal_neighbour_less),
    ('fourd_vggt/tiny', no_time_bias),
    ('fourd_vggt/deep6', no_rotary),
    ('fourd_vggt/deep6', no_qk_norm),
    ('fourd_vggt/deep6', no_first_frame_slot),
    ('fourd_vggt/deep6', one_temporal_neighbour_less),
]


@needs_golden
@pytest.mark.parametrize(
    ('folder', 'mutation'), MUTATIONS, ids=[f'{f}-{m.__name__}' for f, m in MUTATIONS]
)
def test_a_wrong_detail_makes_parity_fail(folder, mutation, monkeypatch):
    mutation(monkeypatch)
    assert not all(result.passed for result in check_network(GOLDEN / folder))


@needs_golden
@pytest.mark.parametrize(
    ('folder', 'eps', 'outputs'),
    [
        ('vggt_tiny', 1e-6, 'tap_'),  # trunk and heads have 1e-5
        ('fourd_vggt/tiny', 1e-6, 'spatial_tap_'),
        ('vggt_dino_tiny', 1e-5, 'patch_tokens'),  # the encoder has 1e-6
    ],
)
def test_the_wrong_epsilon_of_the_layer_norms_makes_parity_fail(folder, eps, outputs, monkeypatch):
    def forward(self, x):
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, eps)

    monkeypatch.setattr(nn.LayerNorm, 'forward', forward)
    far = [r.output for r in check_network(GOLDEN / folder) if not r.passed]
    assert any(output.startswith(outputs) for output in far)
