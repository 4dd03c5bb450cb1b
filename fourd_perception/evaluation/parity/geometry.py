"""The fixtures of the pose encoding and of unprojection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fourd_perception.evaluation.parity.comparison import compare, Comparison, read_arrays
from fourd_perception.model import pose_encoding
from fourd_perception.model.published_unprojection import unproject
import numpy as np
import torch

LIMIT = 2e-6  # quaternions and decoding
Arrays = Mapping[str, np.ndarray]


def check_pose_encoding(folder: Path) -> list[Comparison]:
    """The files of the folder whose names are known; each is a case."""
    results = []
    for name, check in CHECKS.items():
        path = folder / f'{name}.npz'
        if path.is_file():
            results += check(name, read_arrays(path))
    return results


def _encoding(case: str, arrays: Arrays) -> list[Comparison]:
    def rotations(name: str) -> torch.Tensor:
        return torch.from_numpy(arrays[name][..., :3, :3])

    extrinsics = torch.from_numpy(arrays['extrinsics'])
    ambiguous = arrays['sign_ambiguous']
    found = {
        'quat_xyzw': pose_encoding.quaternion_from_rotation(rotations('extrinsics')),
        'noisy_quat_xyzw': pose_encoding.quaternion_from_rotation(rotations('noisy_matrices')),
        'raw_quats_matrix': pose_encoding.rotation_from_quaternion(
            torch.from_numpy(arrays['raw_quats_xyzw'])
        ),
    }
    found['quat_xyzw'] = _signed_as(found['quat_xyzw'], arrays['quat_xyzw'], ambiguous)
    size = 0
    while f'size{size}_hw' in arrays:
        key = f'size{size}_'
        height, width = map(int, arrays[key + 'hw'])
        intrinsics = torch.from_numpy(arrays[key + 'intrinsics'])
        encoding = pose_encoding.encode(extrinsics, intrinsics, height, width)
        wanted = arrays[key + 'pose_enc']
        encoding[:, 3:7] = _signed_as(encoding[:, 3:7], wanted[:, 3:7], ambiguous)
        found[key + 'pose_enc'] = encoding
        decoded = pose_encoding.decode(torch.from_numpy(wanted), height, width)
        found[key + 'decoded_extrinsics'], found[key + 'decoded_intrinsics'] = decoded
        size += 1
    return [compare(case, name, value, arrays[name], LIMIT) for name, value in found.items()]


def _signed_as(found: torch.Tensor, wanted: np.ndarray, where: np.ndarray) -> torch.Tensor:
    """Quaternions, those of turns by pi with the sign of the reference: both signs are right."""
    sign = torch.from_numpy(np.sign((found.numpy() * wanted).sum(axis=-1, keepdims=True)))
    return torch.where(torch.from_numpy(where)[:, None], found * sign, found)


def _decoding(case: str, arrays: Arrays) -> list[Comparison]:
    height, width = map(int, arrays['hw'])
    encoding = torch.from_numpy(arrays['pose_enc'])
    extrinsics, intrinsics = pose_encoding.decode(encoding, height, width)
    encoding[..., 7:] = 0
    _, endless = pose_encoding.decode(encoding, height, width)
    found = {
        'extrinsics': extrinsics,
        'intrinsics': intrinsics,
        'zero_fov_intrinsics': endless,
    }
    return [compare(case, name, value, arrays[name], LIMIT) for name, value in found.items()]


def _unprojection(case: str, arrays: Arrays) -> list[Comparison]:
    depth, intrinsics = arrays['depth'][..., 0], arrays['intrinsics']
    integer = unproject(depth, intrinsics, arrays['extrinsics'])
    cam2world = arrays['cam2world'].astype(np.float64)
    half = unproject(depth, intrinsics, np.linalg.inv(cam2world)[:, :3], pixel_centre=0.5)
    return [
        compare(case, 'world_points', integer, arrays['world_points'], LIMIT),
        compare(case, 'world_points_half_pixel', half, arrays['world_points_half_pixel'], LIMIT),
    ]


CHECKS: Mapping[str, Callable[[str, Arrays], list[Comparison]]] = {
    'pose_encoding': _encoding,
    'decode_raw': _decoding,
    'unprojection': _unprojection,
}
