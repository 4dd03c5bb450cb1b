"""The configurations of the ablations: each lacks its part and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fourd_perception.training import ablations
from fourd_perception.training.ablations import configurations, VARIANTS
from fourd_perception.training.config import read_config
from fourd_perception.training.flow import FlowSettings
from fourd_perception.training.small import SmallSettings
import pytest
import yaml

LEFT_OUT = {
    'no_fixed_correlation': lambda flow, small: (
        flow.network.levels[0] == 0 and small.network.flow == flow.network
    ),
    'no_2d_pairs': lambda flow, small: all(stage.layered == 0 for stage in flow.stages),
    'no_rays': lambda flow, small: not small.network.rays,
    'no_residual_motion': lambda flow, small: not small.network.residual_motion,
    'no_parallax': lambda flow, small: not small.network.parallax,
}


def tasks(name: str, folder: Path) -> tuple[FlowSettings, SmallSettings]:
    found = []
    for number, content in enumerate(configurations(VARIANTS[name], Path('flow'))):
        file = folder / f'{number}.yaml'
        file.write_text(yaml.safe_dump({'minutes': 1.0, **content}))
        found.append(read_config(file).task)
    flow, small = found
    assert isinstance(flow, FlowSettings) and isinstance(small, SmallSettings)
    return flow, small


@pytest.mark.parametrize('name', VARIANTS)
def test_each_variant_lacks_its_part_alone(name, tmp_path):
    flow, small = tasks(name, tmp_path)
    for part, lacks in LEFT_OUT.items():
        assert lacks(flow, small) == (part == name), part
    whole_flow, whole = tasks('whole', tmp_path)
    assert replace(small, network=whole.network) == whole
    assert replace(flow, network=whole_flow.network, stages=whole_flow.stages) == whole_flow
    assert small.network.flow == flow.network


def test_a_training_cut_off_while_it_wrote_its_weights_is_resumed(tmp_path, monkeypatch):
    for file in (
        'whole_flow/last.pt',
        'whole_flow/weights/model-00001-of-00002.safetensors',
        'whole_training/weights/model.safetensors',
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(ablations, '_run', lambda *words, check=True: asked.append(words))
    monkeypatch.setattr('sys.argv', ['ablations', '--only', 'whole', '--out', str(tmp_path)])
    ablations.main()
    flow = tmp_path / 'whole_flow'
    assert asked[0] == ('train', f'{flow / "training.yaml"}', '--out', str(flow), '--resume')
    assert [words[0] for words in asked[1:]] == ['evaluate', 'evaluate']
