"""The nine numbers a camera head gives, and poses (VGGT A.7, A.12).

[t | q_x q_y q_z q_w | fov_h fov_w]: camera-from-world translation and rotation, OpenCV axes, and
the vertical and horizontal field of view in radians. The published networks put the principal
point at (W/2, H/2) and count pixels by integers; `intrinsics` of this file keep that habit.
`pixel_centred` takes it off: what they mean is the middle of the image, which is
((W - 1)/2, (H - 1)/2) where pixel (0, 0) is centred at (0, 0), as everywhere else here.
"""

from __future__ import annotations

import torch

QUATERNION_FLOOR = 0.1


def quaternion_from_rotation(rotation: torch.Tensor) -> torch.Tensor:
    """Quaternions [..., 4] (x, y, z, w), w >= 0, of rotations [..., 3, 3].

    The largest of the four components decides which formula is used, so that nothing is divided
    by a small number. The matrices need not be orthonormal.
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    magnitude = (
        torch.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1)
        .clamp(min=0)
        .sqrt()
    )  # of 2 |w|, 2 |x|, 2 |y|, 2 |z|
    w, x, y, z = magnitude.unbind(-1)
    zy, xz, yx = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    xy, zx, yz = (
        m[..., 1, 0] + m[..., 0, 1],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 1, 2] + m[..., 2, 1],
    )
    candidates = torch.stack(
        [
            torch.stack([zy, xz, yx, w**2], -1),
            torch.stack([x**2, xy, zx, zy], -1),
            torch.stack([xy, y**2, yz, xz], -1),
            torch.stack([zx, yz, z**2, yx], -1),
        ],
        dim=-2,
    ) / (2 * magnitude.clamp(min=QUATERNION_FLOOR)[..., None])
    best = magnitude.argmax(-1)[..., None, None].expand(*magnitude.shape[:-1], 1, 4)
    quaternion = candidates.gather(-2, best)[..., 0, :]
    return torch.where(quaternion[..., 3:] < 0, -quaternion, quaternion)


def rotation_from_quaternion(quaternion: torch.Tensor) -> torch.Tensor:
    """Rotations [..., 3, 3] of quaternions (x, y, z, w) of any norm."""
    x, y, z, w = quaternion.unbind(-1)
    s = 2 / quaternion.square().sum(-1)
    rows = [
        1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w),
        s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w),
        s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def encode(
    camera_from_world: torch.Tensor, intrinsics: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """Encodings [..., 9] of extrinsics [..., 3, 4] and camera matrices [..., 3, 3]."""
    fov_h = 2 * torch.atan(height / 2 / intrinsics[..., 1, 1])
    fov_w = 2 * torch.atan(width / 2 / intrinsics[..., 0, 0])
    quaternion = quaternion_from_rotation(camera_from_world[..., :3, :3])
    fov = torch.stack([fov_h, fov_w], -1)
    return torch.cat([camera_from_world[..., :3, 3], quaternion, fov], -1).float()


def decode(encoding: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Extrinsics [..., 3, 4] (camera from world) and camera matrices [..., 3, 3].

    A zero field of view gives infinite focal lengths.
    """
    rotation = rotation_from_quaternion(encoding[..., 3:7])
    extrinsics = torch.cat([rotation, encoding[..., :3, None]], -1)
    intrinsics = encoding.new_zeros(*encoding.shape[:-1], 3, 3)
    intrinsics[..., 0, 0] = width / 2 / (encoding[..., 8] / 2).tan()
    intrinsics[..., 1, 1] = height / 2 / (encoding[..., 7] / 2).tan()
    intrinsics[..., 0, 2] = width / 2
    intrinsics[..., 1, 2] = height / 2
    intrinsics[..., 2, 2] = 1
    return extrinsics, intrinsics


def pixel_centred(intrinsics: torch.Tensor) -> torch.Tensor:
    """Published camera matrices [..., 3, 3] for pixels whose centres are at integers."""
    moved = intrinsics.clone()
    moved[..., :2, 2] -= 0.5
    return moved
