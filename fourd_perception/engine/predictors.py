"""Predictors by the name that the parameter `weights` gives them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fourd_perception.model.prediction import Predictor

if TYPE_CHECKING:  # torch comes with it
    from fourd_perception.model.network import Network

ACCEPTED = (
    'give untrained:<seed>, such as untrained:0; truth:<recording>, the directory of a synthetic '
    'recording; the path of a .safetensors or .pt file; or a name of `fourd-perception weights '
    'list`, or a repository owner/name, that `weights fetch` has brought'
)
UNTRAINED = 'UNTRAINED WEIGHTS: depth, poses, masks and flow mean nothing'


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
    if kind == 'untrained' and value.isdecimal():
        return _untrained(int(value), device, precision, masks)
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


def _untrained(seed: int, device: str, precision: str | None, masks: str) -> Predictor:
    from fourd_perception.model.presets import PRESETS
    from fourd_perception.model.untrained import untrained_network
    from fourd_perception.motion.cue_predictor import network_predictor

    return network_predictor(
        untrained_network(PRESETS['tiny'], seed),
        masks,
        name=f'untrained:{seed}',
        licence='Apache-2.0',
        notice=UNTRAINED,
        device=device,
        precision=precision,
    )


def _checkpoint(spec: str, device: str, precision: str | None, masks: str) -> Predictor:
    from fourd_perception.model.checkpoint_fetch import sha256_of
    from fourd_perception.model.checkpoint_report import licence_of, UNKNOWN
    from fourd_perception.model.checkpoints import load_network, open_checkpoint
    from fourd_perception.model.public_checkpoints import local_file, origin_of
    from fourd_perception.motion.cue_predictor import network_predictor
    import torch

    try:
        path = local_file(spec)
    except ValueError:
        raise ValueError(f'weights {spec!r}: {ACCEPTED}') from None
    origin = origin_of(path)
    licence = licence_of(open_checkpoint(path))
    return network_predictor(
        load_network(path, device, torch.float32),
        masks,
        name=spec,
        licence=licence or UNKNOWN,
        sha256=(origin.sha256 if origin else '') or sha256_of(path),
        device=device,
        precision=precision,
    )


def load_for_clips(spec: str) -> tuple[Network, str]:
    """The bare network behind `weights`, on the CPU, and the words that its results must carry.

    Raises ValueError for anything but untrained:<seed> and checkpoints.
    """
    from fourd_perception.model.checkpoints import load_network
    from fourd_perception.model.presets import PRESETS
    from fourd_perception.model.public_checkpoints import local_file
    from fourd_perception.model.untrained import untrained_network

    kind, _, value = spec.partition(':')
    if kind == 'untrained' and value.isdecimal():
        return untrained_network(PRESETS['tiny'], int(value)), UNTRAINED
    return load_network(local_file(spec)), ''
