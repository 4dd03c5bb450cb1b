"""The fixtures of VGGT4D: cues, clusters, thresholds, masked pass, refinement, pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import json
from pathlib import Path

from fourd_perception.evaluation.parity.comparison import (
    compare,
    Comparison,
    limit_of,
    read_arrays,
)
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.checkpoints import load_network
from fourd_perception.model.cross_view import HiddenTokens
from fourd_perception.model.network import Network
from fourd_perception.motion.clip import clip_motion
from fourd_perception.motion.coarse_mask import (
    cluster_saliency,
    enlarge,
    FEATURE_CLUSTERS,
    token_mask,
)
from fourd_perception.motion.cues import (
    cue_bands,
    CueAccumulator,
    CueMaps,
    dynamic_map,
    masked_pairs,
    PUBLISHED_DEPTH,
)
from fourd_perception.motion.kmeans import kmeans
from fourd_perception.motion.otsu import class_score, histogram, motion_threshold, multi_otsu
from fourd_perception.motion.refine_released import (
    candidate_labels,
    cluster_losses,
    refine_released,
    select,
    tidy,
)
from fourd_perception.motion.refinement_clip import RefinementClip
from fourd_perception.motion.windows import cue_windows
import numpy as np
import torch

WEIGHTS = 'vggt_tiny'  # in a folder beside the fixtures; any other network there that fits will do
CUE_MAPS = ('mean1', 'mean2', 'mean3', 'var1', 'var3')
CUE_LIMIT, DYNAMIC_LIMIT = 1e-5, 5e-5
# So few tokens leave hardly any range before the last normalisation, which magnifies rounding.
FEW_TOKENS, FEW_TOKENS_LIMIT = 4, 1e-3
PIXELS = 1e-3  # share of pixels that may differ, whose value lies on the threshold
LOSS_LIMIT, DEPTH_LIMIT = 1e-4, 2e-4
EXACT = 1e-6
Arrays = Mapping[str, np.ndarray]
Case = Callable[[str, Arrays, Path], Iterator[Comparison]]


def motion_cases(folder: Path) -> list[tuple[Path, Case]]:
    """The VGGT4D fixtures of a folder, each with what checks it."""
    return [
        (path, case)
        for path in sorted(folder.glob('*.npz'))
        for name, case in CASES.items()
        if path.stem == name or (name == 'cues' and path.stem.startswith('cues_'))
    ]


def check_motion(folder: Path) -> list[Comparison]:
    """Every fixture of the folder; weights come from the folder or one beside it."""
    results = []
    for path, case in motion_cases(folder):
        arrays = _Arrays(read_arrays(path))
        results += list(case(path.stem, arrays, folder))
        for name in sorted(arrays.keys() - arrays.read):
            results.append(Comparison(path.stem, name, 0.0, None, 'nothing here reads it'))
    return results


class _Arrays(dict[str, np.ndarray]):
    """Arrays by name that remember which of them were read."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__(arrays)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.read.add(name)
        return super().__getitem__(name)


