"""The perception node as a process of its own, for `replay` and for the tests."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from fourd_perception.ros.dds_profile import shm_environment
import yaml


def node_environment(domain_id: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, on one DDS domain of this host, with the shared-memory profile.

    extra: variables that win over everything else.
    """
    env = dict(os.environ)
    env |= {
        'ROS_DOMAIN_ID': str(domain_id),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONUNBUFFERED': '1',
    }
    return env | shm_environment(env) | dict(extra or {})


class NodeProcess:
    """`perception_node` with the given parameters, from `__enter__` to `__exit__`.

    params:    dotted names to values, as in a parameter file
    domain_id: ROS_DOMAIN_ID
    env:       variables on top of `node_environment`
    remap:     names of topics or of the node (`__node`, `__ns`) to new names
    log_path:  where stdout and stderr go; a temporary file when None

    Leaving the block sends SIGINT and waits; a node that does not stop within 5 s is killed and
    `returncode` tells it (-9). The text of the log stays readable afterwards.
    """

    STOP_SECONDS = 5.0

    def __init__(
        self,
        params: Mapping[str, Any],
        domain_id: int,
        env: Mapping[str, str] | None = None,
        remap: Mapping[str, str] | None = None,
        log_path: Path | None = None,
    ) -> None:
        self._params = dict(params)
        self._env = node_environment(domain_id, env)
        self._remap = dict(remap or {})
        self._directory = tempfile.TemporaryDirectory(prefix='fourd_perception_')
        self.log_path = log_path or Path(self._directory.name) / 'node.log'
        self._process: subprocess.Popen[bytes] | None = None
        self._final_log: str | None = None

    def __enter__(self) -> NodeProcess:
        params_file = Path(self._directory.name) / 'params.yaml'
        params_file.write_text(yaml.safe_dump({'/**': {'ros__parameters': self._params}}))
        command = [sys.executable, '-m', 'fourd_perception.ros.node', '--ros-args']
        command += ['--params-file', str(params_file)]
        for name, new_name in self._remap.items():
            command += ['-r', f'{name}:={new_name}']
        with self.log_path.open('wb') as log:
            self._process = subprocess.Popen(
                command, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self._final_log = self.log
        self._directory.cleanup()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._started().pid

    @property
    def returncode(self) -> int | None:
        """Exit status, None while the process runs."""
        return self._started().poll()

    @property
    def log(self) -> str:
        """Everything that the node has written so far."""
        if self._final_log is not None:
            return self._final_log
        return self.log_path.read_text(errors='replace')

    def wait_for_log(self, text: str, timeout: float = 30.0) -> None:
        """Block until the log holds `text`.

        Raises RuntimeError when the process ends or `timeout` (seconds) passes before.
        """
        deadline = time.monotonic() + timeout
        while text not in self.log:
            ended = self.returncode is not None
            if ended or time.monotonic() > deadline:
                why = f'ended with code {self.returncode}' if ended else f'ran {timeout} s'
                raise RuntimeError(f'the node {why} without writing {text!r}:\n{self.log}')
            time.sleep(0.02)

    def send(self, number: int) -> None:
        """Send a signal, such as `signal.SIGINT`."""
        if self.returncode is None:
            self._started().send_signal(number)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal, wait for the end and return the exit status."""
        process = self._started()
        self.send(number)
        try:
            return process.wait(self.STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError('the node process is not started; enter the `with` block first')
        return self._process
