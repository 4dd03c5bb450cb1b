"""What a network costs: time, FLOPs and peak memory of every stage, beside a plain forward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import re
from statistics import median
import time

from fourd_perception.evaluation.bench_stages import (
    BenchSettings,
    flow_pairs,
    random_images,
    Stage,
)
from fourd_perception.evaluation.plain_network import plain_network
from fourd_perception.evaluation.small_forward import SmallForward
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.network import Features, Network, SizeTables
from fourd_perception.model.precision import placed
from fourd_perception.model.presets import NetworkConfig, PRESETS
from fourd_perception.model.small.config import SMALL_PRESETS, SmallConfig
from fourd_perception.model.small.network import FourdSmall
from fourd_perception.model.untrained import untrained_network, untrained_small
import numpy as np
import torch
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.utils.flop_counter import FlopCounterMode

# What an H200 multiplies in large bf16 matrices, FLOP/s; the limits of published comparisons.
GPU_RATE = 790e12
DENSE = {'depth': 'depth_head', 'points': 'point_head', 'mask': 'mask_head'}


@dataclass(frozen=True)
class Cost:
    """Of one stage: seconds, FLOPs, and the most memory in use while it ran, weights included."""

    seconds: float
    flops: int
    peak: int


class Forward:
    """One window through a network, stage by stage."""

    def __init__(self, network: Network, settings: BenchSettings, autocast: bool) -> None:
        self.network, self.autocast = network, autocast
        self.views = settings.views
        present = np.ones((settings.views, settings.times), bool)
        self.layout = CellLayout.of_grid(present, (0, 0))
        size = settings.height, settings.width
        device = network.cross_view_global_fusion.camera_token.device
        self.images = random_images(settings, device)
        self.tables: SizeTables = network.tables(*size)
        self.features: Features | None = None
        self.results: dict[str, torch.Tensor] = {}

    def stages(self) -> Iterator[tuple[str, Stage, Stage]]:
        """Name, the stage for a whole window, and what is left of it for the next window."""
        yield 'encode', partial(self._encode, self.images), self._encode_newest
        yield 'trunk', self._trunk, self._trunk
        yield 'cameras', self._cameras, self._cameras
        for name, head in DENSE.items():
            if head in self.network.dense_head:
                newest = slice(-self.views, None)
                yield name, partial(self._dense, head), partial(self._dense, head, newest)
        flow, pairs = self.network.flow_module, len(self.layout) - self.views
        if flow is not None and pairs:
            run = partial(flow_pairs, flow, self.images, self.views)
            yield 'flow', partial(run, pairs), partial(run, self.views)

    def _encode(self, images: torch.Tensor) -> None:
        with self._casting():
            tokens = self.network.encode(images, self.tables)
        if images is self.images:
            self.patches = tokens

    def _encode_newest(self) -> None:
        self._encode(self.images[:, -self.views :])

    def _trunk(self) -> None:
        self.features = None  # what the last run left behind is not this one's
        with self._casting():
            self.features = self.network.trunk(self.patches, self.layout, self.tables)

    def _cameras(self) -> None:
        assert self.features is not None
        self.results['cameras'] = self.network.cameras(self.features)[-1]

    def _dense(self, head: str, cells: slice | None = None) -> None:
        assert self.features is not None
        maps = self.network.dense(head, self.features, self.tables, cells)
        if cells is None:
            self.results[head] = maps

    def _casting(self) -> AbstractContextManager[object]:
        if not self.autocast:
            return nullcontext()
        return torch.autocast(self.images.device.type, torch.bfloat16)


@torch.no_grad()
def bench_model(settings: BenchSettings) -> Iterator[str]:
    """Lines of a report, each as soon as it is known. Weights are drawn from the seed.

    Raises ValueError for a preset, a grid, a size or a device that is none.
    """
    configs: dict[str, NetworkConfig | SmallConfig] = {**PRESETS, **SMALL_PRESETS}
    if settings.preset not in configs:
        raise ValueError(f'preset {settings.preset!r}; use one of {", ".join(configs)}')
    config = configs[settings.preset]
    device = _device(settings.device)
    network = placed(_drawn(config, settings.seed), device, 'fp32')
    parameters = sum(p.numel() for p in network.parameters())
    yield (
        f'{settings.preset}: {parameters:,} parameters, {settings.views} x {settings.times} at '
        f'{settings.width}x{settings.height}, {_machine(device)}'
    )
    flops = _flops(config, settings)
    forward = _forward(network, settings, autocast=False)
    yield from _table('fp32', forward, flops, settings)
    if isinstance(forward, Forward):
        yield from _beside_plain(forward.network.config, forward, settings)
    if settings.precision == 'bf16':
        placed(network, device, 'bf16')
        half = _forward(network, settings, autocast=True)
        yield from _table('bf16 encoder and trunk, fp32 heads', half, flops, settings)
        errors = _errors(half.results, forward.results)
        yield f'bf16 against fp32, largest |a - b| / max(1, |b|): {errors}'


def _drawn(config: NetworkConfig | SmallConfig, seed: int) -> Network | FourdSmall:
    if isinstance(config, NetworkConfig):
        return untrained_network(config, seed)
    return untrained_small(config, seed)


def _forward(
    network: Network | FourdSmall, settings: BenchSettings, autocast: bool
) -> Forward | SmallForward:
    if isinstance(network, Network):
        return Forward(network, settings, autocast)
    return SmallForward(network, settings, autocast)


def _table(
    title: str,
    forward: Forward | SmallForward,
    flops: Mapping[str, tuple[int, int]],
    settings: BenchSettings,
) -> Iterator[str]:
    limits = forward.images.is_cuda
    yield ''
    yield title
    names = ['stage', 'window ms', 'GFLOP', 'next ms', 'GFLOP', 'peak MB']
    names += ['limit ms', 'next limit'] if limits else []
    yield _row(names)
    total = np.zeros(5)
    for name, whole, rest in forward.stages():
        first = measured(whole, flops[name][0], settings)
        following = first if rest == whole else measured(rest, flops[name][1], settings)
        peak = max(first.peak, following.peak)
        figures = [first.seconds, first.flops, following.seconds, following.flops]
        total[:4] += figures
        total[4] = max(total[4], peak)
        yield _figures(name, [*figures, peak], limits)
    yield _figures('all', list(total), limits)


def _figures(name: str, figures: list[float], limits: bool) -> str:
    seconds, flops, next_seconds, next_flops, peak = figures
    texts = [f'{1e3 * seconds:.1f}', f'{flops / 1e9:.1f}']
    texts += [f'{1e3 * next_seconds:.1f}', f'{next_flops / 1e9:.1f}', f'{peak / 1e6:.0f}']
    if limits:
        texts += [f'{1e3 * flops / GPU_RATE:.1f}', f'{1e3 * next_flops / GPU_RATE:.1f}']
    return _row([name, *texts])


def _row(texts: list[str]) -> str:
    return f'{texts[0]:<8}' + ''.join(f'{text:>12}' for text in texts[1:])


def _beside_plain(
    config: NetworkConfig, forward: Forward, settings: BenchSettings
) -> Iterator[str]:
    """The plain forward of the same weights, which gives cameras, depth and points."""
    plain = plain_network(config, forward.network)
    yield ''
    if plain is None:
        yield 'no plain forward: it is in the source tree, and is of networks with points'
        return
    answer: dict[str, torch.Tensor] = {}

    def run() -> None:
        with torch.device(forward.images.device):
            answer.update(plain(forward.images))

    shared = ('encode', 'trunk', 'cameras', 'depth', 'points')
    stages = [whole for name, whole, _ in forward.stages() if name in shared]
    ours = measured(lambda: [stage() for stage in stages], 0, settings)
    theirs = measured(run, 0, settings)
    depth = torch.cat([answer['depth'][..., 0], answer['depth_conf'] - 1]).log()
    same = {'cameras': answer['pose_enc'], 'depth_head': depth.movedim(0, 1)[None]}
    errors = 'as of one camera, so numbers differ'
    if settings.views == 1 or config.temporal is None:
        errors = _errors(same, forward.results)
    yield (
        f'{", ".join(shared)}: {1e3 * ours.seconds:.1f} ms, peak {ours.peak / 1e6:.0f} MB; plain '
        f'unfused forward {1e3 * theirs.seconds:.1f} ms ({theirs.seconds / ours.seconds:.2f} x), '
        f'peak {theirs.peak / 1e6:.0f} MB; difference: {errors}'
    )


def _errors(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> str:
    """Of raw outputs: pose encodings; logarithms of depth and confidence, logits."""
    return ', '.join(
        f'{name} {float(((a[name] - b[name]).abs() / b[name].abs().clamp(min=1)).max()):.1e}'
        for name in a
    )


def measured(stage: Stage, flops: int, settings: BenchSettings) -> Cost:
    """Median seconds of `repeats` runs, after one to warm up when there are more than one.

    On a CPU these are of processor time, so that a busy machine measures as an idle one does.
    """
    device = torch.device(settings.device)
    if settings.repeats > 1:
        stage()
    _reset_peak(device)
    seconds = []
    for _ in range(settings.repeats):
        start = _now(device)
        stage()
        seconds.append(_now(device) - start)
    return Cost(median(seconds), flops, _peak(device))


def _now(device: torch.device) -> float:
    if device.type != 'cuda':
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def _reset_peak(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path('/proc/self/clear_refs').write_text('5')  # the peak starts from what is used now


def _peak(device: torch.device) -> int:
    """Bytes: allocated on a GPU; resident of the process on a CPU."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    status = Path('/proc/self/status').read_text()
    found = re.search(r'VmHWM:\s+(\d+) kB', status)
    assert found is not None
    return 1024 * int(found[1])


