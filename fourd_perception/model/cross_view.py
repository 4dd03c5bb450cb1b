"""Cross-view global fusion: encoder, special tokens, frame and global attention (A.2-A.6, B.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from fourd_perception.model.alternating import alternate
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.layers.attention import Observe
from fourd_perception.model.layers.patch_encoder import DinoEncoder, PatchConvolution
from fourd_perception.model.layers.rotary import rotary_table, RotaryTable
from fourd_perception.model.presets import TrunkConfig
import torch
from torch import nn
import torch.nn.functional as F

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
SPATIAL_MASKS = ('none', 'same_time')


ObserveLayer = Callable[[int, torch.Tensor, torch.Tensor], None]


@dataclass(frozen=True, eq=False)
class HiddenTokens:
    """Patch tokens whose keys and values are left out in the first pairs of blocks.

    patches: bool [B, S, N], True where hidden; special tokens are never hidden
    pairs:   number of frame/global pairs in which they are, from the first on
    """

    patches: torch.Tensor
    pairs: int

    def readable(self, special: int) -> torch.Tensor:
        """Which tokens may be read, bool [B, S, P]."""
        return F.pad(~self.patches, (special, 0), value=True)


@dataclass(frozen=True, eq=False)
class TrunkTables:
    """What depends on the image size alone, computed once per size.

    positions: of the DINOv2 encoder, or None with the convolution
    rotary:    of one frame's P tokens
    """

    positions: torch.Tensor | None
    rotary: RotaryTable


@lru_cache(maxsize=32)
def instants_of(
    layout: CellLayout, device: torch.device
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Positions of the cells of each instant, and what puts all of these back into order.

    Kept for layouts seen before, so that no forward waits for a copy to the device.
    """
    instants = [torch.tensor(cells) for cells in layout.instants]
    back = torch.cat(instants).argsort()
    return tuple(cells.to(device) for cells in instants), back.to(device)