def _cues(case: str, arrays: Arrays, folder: Path) -> Iterator[Comparison]:
    frames, (rows, columns) = len(arrays['q']), map(int, arrays['grid_hw'])
    dynamic_limit = FEW_TOKENS_LIMIT if rows * columns <= FEW_TOKENS else DYNAMIC_LIMIT
    maps = _maps_of_tokens(arrays, torch.float32)
    found = {name: getattr(maps.normalised(), name) for name in CUE_MAPS}
    for name in found.keys() & arrays.keys():
        yield compare(case, name, found[name], arrays[name], CUE_LIMIT)
    dynamic = dynamic_map(maps)
    for name in {'dyn_map', 'dyn_map_batched'} & arrays.keys():
        yield compare(case, name, dynamic, arrays[name], dynamic_limit)
    if 'dyn_map_float64' in arrays and 'images' not in arrays:
        exact = dynamic_map(_maps_of_tokens(arrays, torch.float64))
        yield compare(case, 'dyn_map_float64', exact, arrays['dyn_map_float64'], 1e-12)
    if 'images' not in arrays:
        return
    network = _network_for(folder, arrays['encoder_tokens'].shape[-1])
    images = torch.from_numpy(arrays['images'])
    with torch.no_grad():
        tables = network.tables(*images.shape[-2:])
        patches = network.encode(images, tables)
        layout = CellLayout.sequence(frames)
        depth, special = network.config.trunk.depth, 1 + network.config.trunk.registers
        cues = CueAccumulator(cue_bands(depth), cue_windows(layout), (rows, columns), special)
        network.trunk(patches, layout, tables, observe=cues)
    limit = limit_of('encoded_tokens') or 0.0
    yield compare(case, 'encoder_tokens', patches[0], arrays['encoder_tokens'], limit)
    dynamic = dynamic_map(cues.maps())
    yield compare(case, 'dyn_map of images', dynamic, arrays['dyn_map'], dynamic_limit)
    wanted = arrays['dyn_map_float64']
    yield compare(case, 'dyn_map_float64 of images', dynamic, wanted, dynamic_limit)


def _maps_of_tokens(arrays: Arrays, dtype: torch.dtype) -> CueMaps:
    """Maps of queries and keys [S, layers, heads, N, d], which hold only the layers named."""
    q, k = torch.from_numpy(arrays['q']), torch.from_numpy(arrays['k'])
    rows, columns = map(int, arrays['grid_hw'])
    windows = cue_windows(CellLayout.sequence(len(q)))
    cues = CueAccumulator(cue_bands(PUBLISHED_DEPTH), windows, (rows, columns), 0, dtype)
    keys = {int(layer): i for i, layer in enumerate(arrays['k_layers'])}
    for i, layer in enumerate(map(int, arrays['q_layers'])):
        queries = q[:, i].transpose(0, 1).flatten(1, 2)[None]
        if layer in keys:
            cues(layer, queries, k[:, keys[layer]].transpose(0, 1).flatten(1, 2)[None])
        else:  # its keys are not read
            cues(layer, queries, queries)
    return cues.maps()


