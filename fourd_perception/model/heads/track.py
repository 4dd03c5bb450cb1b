"""The point tracker: correlation lookups refined by a time and space transformer (VGGT A.9)."""

from __future__ import annotations

from collections.abc import Sequence

from fourd_perception.model.heads.dense import DenseHead
from fourd_perception.model.layers.block import Mlp
from fourd_perception.model.presets import TrackHeadConfig
import torch
from torch import nn
import torch.nn.functional as F


class MemberBlock(nn.Module):
    """Attention block whose normed input, not the input itself, carries the residual.

    With `context` the queries read another set of tokens. The quirk of the residual is the
    published network's.
    """

    def __init__(self, dim: int, heads: int, context: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        if context:
            self.norm_context = nn.LayerNorm(dim)
            self.cross_attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        else:
            self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Tokens [B, N, dim], reading themselves or `context` [B, M, dim]."""
        x = self.norm1(x)
        if context is None:
            read = self.attn(x, x, x, need_weights=False)[0]
        else:
            context = self.norm_context(context)
            read = self.cross_attn(x, context, context, need_weights=False)[0]
        x = x + read
        return x + self.mlp(self.norm2(x))


class UpdateFormer(nn.Module):
    """Reads track tokens [B, N, S, in], attends along time and among tracks, gives updates."""

    def __init__(self, dim_in: int, dim_out: int, config: TrackHeadConfig) -> None:
        super().__init__()
        hidden, heads = config.hidden, config.heads
        self.input_norm = nn.LayerNorm(dim_in)
        self.input_transform = nn.Linear(dim_in, hidden)
        self.output_norm = nn.LayerNorm(hidden)
        self.flow_head = nn.Linear(hidden, dim_out)
        # The published key is misspelt.
        self.virual_tracks = nn.Parameter(torch.randn(1, config.virtual_tracks, 1, hidden))

        def blocks(context: bool) -> nn.ModuleList:
            return nn.ModuleList(MemberBlock(hidden, heads, context) for _ in range(config.depth))

        self.time_blocks = blocks(False)
        self.space_virtual_blocks = blocks(False)
        self.space_point2virtual_blocks = blocks(True)
        self.space_virtual2point_blocks = blocks(True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, N, S, dim_in] to [B, N, S, dim_out]."""
        tokens = self.input_transform(self.input_norm(x))
        start = tokens
        batch, points, frames, _ = tokens.shape
        virtual = self.virual_tracks.expand(batch, -1, frames, -1)
        tokens = torch.cat([tokens, virtual], dim=1)
        for time, space, to_virtual, to_points in zip(
            self.time_blocks,
            self.space_virtual_blocks,
            self.space_virtual2point_blocks,
            self.space_point2virtual_blocks,
        ):
            tokens = time(tokens.flatten(0, 1)).view_as(tokens)
            by_frame = tokens.transpose(1, 2).flatten(0, 1)  # [B S, N + virtual, hidden]
            point, virtual = by_frame[:, :points], by_frame[:, points:]
            virtual = to_virtual(virtual, point)
            virtual = space(virtual)
            point = to_points(point, virtual)
            by_frame = torch.cat([point, virtual], dim=1)
            tokens = by_frame.unflatten(0, (batch, frames)).transpose(1, 2)
        return self.flow_head(self.output_norm(tokens[:, :points] + start))


def sample(maps: torch.Tensor, coordinates: torch.Tensor, padding: str = 'zeros') -> torch.Tensor:
    """Bilinear samples [B, C, ...] of maps [B, C, H, W] at pixels [B, ..., 2] (x, y)."""
    height, width = maps.shape[-2:]
    scale = coordinates.new_tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)])
    grid = (coordinates * scale - 1).flatten(1, -2)[:, :, None]
    out = F.grid_sample(maps, grid, align_corners=True, padding_mode=padding)
    return out[..., 0].unflatten(-1, coordinates.shape[1:-1])


def frequency_bank(positions: torch.Tensor, base: float | None, channels: int) -> torch.Tensor:
    """Sines and cosines of scalar positions [...] to [..., channels].

    base None: the flow embedding, interleaved, up to 1000 rad per pixel; else the usual bank of
    wavelengths up to 2 pi base, sines first
    """
    steps = torch.arange(0, channels, 2, dtype=torch.float64, device=positions.device)
    if base is None:
        angles = positions[..., None] * (steps * (1000.0 / channels)).to(positions.dtype)
        return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)
    angles = positions.double()[..., None] * base ** -(steps / channels)
    return torch.cat([angles.sin(), angles.cos()], -1).to(positions.dtype)


