"""Poses without a reference: within a slice, and from slice to slice; composed on demand."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from fourd_perception.model.layers.block import Block, Mlp
from fourd_perception.model.pose_encoding import rotation_from_quaternion
from fourd_perception.model.small.attention import GlobalAttention, Reading
from fourd_perception.model.small.config import SmallConfig
from fourd_perception.model.small.grid_plan import GridPlan
from fourd_perception.model.small.rays import known_intrinsics
from fourd_perception.model.small.stream import StreamState
import torch
from torch import nn

POSE = 7
USUAL_FIELD = math.radians(60)


@dataclass(frozen=True, eq=False)
class Cameras:
    """What the head says of S cells in T slices; float32, rigid, in the network's own scale.

    leader_from_camera:   [B, S, 4, 4], to the camera of the slice's leader; identity for leaders
    previous_from_leader: [B, T, 4, 4], from each slice's leader to the leader of the slice before;
                          identity for the first slice of all
    field_of_view:        [B, S, 2], vertical and horizontal, radians, for cameras whose
                          intrinsics are not known
    """

    leader_from_camera: torch.Tensor
    previous_from_leader: torch.Tensor
    field_of_view: torch.Tensor


class CameraHead(nn.Module):
    """Camera tokens of all cells read each other; pairs of them tell relative poses.

    No cell is special: a pose is told from the tokens of the two cameras that it lies between.
    """

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        dim = config.dim
        self.token_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(
            Block(
                dim,
                config.heads,
                config.camera_mlp_ratio,
                layer_scale=config.layer_scale,
                attention=GlobalAttention(dim, config.heads),
            )
            for _ in range(config.camera_depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.within = Mlp(2 * dim, dim, POSE)
        self.between = Mlp(2 * dim, dim, POSE)
        self.field = Mlp(dim, dim // 2, 2)
        for branch in (self.within, self.between, self.field):
            nn.init.zeros_(branch.fc2.weight)
            nn.init.zeros_(branch.fc2.bias)
        nn.init.constant_(self.field.fc2.bias, math.log(USUAL_FIELD / (math.pi - USUAL_FIELD)))

    def forward(
        self, tokens: torch.Tensor, reading: Reading, state: StreamState | None = None
    ) -> Cameras:
        """Camera tokens [B, S, dim] of all cells of a grid, or of the new ones of a stream.

        Runs in the precision of its own weights, whatever autocast says: poses want digits.
        """
        with torch.autocast(tokens.device.type, enabled=False):
            return self._forward(tokens.to(self.norm.weight.dtype), reading, state)

    def _forward(
        self, tokens: torch.Tensor, reading: Reading, state: StreamState | None
    ) -> Cameras:
        plan = reading.plan
        x = self.token_norm(tokens)[:, :, None]
        for i, block in enumerate(self.blocks):
            if state is not None:
                reading = replace(reading, memory=state.memory(f'camera.{i}'))
            x = block(x, None, reading)
        x = self.norm(x[:, :, 0])
        leaders = x[:, plan.leaders]
        earlier = leaders[:, :1]
        memory = None if state is None else state.memory('leader')
        known_start = memory is not None and memory.held is not None
        if memory is not None:
            if memory.held is not None:
                (earlier,) = memory.held
            memory.held = (leaders[:, -1:],)
        earlier = torch.cat([earlier, leaders[:, :-1]], dim=1)
        identity = torch.eye(4, device=x.device)
        previous = identity.expand(*leaders.shape[:2], 4, 4)
        within = identity.expand(*x.shape[:2], 4, 4)
        # A branch that has nothing to say is not asked: without a gradient its weights stay.
        if known_start or leaders.shape[1] > 1:
            previous = rigid(self.between(torch.cat([leaders, earlier], dim=-1)))
        if not known_start:
            start = identity.expand(len(x), 1, 4, 4)
            previous = torch.cat([start, previous[:, 1:]], dim=1)
        if leaders.shape[1] < x.shape[1]:
            pairs = torch.cat([x, x[:, plan.leader_of]], dim=-1)
            within = torch.where(
                plan.is_leader[:, None, None], identity, rigid(self.within(pairs))
            )
        return Cameras(
            within,
            previous,
            math.pi * self.field(x).float().sigmoid(),
        )


def rigid(encoding: torch.Tensor) -> torch.Tensor:
    """Transforms float32 [..., 4, 4] of translation 3 and quaternion x y z (w - 1) [..., 7].

    Zeros are the identity.
    """
    encoding = encoding.float()
    translation, imaginary, real = encoding.split([3, 3, 1], dim=-1)
    rotation = rotation_from_quaternion(torch.cat([imaginary, 1 + real], dim=-1))
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1
    return torch.cat([top, bottom], dim=-2)


def inverse(a_from_b: torch.Tensor) -> torch.Tensor:
    """b_from_a of rigid transforms [..., 4, 4]."""
    rotation = a_from_b[..., :3, :3].transpose(-1, -2)
    top = torch.cat([rotation, -rotation @ a_from_b[..., :3, 3:]], dim=-1)
    return torch.cat([top, a_from_b[..., 3:, :]], dim=-2)


def compose(cameras: Cameras, plan: GridPlan, reference: int | None = None) -> torch.Tensor:
    """world_from_camera [B, S, 4, 4] of all cells, chained over the slices; differentiable.

    reference: cell whose camera is the world; None: the leader of the first slice. Another one
               moves all poses by one rigid transform and changes nothing else.
    """
    first_from_leader = [
        torch.eye(4, device=plan.leaders.device).expand_as(cameras.previous_from_leader[:, 0])
    ]
    for motion in cameras.previous_from_leader.unbind(1)[1:]:
        first_from_leader.append(first_from_leader[-1] @ motion)
    world = torch.stack(first_from_leader, dim=1)[:, plan.slice_of] @ cameras.leader_from_camera
    return world if reference is None else inverse(world[:, reference : reference + 1]) @ world


def used_intrinsics(
    given: torch.Tensor, field_of_view: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """Camera matrices float32 [B, S, 3, 3]: those given, the network's own where they are NaN.

    The estimated ones look through the middle of the image; pixel (0, 0) is centred at (0, 0).
    """
    size = torch.stack(
        [torch.full_like(field_of_view[..., 0], n) for n in (height, width)], dim=-1
    )
    focal_y, focal_x = (size / 2 / (field_of_view / 2).tan()).unbind(-1)
    zero, one = torch.zeros_like(focal_x), torch.ones_like(focal_x)
    rows = [
        focal_x, zero, one * (width - 1) / 2,
        zero, focal_y, one * (height - 1) / 2,
        zero, zero, one,
    ]  # fmt: skip
    own = torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
    return torch.where(known_intrinsics(given)[..., None, None], given.float(), own)