def _masked_pass(case: str, arrays: Arrays, folder: Path) -> Iterator[Comparison]:
    images = torch.from_numpy(arrays['images'])
    width = next(array.shape[-1] for name, array in arrays.items() if name.startswith('tap_'))
    network = _network_for(folder, width // 2)
    patch, depth = network.config.trunk.patch, network.config.trunk.depth
    tokens = token_mask(torch.from_numpy(arrays['masks']), patch)
    yield _pixels(case, 'token_masks', tokens, arrays['token_masks'], 0.0)
    layout = CellLayout.sequence(len(tokens))
    hidden = {
        'unmasked': None,
        'masked': tokens,
        'all_dynamic': torch.ones_like(tokens),
        'none_dynamic': torch.zeros_like(tokens),
    }
    with torch.no_grad():
        tables = network.tables(*images.shape[-2:])
        patches = network.encode(images, tables)
        for name, mask in hidden.items():
            given = None
            if mask is not None:
                given = HiddenTokens(mask.flatten(1)[None], masked_pairs(depth))
            features = network.trunk(patches, layout, tables, given)
            found = {f'pose_enc_{name}': network.cameras(features)[-1]}
            found |= {f'tap_{i}_{name}': tap for i, tap in features.spatial.items()}
            if f'depth_{name}' in arrays:
                found[f'depth_{name}'] = network.depth(features, tables)[0][..., None]
            for output in found.keys() & arrays.keys():
                limit = DEPTH_LIMIT
                if not output.startswith('depth'):
                    limit = limit_of(output.removesuffix(f'_{name}')) or 0.0
                yield compare(case, output, found[output], arrays[output], limit)


def _clustering(case: str, arrays: Arrays, _folder: Path) -> Iterator[Comparison]:
    dynamic = torch.from_numpy(arrays['dyn_map'])
    own = kmeans(torch.from_numpy(arrays['features']).flatten(0, 2), FEATURE_CLUSTERS).labels
    labels = {
        'normalised_map_fixed_labels': torch.from_numpy(arrays['fixed_labels']),
        'normalised_map_sklearn': own.view_as(dynamic),
    }
    for name, label in labels.items():
        found = cluster_saliency(dynamic, label)
        yield compare(case, name, found, arrays[name], CUE_LIMIT)
    yield _partition(case, 'sklearn_labels', own.numpy(), arrays['sklearn_labels'].ravel())


def _multi_otsu(case: str, arrays: Arrays, folder: Path) -> Iterator[Comparison]:
    expected = json.loads((folder / f'{case}.json').read_text())
    for name, wanted in expected['results'].items():
        values = torch.from_numpy(arrays[name])
        for classes, split in wanted['per_class_count'].items():
            found = multi_otsu(histogram(values), int(classes))
            yield compare(name, 'thresholds', found, np.array(split['thresholds']), EXACT)
            score = np.array([class_score(values, found)])
            if np.isfinite(split['score']):
                yield compare(name, 'scores', score, np.array([split['score']]), EXACT)
        threshold = motion_threshold(values)
        yield compare(
            name, 'threshold', np.array([threshold]), np.array([wanted['threshold']]), EXACT
        )
        differing = abs(int((values > threshold).sum()) - wanted['mask_pixels'])
        yield Comparison(name, 'mask_pixels', differing / values.numel(), PIXELS)
    for name in (name for name in arrays if name.startswith('edge_')):
        try:
            motion_threshold(torch.from_numpy(arrays[name]))
            yield Comparison(name, 'edge cases', np.inf, 0.0, 'no error was raised')
        except ValueError:
            yield Comparison(name, 'edge cases', 0.0, 0.0)
    height, width = map(int, arrays['up_full_hw'])
    large = enlarge(torch.from_numpy(arrays['up_source_map']), height, width)
    full = arrays['up_full']
    yield compare(case, 'up_full', large[: len(full)], full, CUE_LIMIT)


def _refinement(case: str, arrays: Arrays, _folder: Path) -> Iterator[Comparison]:
    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(arrays[name])

    clip = RefinementClip(
        images=tensor('images'),
        depth=tensor('depth'),
        mask=tensor('coarse_masks'),
        world_from_camera=tensor('cam2world').double(),
        intrinsics=tensor('intrinsics').double(),
        layout=CellLayout.sequence(len(arrays['depth'])),
    )
    points, labels = clip.points(), arrays['labels'].astype(np.int64)
    yield compare(case, 'world_points', points, arrays['world_points'], EXACT)
    for cell, of_cell in enumerate(labels):
        losses = cluster_losses(clip, points, torch.from_numpy(of_cell), cell)
        terms = np.stack([losses.depth, losses.colour, losses.total], axis=-1)
        wanted = arrays['cluster_losses'][cell, : len(terms)]
        yield compare(f'frame {cell}', 'cluster_losses', terms, wanted, LOSS_LIMIT)
        chosen, frame = select(of_cell, losses), f'frame {cell}'
        wanted = arrays['selected_before_morphology'][cell]
        yield _pixels(frame, 'selected_before_morphology', chosen, wanted)
        wanted = arrays['refined_masks'][cell]
        yield _pixels(frame, 'refined_masks of labels', tidy(chosen), wanted)
    own = np.minimum(candidate_labels(clip, points), 0)  # clusters may come in another order
    yield _pixels(case, 'labels', own, np.minimum(labels, 0))
    yield _pixels(case, 'refined_masks', refine_released(clip), arrays['refined_masks'])


def _pipeline(case: str, arrays: Arrays, folder: Path) -> Iterator[Comparison]:
    images = torch.from_numpy(arrays['images'])[0]
    rows = arrays['dyn_map'].shape[1]
    network = _network_for(folder, None, patch=images.shape[-2] // rows)
    motion = clip_motion(network, images)
    cameras, depth = motion.cameras, motion.depth
    given = cluster_saliency(motion.dynamic, torch.from_numpy(arrays['cluster_labels']).long())
    found: dict[str, tuple[torch.Tensor, float]] = {
        'dyn_map': (motion.dynamic, DYNAMIC_LIMIT),
        'normalised_map': (motion.coarse.saliency, DYNAMIC_LIMIT),
        'threshold': (torch.tensor([motion.coarse.threshold]), DYNAMIC_LIMIT),
        'stage1_intrinsic': (cameras.intrinsics, LOSS_LIMIT),
        'stage2_extrinsic': (cameras.camera_from_world, CUE_LIMIT),
        'stage2_cam2world': (cameras.world_from_camera, CUE_LIMIT),
        'depth_frame0': (depth[0], DEPTH_LIMIT),
        'depth_sum_per_frame': (depth.double().sum((1, 2)), DEPTH_LIMIT),
    }
    for name, (value, limit) in found.items():
        yield compare(case, name, value, np.reshape(arrays[name], value.shape), limit)
    wanted = arrays['normalised_map']
    yield compare(case, 'normalised_map of labels', given, wanted, DYNAMIC_LIMIT)
    labels = motion.coarse.labels.numpy().ravel()
    yield _partition(case, 'cluster_labels', labels, arrays['cluster_labels'].ravel())
    yield _pixels(case, 'coarse_masks', motion.coarse.mask, arrays['coarse_masks'])
    yield _pixels(case, 'refined_masks', motion.mask, arrays['refined_masks'])


CASES: Mapping[str, Case] = {
    'cues': _cues,
    'masked_pass': _masked_pass,
    'clustering': _clustering,
    'multi_otsu': _multi_otsu,
    'refinement': _refinement,
    'pipeline': _pipeline,
}


def _pixels(
    case: str,
    output: str,
    found: torch.Tensor | np.ndarray,
    wanted: np.ndarray,
    limit: float = PIXELS,
) -> Comparison:
    """Share of the pixels that differ."""
    value = np.asarray(found)
    if value.shape != wanted.shape:
        note = f'shape {list(value.shape)} instead of {list(wanted.shape)}'
        return Comparison(case, output, np.inf, limit, note)
    return Comparison(case, output, float((value != wanted).mean()), limit, 'share of pixels')


def _partition(case: str, output: str, found: np.ndarray, wanted: np.ndarray) -> Comparison:
    """Share of the tokens outside of the largest common part of their two clusters."""
    sizes = np.zeros((found.max() + 1, wanted.max() + 1), int)
    np.add.at(sizes, (found, wanted), 1)
    differing = 1 - sizes.max(1).sum() / len(found)
    differing = max(differing, 1 - sizes.max(0).sum() / len(found))
    return Comparison(case, output, float(differing), PIXELS, 'share of tokens')


def _network_for(folder: Path, width: int | None, patch: int | None = None) -> Network:
    """The network whose answers the fixtures are.

    Raises FileNotFoundError where no folder beside the fixtures has one of that width.
    """
    folder = folder.resolve()
    places = [folder, folder.parent / WEIGHTS, *sorted(folder.parent.iterdir())]
    for place in places:
        if not (place / 'weights.safetensors').is_file():
            continue
        network = load_network(place / 'weights.safetensors')
        trunk = network.config.trunk
        fits = network.config.temporal is None and width in (None, trunk.dim)
        if fits and patch in (None, trunk.patch):
            return network
    raise FileNotFoundError(
        f'{folder}: the network of these fixtures is missing; put config.json and '
        f'weights.safetensors into {folder.parent / WEIGHTS}'
    )
