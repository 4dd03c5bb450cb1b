"""The package as others meet it: built by colcon, set up from nothing, of one version."""

import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import fourd_perception
from fourd_perception.installation import share_path
import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(command, **options):
    """Run a command and return its output; a failure shows it."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def install_base(tmp_path_factory):
    """The package, built and installed by `colcon build` into a folder of its own."""
    pytest.importorskip('colcon_core')
    workspace = tmp_path_factory.mktemp('workspace')
    # colcon's setup.py step leaves an egg-info beside the source: build a copy.
    ignored = shutil.ignore_patterns('.*', 'out', 'build', 'install', 'log', '__pycache__')
    shutil.copytree(ROOT, workspace / 'src', ignore=ignored)
    run([sys.executable, '-m', 'colcon', 'build'], cwd=workspace)
    return workspace / 'install'


def installed(install_base, command):
    """Run a shell command in the installed workspace, far from the source."""
    environment = dict(os.environ, PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    line = f'. {install_base}/local_setup.sh && {command}'
    return run(['sh', '-c', line], cwd='/', env=environment)


def test_executables_start_from_the_install_folder(install_base):
    folder = install_base / 'fourd_perception' / 'lib' / 'fourd_perception'
    assert sorted(path.name for path in folder.iterdir()) == [
        'fourd-perception',
        'perception_node',
    ]
    assert 'replay' in installed(install_base, f'{folder}/fourd-perception --help')


def test_installed_code_finds_its_own_files(install_base):
    share = install_base / 'fourd_perception' / 'share' / 'fourd_perception'
    code = "from fourd_perception.installation import share_path; print(share_path('config'))"
    assert installed(install_base, f'python3 -c "{code}"').strip() == str(share / 'config')
    for folder in ('config', 'launch'):
        for path in (ROOT / folder).glob('[!_]*.*'):
            assert (share / folder / path.name).read_bytes() == path.read_bytes()
    place = 'fourd_perception.evaluation.baselines.mean_depth'
    code = f'from {place} import mean_depth; print(mean_depth((4, 4)).shape)'
    assert installed(install_base, f'python3 -c "{code}"').strip() == '(4, 4)'


def test_colcon_test_runs_our_tests(install_base):
    test = 'colcon test --event-handlers console_direct+ --pytest-args test/wire'
    go = f'cd {install_base.parent} && python3 -m'
    assert re.search(r'\d+ passed', installed(install_base, f'{go} {test}'))
    assert '0 failures' in installed(install_base, f'{go} colcon test-result --all')


def test_a_source_tree_serves_its_own_files():
    assert share_path('config/fastdds_shm.xml') == ROOT / 'config' / 'fastdds_shm.xml'
    with pytest.raises(FileNotFoundError, match='config/nothing.yaml'):
        share_path('config/nothing.yaml')


def test_the_version_is_one_and_the_same_everywhere():
    in_setup = re.search(r"version='([\d.]+)'", (ROOT / 'setup.py').read_text()).group(1)
    in_manifest = ET.parse(ROOT / 'package.xml').findtext('version')
    assert in_setup == in_manifest == fourd_perception.__version__


def test_the_set_up_names_all_that_is_missing_at_once(tmp_path):
    (tmp_path / 'sh').symlink_to(shutil.which('sh'))
    check = ROOT / 'standalone' / 'check_machine.sh'
    bare = subprocess.run(
        ['sh', str(check)], env={'PATH': str(tmp_path)}, capture_output=True, text=True
    )
    assert bare.returncode == 1
    packages = bare.stderr.splitlines()[-1].split('apt install ')[1].split()
    assert packages == ['python3', 'python3-venv', 'python3-dev', 'gcc', 'g++']