class CrossViewGlobalFusion(nn.Module):
    """VGGT's aggregator over the present cells of a grid.

    The frame blocks read one frame, the global blocks all cells (`spatial_mask='none'`) or the
    cells of the same instant (`'same_time'`).
    """

    image_mean: torch.Tensor
    image_std: torch.Tensor

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        if config.spatial_mask not in SPATIAL_MASKS:
            raise ValueError(
                f'spatial mask {config.spatial_mask!r} is not known; use one of {SPATIAL_MASKS}'
            )
        self.config = config
        dim = config.dim
        self.patch_embed: DinoEncoder | PatchConvolution
        if config.encoder is None:
            self.patch_embed = PatchConvolution(dim, config.patch)
        else:
            self.patch_embed = DinoEncoder(patch=config.patch, **vars(config.encoder))
        # Axis 1: slot 0 is the reference cell's, slot 1 everybody else's (A.3).
        self.camera_token = nn.Parameter(torch.randn(1, 2, 1, dim) * 1e-6)
        self.register_token = nn.Parameter(torch.randn(1, 2, config.registers, dim) * 1e-6)
        self.frame_blocks = nn.ModuleList(config.block() for _ in range(config.depth))
        self.global_blocks = nn.ModuleList(config.block() for _ in range(config.depth))
        # Not stored, so their values must stand even in a network built on the meta device.
        for name, values in (('image_mean', IMAGE_MEAN), ('image_std', IMAGE_STD)):
            self.register_buffer(name, torch.tensor(values, device='cpu').view(3, 1, 1), False)

    @property
    def special(self) -> int:
        """Number of special tokens in front of the patches of each frame."""
        return 1 + self.config.registers

    def tables(self, height: int, width: int) -> TrunkTables:
        """Tables for images of this size in pixels; a multiple of the patch in both."""
        patch = self.config.patch
        if height % patch or width % patch or min(height, width) < patch:
            raise ValueError(
                f'images of {width}x{height} do not divide into patches of {patch}; '
                f'resize to multiples of {patch}'
            )
        rows, columns = height // patch, width // patch
        encoder = self.patch_embed
        return TrunkTables(
            encoder.positions(rows, columns) if isinstance(encoder, DinoEncoder) else None,
            rotary_table(
                rows,
                columns,
                self.special,
                self.config.dim // self.config.heads,
                self.config.rope_base,
                self.camera_token.device,
            ),
        )

    def encode(self, images: torch.Tensor, tables: TrunkTables) -> torch.Tensor:
        """Patch tokens [B, S, N, C] of images [B, S, 3, H, W] in 0..1.

        A frame's features depend on its pixels alone, so that they can be kept across windows.
        """
        flat = ((images - self.image_mean) / self.image_std).flatten(0, 1)
        if isinstance(self.patch_embed, DinoEncoder):
            tokens = self.patch_embed(flat, tables.positions)
        else:
            tokens = self.patch_embed(flat)
        return tokens.unflatten(0, images.shape[:2])

    def with_special(self, patches: torch.Tensor, reference: int) -> torch.Tensor:
        """Tokens [B, S, P, C]: camera and register tokens put before the patches [B, S, N, C]."""
        batch, frames = patches.shape[:2]
        special = torch.cat([self.camera_token, self.register_token], dim=2)  # [1, 2, 1 + R, C]
        slots = special[:, 1:].expand(batch, frames, -1, -1)
        slots = torch.cat(
            [
                slots[:, :reference],
                special[:, :1].expand(batch, -1, -1, -1),
                slots[:, reference + 1 :],
            ],
            dim=1,
        )
        return torch.cat([slots.to(patches.dtype), patches], dim=2)

    def forward(
        self,
        tokens: torch.Tensor,
        layout: CellLayout,
        tables: TrunkTables,
        taps: Sequence[int] | None = None,
        hidden: HiddenTokens | None = None,
        observe: ObserveLayer | None = None,
    ) -> dict[int, torch.Tensor]:
        """Taps [B, S, P, 2 C] of tokens [B, S, P, C].

        hidden:  patch tokens that nobody may read in the first pairs (VGGT4D C.4)
        observe: called with (block, q, k) of every global block, q and k [B, heads, S P, d]
                 after norm and rotation; only with `spatial_mask='none'`
        """
        rotary = tables.rotary
        readable = None if hidden is None else hidden.readable(self.special)

        def frame_step(block: nn.Module, x: torch.Tensor, i: int) -> torch.Tensor:
            mask = None
            if hidden is not None and readable is not None and i < hidden.pairs:
                mask = readable.flatten(0, 1)[:, None, None]
            return block(x.flatten(0, 1), rotary, mask).unflatten(0, x.shape[:2])

        def global_step(block: nn.Module, x: torch.Tensor, i: int) -> torch.Tensor:
            mask = readable if hidden is not None and i < hidden.pairs else None
            if self.config.spatial_mask == 'none':
                watch = None if observe is None else partial(observe, i)
                return self._together(block, x, rotary, mask, watch)
            instants, back = instants_of(layout, x.device)
            parts = [
                self._together(block, x[:, i], rotary, None if mask is None else mask[:, i])
                for i in instants
            ]
            return torch.cat(parts, dim=1)[:, back]

        taps = self.config.taps if taps is None else taps
        return alternate(
            tokens,
            self.frame_blocks,
            self.global_blocks,
            frame_step,
            global_step,
            self.config.group,
            taps,
        )

    @staticmethod
    def _together(
        block: nn.Module,
        x: torch.Tensor,
        rotary: RotaryTable,
        readable: torch.Tensor | None = None,
        observe: Observe | None = None,
    ) -> torch.Tensor:
        """Let all tokens of all frames given read each other, but for unreadable keys."""
        mask = None if readable is None else readable.flatten(1)[:, None, None]
        frames = rotary.repeat(x.shape[1])
        return block(x.flatten(1, 2), frames, mask, observe).view_as(x)
