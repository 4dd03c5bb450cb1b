"""`weights fetch` against a stand-in for the model hub on this machine."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import os
from pathlib import Path
import subprocess
import sys
from threading import Thread

from fourd_perception.model.public_checkpoints import local_file, named, PUBLIC
from network_fixtures import random_state, vggt_values
import pytest
from safetensors.torch import save

pytest.importorskip('huggingface_hub', reason='huggingface_hub is not installed')

VALUES = vggt_values(16, 2, 4, 1, [0, 1, 2, 3])
COMMIT = '1' * 40


class Hub:
    """A model hub with one repository, `lab/small`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.told = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f'http://127.0.0.1:{self.server.server_address[1]}'

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        path = request.path.split('?')[0]
        self.asked.append(f'{request.command} {path}')
        name = path.rsplit('/', 1)[-1]
        if path.startswith('/api/models/lab/small'):
            self.reply(request, 200, json.dumps(self.model()).encode(), body=body)
        elif path == f'/lab/small/resolve/{COMMIT}/{name}' and name in self.files:
            headers = {'ETag': f'"{self.told[name]}"', 'X-Repo-Commit': COMMIT}
            self.reply(request, 200, self.files[name], headers, body)
        else:
            self.reply(request, 404, b'', {'X-Error-Code': 'RepoNotFound'}, body)

    def model(self) -> dict:
        siblings = [
            {
                'rfilename': name,
                'size': len(data),
                'lfs': {'size': len(data), 'sha256': self.told[name], 'pointerSize': 100},
            }
            for name, data in self.files.items()
        ]
        card = {'license': 'other', 'license_name': 'lab-licence'}
        return {'id': 'lab/small', 'sha': COMMIT, 'siblings': siblings, 'cardData': card}

    @staticmethod
    def reply(request, status: int, data: bytes, headers=None, body: bool = True) -> None:
        request.send_response(status)
        for name, value in {'Content-Length': str(len(data)), **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub whose only weights are a small VGGT."""
    hub = Hub({'model.safetensors': save(random_state(VALUES)), 'README.md': b'hello'})
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def weights(hub: Hub, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the real command with a hub and a folder for weights of its own."""
    environment = os.environ | {
        'HF_ENDPOINT': hub.address,
        'HF_HOME': str(folder / 'hf'),
        'FOURD_PERCEPTION_WEIGHTS': str(folder / 'weights'),
        'HF_HUB_DISABLE_TELEMETRY': '1',
    }
    command = [sys.executable, '-m', 'fourd_perception.cli', 'weights', *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)


def test_a_repository_is_fetched_verified_and_then_used_by_its_id(hub, tmp_path, monkeypatch):
    done = weights(hub, tmp_path, 'fetch', 'lab/small')
    assert done.returncode == 0, done.stderr
    for words in ('lab-licence', hub.told['model.safetensors'], 'model.safetensors', 'verified'):
        assert words in done.stdout
    monkeypatch.setenv('FOURD_PERCEPTION_WEIGHTS', str(tmp_path / 'weights'))
    file = local_file('lab/small')
    assert file.read_bytes() == hub.files['model.safetensors']
    assert local_file('lab/small:model.safetensors') == file
    file.with_name('config.json').write_text(json.dumps(VALUES))
    asked = len(hub.asked)
    check = weights(hub, tmp_path, 'check', 'lab/small')
    assert check.returncode == 0, check.stderr
    assert 'lab-licence' in check.stdout and hub.told['model.safetensors'] in check.stdout
    assert len(hub.asked) == asked  # nothing but fetch asks anybody


def test_a_file_that_does_not_verify_is_removed(hub, tmp_path):
    hub.told['model.safetensors'] = 'f' * 64
    done = weights(hub, tmp_path, 'fetch', 'lab/small')
    assert done.returncode == 2
    assert 'was removed' in done.stderr and 'f' * 64 in done.stderr
    assert not any(p.is_file() for p in (tmp_path / 'weights/lab/small').glob('*'))


def test_what_is_not_there_is_said_in_one_line(hub, tmp_path):
    def said(*arguments: object) -> str:
        done = weights(hub, tmp_path, *arguments)
        assert done.returncode == 2, done.stdout
        assert 'Traceback' not in done.stderr
        return done.stderr.strip().splitlines()[-1]

    assert 'lab/none' in said('fetch', 'lab/none')
    assert 'no file other.pt; there are README.md, model' in said('fetch', 'lab/small:other.pt')
    assert 'weights fetch lab/small' in said('check', 'lab/small')
    assert 'vggt-1b' in said('fetch', 'vggt 1b')
    hub.files = {'a.pt': b'', 'b.pt': b''}
    hub.told = {'a.pt': '', 'b.pt': ''}
    assert 'there are: a.pt, b.pt; choose one as lab/small:FILE' in said('fetch', 'lab/small')


def test_the_list_names_licences_and_what_is_here(hub, tmp_path):
    done = weights(hub, tmp_path, 'list')
    assert done.returncode == 0 and not hub.asked
    for name, public in PUBLIC.items():
        assert name in done.stdout and public.repo in done.stdout
    assert '7.22 GB' in done.stdout and 'b6be863f' in done.stdout
    assert named('lab/small:a.pt').file == 'a.pt'