def _flops(
    config: NetworkConfig | SmallConfig, settings: BenchSettings
) -> dict[str, tuple[int, int]]:
    """Of every stage, for a whole window and for the next.

    Counted without computing anything, but for the small network: it switches autocast, which
    shapes alone do not know. Attention is counted as the products that it is made of.
    """
    forward: Forward | SmallForward
    if isinstance(config, NetworkConfig):
        with torch.device('meta'):
            network = Network(config)
        forward = Forward(network.to('meta').eval(), settings, autocast=False)
    else:
        forward = SmallForward(FourdSmall(config).eval(), settings, autocast=False)
    counts = {}
    with sdpa_kernel(SDPBackend.MATH):
        for name, whole, rest in forward.stages():
            counts[name] = _counted(whole), _counted(rest)
    return counts


def _counted(stage: Stage) -> int:
    with FlopCounterMode(display=False) as counter:
        stage()
    return int(counter.get_total_flops())


def _device(name: str) -> torch.device:
    """The device of that name; ValueError where this machine has none."""
    if name.startswith('cuda') and not torch.cuda.is_available():
        raise ValueError(f'device {name!r}: torch finds no GPU here; use cpu')
    try:
        return torch.empty(0, device=name).device
    except RuntimeError as error:
        raise ValueError(f'device {name!r}: give cpu or cuda') from error


def _machine(device: torch.device) -> str:
    if device.type == 'cuda':
        return f'{torch.cuda.get_device_name(device)}, torch {torch.__version__}'
    return f'CPU (processor time), {torch.get_num_threads()} threads, torch {torch.__version__}'