class Tracker(nn.Module):
    """Iterative refinement of tracks on the feature maps of a DPT."""

    def __init__(self, config: TrackHeadConfig) -> None:
        super().__init__()
        self.config = config
        latent = config.latent
        self.transformer_dim = 3 * latent + 4
        window = (2 * config.radius + 1) ** 2 * config.levels
        self.corr_mlp = Mlp(window, config.hidden, latent)
        dim = self.transformer_dim
        self.query_ref_token = nn.Parameter(torch.randn(1, 2, dim))
        self.updateformer = UpdateFormer(dim, latent + 2, config)
        self.fmap_norm = nn.LayerNorm(latent)
        self.ffeat_norm = nn.GroupNorm(1, latent)
        self.ffeat_updater = nn.Sequential(nn.Linear(latent, latent), nn.GELU())
        self.vis_predictor = nn.Sequential(nn.Linear(latent, 1))
        self.conf_predictor = nn.Sequential(nn.Linear(latent, 1))

    def forward(
        self, features: torch.Tensor, queries: torch.Tensor, reference: int
    ) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Tracks of query pixels [B, Q, 2] (x, y) of the reference frame.

        features: [B, S, C, H/stride, W/stride]
        Returns the tracks [B, S, Q, 2] in pixels of every refinement, and visibility and
        confidence [B, S, Q] in 0..1 of the last.
        """
        config = self.config
        features = self.fmap_norm(features.movedim(2, -1)).movedim(-1, 2)
        frames = features.shape[1]
        start = queries / config.stride
        descriptors = sample(features[:, reference], start, 'border').transpose(1, 2)  # [B, Q, C]
        positions = self._positions(features.shape[-2:], start)  # [B, Q, dim]
        slots = self.query_ref_token[:, [int(s != reference) for s in range(frames)]]
        offset = positions[:, :, None] + slots[:, None]
        pyramid = self._pyramid(features)
        tracks = start[:, None].expand(-1, frames, -1, -1)
        tokens = descriptors[:, None].expand(-1, frames, -1, -1)  # [B, S, Q, C]
        results = []
        for _ in range(config.iterations):
            tracks = tracks.detach()
            correlation = self.corr_mlp(self._correlation(pyramid, tokens, tracks))
            flow = (tracks - tracks[:, reference : reference + 1]).transpose(1, 2)
            embedded = [
                frequency_bank(flow[..., axis], None, config.latent // 2) for axis in (0, 1)
            ]
            scaled = flow / config.max_scale
            x = torch.cat([*embedded, scaled, scaled, correlation, tokens.transpose(1, 2)], dim=-1)
            update = self.updateformer(x + offset).transpose(1, 2)  # [B, S, Q, 2 + C]
            change = self.ffeat_norm(update[..., 2:].flatten(0, 2))
            tokens = tokens + self.ffeat_updater(change).view_as(tokens)
            moved = tracks + update[..., :2]
            moved = [start if s == reference else moved[:, s] for s in range(frames)]
            tracks = torch.stack(moved, dim=1)
            results.append(tracks * config.stride)
        visibility = self.vis_predictor(tokens)[..., 0].sigmoid()
        return results, visibility, self.conf_predictor(tokens)[..., 0].sigmoid()

    def _positions(self, size: Sequence[int], start: torch.Tensor) -> torch.Tensor:
        """Sine and cosine map of base 10000 over the feature map, sampled at the queries."""
        half = self.transformer_dim // 2
        rows, columns = (
            frequency_bank(torch.arange(n, device=start.device, dtype=start.dtype), 1e4, half)
            for n in size
        )
        grid = torch.cat(
            [
                columns[None].expand(size[0], -1, -1),
                rows[:, None].expand(-1, size[1], -1),
            ],
            dim=-1,
        )
        grid = grid.permute(2, 0, 1)[None].expand(len(start), -1, -1, -1)
        return sample(grid, start, 'border').transpose(1, 2)

    def _pyramid(self, features: torch.Tensor) -> list[torch.Tensor]:
        levels = [features]
        for _ in range(self.config.levels - 1):
            flat = F.avg_pool2d(levels[-1].flatten(0, 1), 2)
            levels.append(flat.unflatten(0, features.shape[:2]))
        return levels

    def _correlation(
        self, pyramid: Sequence[torch.Tensor], tokens: torch.Tensor, tracks: torch.Tensor
    ) -> torch.Tensor:
        """Correlations [B, Q, S, levels * window] around the tracks."""
        radius = self.config.radius
        steps = torch.arange(-radius, radius + 1, device=tracks.device, dtype=tracks.dtype)
        # The published offsets are (row, column) pairs added to (x, y).
        window = torch.stack(torch.meshgrid(steps, steps, indexing='ij'), dim=-1)
        batch, frames, queries, channels = tokens.shape
        out = []
        for level, features in enumerate(pyramid):
            volume = torch.einsum('bsqc,bschw->bsqhw', tokens, features) / channels**0.5
            centre = tracks / 2**level
            at = centre[:, :, :, None, None] + window
            values = sample(volume.flatten(0, 2)[:, None], at.flatten(0, 2))
            out.append(values.reshape(batch, frames, queries, -1))
        return torch.cat(out, dim=-1).transpose(1, 2)


class TrackHead(nn.Module):
    """A DPT for features at half resolution, and the tracker on them."""

    def __init__(self, dim: int, taps: Sequence[int], patch: int, config: TrackHeadConfig) -> None:
        super().__init__()
        self.feature_extractor = DenseHead(dim, taps, patch, config.dense, out=None)
        self.tracker = Tracker(config)
