"""What a training of fourd-small leaves is what the rest of the house takes for weights."""

from __future__ import annotations

from pathlib import Path

from fourd_perception import cli
from fourd_perception.engine.predictors import load_predictor
from fourd_perception.model.checkpoints import load_any
from fourd_perception.training.training_log import read_log
import torch

TEXT = """\
task:
  kind: small
  network: {dim: 32, heads: 2, stem: [8, 8, 16], encoder_depth: 1, pairs: 1, temporal_depth: 1,
            camera_depth: 1, decoder: [16, 8], mask: 8, flow: {width: 32}}
  stages: [{size: [48, 64]}]
steps: 2
batch: 2
device: cpu
validation_samples: 1
weights_dtype: fp32
licence: Apache-2.0
"""


def test_files_of_a_training_are_weights(tmp_path: Path, capsys):
    (tmp_path / 'narrow.yaml').write_text(TEXT)
    out = tmp_path / 'out'
    assert cli.main(['train', str(tmp_path / 'narrow.yaml'), '--out', str(out)]) == 0
    *_, validation = read_log(out / 'log.jsonl')
    assert validation['errors']['abs_rel'] > 0
    for weights in ('last.pt', 'weights'):
        capsys.readouterr()
        assert cli.main(['weights', 'check', str(out / weights)]) == 0
        said = capsys.readouterr().out
        assert 'layout      fourd-small' in said and 'licence     Apache-2.0' in said
        load_predictor(str(out / weights))
    newest = load_any(out / 'last.pt').state_dict()
    shipped = load_any(out / 'weights' / 'model.safetensors').state_dict()
    assert all(torch.equal(newest[name], tensor) for name, tensor in shipped.items())
