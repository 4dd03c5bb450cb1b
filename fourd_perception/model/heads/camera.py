"""The camera head: four refinements of one pose encoding per frame (VGGT A.7)."""

from __future__ import annotations

from fourd_perception.model.layers.block import Block, Mlp
from fourd_perception.model.presets import CameraHeadConfig
import torch
from torch import nn

ENCODING = 9


class CameraHead(nn.Module):
    """Camera tokens of all frames to pose encodings; attention runs over the frames.

    Conditioning and accumulation use the pose before its activation, detached.
    """

    def __init__(self, dim: int, config: CameraHeadConfig) -> None:
        super().__init__()
        self.iterations = config.iterations
        self.token_norm = nn.LayerNorm(dim)
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, ENCODING))
        self.embed_pose = nn.Linear(ENCODING, dim)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 3 * dim))
        self.adaptive_norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.trunk = nn.ModuleList(
            Block(dim, config.heads, config.mlp_ratio, layer_scale=config.layer_scale)
            for _ in range(config.depth)
        )
        self.trunk_norm = nn.LayerNorm(dim)
        self.pose_branch = Mlp(dim, dim // 2, ENCODING)

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Camera tokens [B, S, dim] to one encoding [B, S, 9] per refinement, the last the best.

        Encoding: translation 3, quaternion x y z w, vertical and horizontal field of view, of
        the camera-from-world pose (see `pose_encoding`).
        """
        tokens = self.token_norm(tokens)
        pose: torch.Tensor | None = None
        results = []
        for _ in range(self.iterations):
            known = self.empty_pose_tokens if pose is None else pose.detach()
            condition = self.poseLN_modulation(self.embed_pose(known))
            shift, scale, gate = condition.chunk(3, dim=-1)
            x = tokens + gate * (self.adaptive_norm(tokens) * (1 + scale) + shift)
            for block in self.trunk:
                x = block(x)
            delta = self.pose_branch(self.trunk_norm(x))
            pose = delta if pose is None else pose.detach() + delta
            results.append(torch.cat([pose[..., :7], pose[..., 7:].relu()], dim=-1))
        return results
