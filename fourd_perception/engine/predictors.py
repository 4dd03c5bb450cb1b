"""Predictors by the name that the parameter `weights` gives them."""

from __future__ import annotations

from pathlib import Path

from fourd_perception.model.prediction import Predictor


def load_predictor(spec: str, device: str = 'cpu') -> Predictor:
    """The predictor that `weights` names: `untrained:<seed>` or `truth:<recording>`.

    device: torch device. Raises ValueError, which lists what is accepted, for anything else, and
    FileNotFoundError for a recording that is not there.
    """
    kind, _, value = spec.partition(':')
    if kind == 'untrained' and value.isdecimal():
        from fourd_perception.model.tiny import TinyPredictor

        return TinyPredictor(int(value), device)
    if kind == 'truth' and value:
        from fourd_perception.synthetic.truth_predictor import TruthPredictor

        directory = Path(value).expanduser()
        if not directory.is_dir():
            raise FileNotFoundError(
                f'weights {spec!r}: no directory {directory}; give one that `fourd-perception '
                'synth` has written'
            )
        return TruthPredictor.open(directory)
    raise ValueError(
        f'weights {spec!r}: give untrained:<seed>, such as untrained:0, or truth:<recording>, the '
        'directory of a synthetic recording'
    )
