"""Predictors by the name that the parameter `weights` gives them."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any, TYPE_CHECKING

from fourd_perception.model.prediction import Predictor

if TYPE_CHECKING:  # torch comes with it
    from fourd_perception.model.network import Network
    from fourd_perception.model.small.network import FourdSmall

ACCEPTED = (
    'give fourd-small, which ships with the package; untrained:<seed>, such as untrained:0, or '
    'untrained:<preset>:<seed> for another network than tiny; truth:<recording>, the directory of '
    'a synthetic recording; the path of a .safetensors or .pt file; or a name of '
    '`fourd-perception weights list`, or a repository owner/name, that `weights fetch` has brought'
)
UNTRAINED = re.compile(r'untrained:((?P<preset>[^:]+):)?(?P<seed>[0-9]+)')
NOTICE = 'UNTRAINED WEIGHTS: depth, poses, masks and flow mean nothing'


def load_predictor(
    spec: str, device: str = 'cpu', precision: str | None = None, masks: str = 'auto'
) -> Predictor:
    """The predictor that `weights` names.

    device:    torch device
    precision: of encoder and trunk, `fp32` or `bf16`; None: what suits the device
    masks:     where they come from: `head`, `motion_cues` (VGGT4D), `both`, or `auto`: the head if
               the weights have one, else motion cues; the truth of a recording has its own
    Raises ValueError, which lists what is accepted, for anything else, and for weights that fit
    no network; FileNotFoundError for a recording or weights that are not there.
    """
    kind, _, value = spec.partition(':')
    if drawn := UNTRAINED.fullmatch(spec):
        network = _untrained(drawn['preset'] or 'tiny', int(drawn['seed']))
        return _around(
            network,
            masks,
            name=spec,
            licence='Apache-2.0',
            notice=NOTICE,
            device=device,
            precision=precision,
        )
    if kind == 'truth' and value:
        from fourd_perception.synthetic.truth_predictor import TruthPredictor

        directory = Path(value).expanduser()
        if not directory.is_dir():
            raise FileNotFoundError(
                f'weights {spec!r}: no directory {directory}; give one that `fourd-perception '
                'synth` has written'
            )
        return TruthPredictor.open(directory)
    return _checkpoint(spec, device, precision, masks)


def _untrained(preset: str, seed: int) -> Network | FourdSmall:
    from fourd_perception.model.presets import PRESETS
    from fourd_perception.model.small.config import SMALL_PRESETS
    from fourd_perception.model.untrained import untrained_network, untrained_small

    if preset in SMALL_PRESETS:
        return untrained_small(SMALL_PRESETS[preset], seed)
    if preset in PRESETS:
        return untrained_network(PRESETS[preset], seed)
    known = ', '.join((*PRESETS, *SMALL_PRESETS))
    raise ValueError(f'weights untrained:{preset}:{seed}: the presets are {known}')


def _around(network: Network | FourdSmall, masks: str, **options: Any) -> Predictor:
    from fourd_perception.model.network import Network
    from fourd_perception.model.small.predictor import SmallPredictor
    from fourd_perception.motion.cue_predictor import network_predictor

    if isinstance(network, Network):
        return network_predictor(network, masks, **options)
    if masks not in ('auto', 'head'):
        raise ValueError(
            f'masks {masks!r}: these weights are a fourd-small, whose attention has no motion '
            'cues; set masks to auto'
        )
    return SmallPredictor(network, **options)


def _checkpoint(spec: str, device: str, precision: str | None, masks: str) -> Predictor:
    from fourd_perception.model.checkpoint_fetch import sha256_of
    from fourd_perception.model.checkpoint_report import licence_of, UNKNOWN
    from fourd_perception.model.checkpoints import load_any, open_checkpoint
    from fourd_perception.model.public_checkpoints import local_file, origin_of
    import torch

    try:
        path = local_file(spec)
    except ValueError:
        raise ValueError(f'weights {spec!r}: {ACCEPTED}') from None
    origin = origin_of(path)
    licence = licence_of(open_checkpoint(path))
    return _around(
        load_any(path, device, torch.float32),
        masks,
        name=spec,
        licence=licence or UNKNOWN,
        sha256=(origin.sha256 if origin else '') or sha256_of(path),
        device=device,
        precision=precision,
    )


def load_for_clips(spec: str) -> tuple[Network, str]:
    """The bare network behind `weights`, on the CPU, and the words that its results must carry.

    Raises ValueError for anything but untrained weights and checkpoints of a VGGT or 4D-VGGT.
    """
    from fourd_perception.model.checkpoints import load_network
    from fourd_perception.model.network import Network
    from fourd_perception.model.public_checkpoints import local_file

    if drawn := UNTRAINED.fullmatch(spec):
        network = _untrained(drawn['preset'] or 'tiny', int(drawn['seed']))
        if not isinstance(network, Network):
            raise ValueError(f'weights {spec!r}: give a VGGT or 4D-VGGT, such as untrained:0')
        return network, NOTICE
    return load_network(local_file(spec)), ''
