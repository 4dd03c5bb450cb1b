"""What each part is worth: `python -m fourd_perception.training.ablations --data DATA`.

Trains fourd-small for a few minutes as a whole, and again without each of its parts: first a flow
module (its own where the part is one of flow, else the one of the whole), then trunk and masks
around it. Scores all of them on procedural clips, and on the real recordings of DATA, and prints
the table (training.md 3.13). What is already trained or scored in OUT is left as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
import subprocess
import sys
from typing import Any

from fourd_perception.model.checkpoint_parts import written
import yaml

OUT = Path('out/ablations')
SIZE = [96, 128]


@dataclass(frozen=True)
class Variant:
    """Changes of the whole: of the flow module, of its training, and of the network around it."""

    flow: Mapping[str, Any] = field(default_factory=dict)
    pairs: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)


VARIANTS = {
    'whole': Variant(),
    'no_fixed_correlation': Variant(flow={'levels': [0, 3]}),
    'no_2d_pairs': Variant(pairs={'layered': 0.0}),
    'no_rays': Variant(network={'rays': False}),
    'no_residual_motion': Variant(network={'residual_motion': False}),
    'no_parallax': Variant(network={'parallax': False}),
}


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--minutes', type=float, default=15.0, help='of each training (15)')
    parser.add_argument('--clips', type=int, default=4, help='scored of each setting (4)')
    parser.add_argument('--data', type=Path, help='real recordings, see `evaluate real --help`')
    parser.add_argument('--out', type=Path, default=OUT, help=f'where all of it goes ({OUT})')
    parser.add_argument('--only', nargs='+', choices=VARIANTS, help='some of the variants')
    arguments = parser.parse_args()
    chosen = {name: VARIANTS[name] for name in arguments.only or VARIANTS}
    for name, variant in chosen.items():
        weights = _trained(name, variant, arguments.minutes, arguments.out)
        for kind in _evaluations(arguments):
            out = arguments.out / name
            if not (out / f'{kind[0]}.json').is_file():
                # Its exit code says whether bars are kept, which is not asked here.
                _run('evaluate', *kind, '--weights', str(weights), '--out', str(out), check=False)
    _run('evaluate', 'table', *(str(arguments.out / name) for name in chosen))


def _evaluations(arguments: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    yield 'synthetic', '--seed', '1', '--clips', str(arguments.clips)
    if arguments.data is not None:
        yield 'real', str(arguments.data)


def _trained(name: str, variant: Variant, minutes: float, out: Path) -> Path:
    """The weights of a variant."""
    own_flow = bool(variant.flow or variant.pairs)
    folder = out / f'{name if own_flow else "whole"}_flow'
    flow, small = configurations(variant, folder / 'weights')
    _training(folder, minutes, flow)
    return _training(out / f'{name}_training', minutes, small)


def configurations(variant: Variant, flow_weights: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the flow module's training, and of the network's around it, but for their length."""
    stage = {'size': SIZE, **variant.pairs}
    flow = {'kind': 'flow', 'compiled': True, 'network': dict(variant.flow), 'stages': [stage]}
    small = {
        'kind': 'small',
        'network': {'flow': dict(variant.flow), **variant.network},
        'source': {'compiled': True},
        'weights': {'flow': 0.0, 'flow_scale': 0.0},
        'stages': [{'size': SIZE, 'motion': 0.5}],
        'grids': {'frames': [2, 3], 'views': 1, 'missing': 0.0, 'strided': 0.0, 'banded': 0.0},
    }
    start = [{'weights': str(flow_weights), 'into': 'flow_module.'}]
    return {'batch': 4, 'rate': 1e-3, 'task': flow}, {
        'batch': 8,
        'task': small,
        'start_from': start,
    }


def _training(out: Path, minutes: float, configuration: Mapping[str, Any]) -> Path:
    """Weights of a training into a folder, which is skipped where it is done and resumed."""
    weights = out / 'weights'
    if written(weights) is None:
        out.mkdir(parents=True, exist_ok=True)
        file = out / 'training.yaml'
        length = {'minutes': minutes, 'validation_minutes': 2 * minutes}
        file.write_text(yaml.safe_dump({**length, **configuration}, sort_keys=False))
        resume = ['--resume'] if (out / 'last.pt').is_file() else []
        _run('train', str(file), '--out', str(out), *resume)
    return weights


def _run(*words: str, check: bool = True) -> None:
    print('fourd-perception', *words, flush=True)
    subprocess.run([sys.executable, '-m', 'fourd_perception.cli', *words], check=check)


if __name__ == '__main__':
    main()
