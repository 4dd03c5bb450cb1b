"""What the node says of itself, once a second: the statuses on /diagnostics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import os
from pathlib import Path
import time
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from fourd_perception.ros.dds_profile import profile_in_use, shared_memory_shortage

if TYPE_CHECKING:  # torch comes with it, seconds that an unconfigured node need not wait
    from fourd_perception.ros.inference import InferenceReport
    from fourd_perception.ros.pipeline import Pipeline

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
QUIET = 2.0  # seconds without an inference after which the reason is asked for
SILENT = 5.0  # seconds without an image after which a camera is warned of


@dataclass(frozen=True)
class Status:
    """One line of diagnostics."""

    name: str
    level: bytes
    message: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeView:
    """The node as the diagnostics see it.

    state:    lifecycle state
    fault:    why the last transition failed; empty when it did not
    no_clock: whether simulated time is asked for and none has come
    pipeline: None while unconfigured
    """

    state: str
    fault: str
    no_clock: bool
    pipeline: Pipeline | None


def statuses(view: NodeView) -> Iterator[Status]:
    """Every status, the one about the outputs first."""
    yield _outputs(view)
    if view.pipeline is not None:
        for camera in view.pipeline.settings.cameras:
            yield _camera(view.pipeline, camera)
        yield _inference(view.pipeline)
        yield _scale(view.pipeline)
        yield _pose(view.pipeline)
        yield _transforms(view.pipeline)
        yield _weights(view.pipeline)
    yield _transport()


def status_message(status: Status, node_name: str) -> DiagnosticStatus:
    """The status as a message, named `<node>: <status>`."""
    return DiagnosticStatus(
        level=status.level,
        name=f'{node_name}: {status.name}',
        message=status.message,
        hardware_id=node_name,
        values=[KeyValue(key=key, value=str(value)) for key, value in status.values.items()],
    )


def _outputs(view: NodeView) -> Status:
    """Whether anything is published, and if not why not."""
    level, message = _reason(view)
    values: dict[str, object] = {'lifecycle state': view.state}
    if view.pipeline is not None:
        wanted = sorted(output.value for output in view.pipeline.wanted())
        values['wanted'] = ', '.join(wanted) or 'nothing'
    return Status('outputs', level, message, values)


def _reason(view: NodeView) -> tuple[bytes, str]:
    if view.fault:
        return ERROR, view.fault
    if view.pipeline is None or view.pipeline.inference is None:
        return WARN, f'nothing is published: the node is {view.state}'
    pipeline, report = view.pipeline, view.pipeline.inference.report
    if pipeline.foreign:
        return ERROR, pipeline.foreign
    if report.fault:
        return ERROR, f'inference fails: {report.fault}'
    quiet = report.age(time.monotonic()) > QUIET and report.waiting_for
    if not quiet:
        return _publishing(pipeline)
    if not pipeline.wanted():
        return OK, f'nothing is published: waiting for {report.waiting_for}'
    if view.no_clock:
        return WARN, 'nothing is published: use_sim_time is set, but no time comes on /clock'
    return WARN, f'nothing is published: {_missing_input(pipeline) or report.waiting_for}'


def _publishing(pipeline: Pipeline) -> tuple[bytes, str]:
    """What is published, and what is wanted but cannot be given, with the reasons."""
    assert pipeline.inference is not None
    report = pipeline.inference.report
    rate = report.current_rate(time.monotonic())
    message = f'publishing {rate:.1f} times a second' if rate else 'publishing'
    silent = ', '.join(sorted(output.value for output in pipeline.scene.silent))
    reasons = '; '.join(_reasons_for_silence(pipeline, report))
    if silent:
        return WARN, f'{message}; without {silent}: {reasons or "nothing is known of it yet"}'
    if report.scale is not None and not report.scale.metric:
        return WARN, f'{message}; lengths are not metres: {report.scale.reason}'
    return OK, message


def _reasons_for_silence(pipeline: Pipeline, report: InferenceReport) -> Iterator[str]:
    calibrations = pipeline.calibrations.values()
    blank = [c.name for c in calibrations if c.camera is not None and not c.camera.calibrated]
    if report.window_fill < 2:
        yield 'masks and flow begin with the second slice of a window'
    if report.scale is not None and not report.scale.metric:
        yield (
            f'there is no metric scale ({report.scale.reason}); allow_unscaled publishes depth, '
            'clouds, poses and TF all the same'
        )
    if blank:
        yield f'{", ".join(blank)} uncalibrated; depth and clouds need CameraInfo'
    if pipeline.transforms.lagging:
        yield pipeline.transforms.lagging


def _missing_input(pipeline: Pipeline) -> str:
    """Why no camera delivers, where that is so."""
    assert pipeline.inputs is not None
    now = time.monotonic()
    reasons = []
    for camera in pipeline.settings.cameras:
        age = pipeline.intake.arrivals[camera].age(now)
        fault = pipeline.calibrations[camera].fault
        if age is not None and age < QUIET and not fault:
            return ''
        reasons.append(pipeline.inputs.images[camera].problem or fault or f'{camera} is silent')
    return '; '.join(reasons)


def _camera(pipeline: Pipeline, camera: str) -> Status:
    now = time.monotonic()
    arrivals, calibration = pipeline.intake.arrivals[camera], pipeline.calibrations[camera]
    age = arrivals.age(now)
    values: dict[str, object] = {
        'rate (Hz)': f'{arrivals.rate(now):.1f}',
        'age (s)': 'never seen' if age is None else f'{age:.2f}',
        **pipeline.intake.ledger.counts(camera),
        'last refused image': pipeline.refused.get(camera, ''),
        'last event': pipeline.last_event.get(camera, ''),
    }
    level, message = OK, 'delivers'
    if calibration.camera is not None and not calibration.camera.calibrated:
        level, message = WARN, 'uncalibrated: masks, labels and flow only, see CameraInfo'
    if pipeline.inputs is not None:
        image = pipeline.inputs.images[camera]
        values |= {'topic': image.topic, 'reliability': image.reliability}
        if age is None or age > SILENT:
            level, message = WARN, image.problem or f'no image for {_seconds(age)}'
        elif calibration.fault:
            level, message = ERROR, calibration.fault
        elif not pipeline.intake.alive(camera):
            level, message = WARN, f'counts as dead: no image for {_seconds(age)}'
        elif level == OK and camera == pipeline.intake.reference:
            message = 'delivers; opens the time slices'
    return Status(f'camera {camera}', level, message, values)


def _seconds(age: float | None) -> str:
    return 'any time' if age is None else f'{age:.1f} s'


def _inference(pipeline: Pipeline) -> Status:
    if pipeline.inference is None:
        return Status('inference', OK, 'inactive')
    now, report = time.monotonic(), pipeline.inference.report
    values: dict[str, object] = {
        'inferred': report.inferred,
        'waiting for': report.waiting_for,
        'rate (Hz)': f'{report.current_rate(now):.2f}',
        'window fill': f'{report.window_fill} of {pipeline.settings.window_length}',
        'device': pipeline.device,
        'memory (MiB)': _memory(pipeline.device) >> 20,
    }
    values |= {f'{stage} (ms)': f'{1e3 * s:.1f}' for stage, s in report.seconds.items()}
    if report.fault:
        return Status('inference', ERROR, report.fault, values)
    message = f'waits for {report.waiting_for}' if report.waiting_for else 'runs'
    return Status('inference', OK, message, values)


def _scale(pipeline: Pipeline) -> Status:
    report = None if pipeline.inference is None else pipeline.inference.report
    if report is None or report.scale is None:
        return Status('scale', OK, 'not known yet')
    scale = report.scale
    values = {
        'source': scale.source,
        'metres per unit': f'{scale.value:.6g}',
        'spread': f'{scale.spread:.2g}',
    }
    trouble = '; '.join(filter(None, (scale.reason, *report.warnings)))
    return Status('scale', WARN if trouble else OK, trouble or 'metric', values)


def _pose(pipeline: Pipeline) -> Status:
    """Where the newest motion comes from; what cannot be solved is no fault."""
    report = None if pipeline.inference is None else pipeline.inference.report
    if report is None or report.pose_source is None:
        return Status('pose', OK, 'not known yet')
    source = report.pose_source
    return Status('pose', OK, source.reason or source.source, {'source': source.source})


def _transforms(pipeline: Pipeline) -> Status:
    transforms = pipeline.transforms
    plan = transforms.plan
    values = {
        'mode': 'undecided' if plan is None else plan.mode,
        'why': '' if plan is None else plan.reason,
        'rig': transforms.missing or 'known',
    }
    if plan is not None and plan.error:
        return Status('transforms', ERROR, f'no TF is broadcast: {plan.reason}', values)
    trouble = pipeline.buffer.fault or transforms.lagging or transforms.missing
    return Status('transforms', WARN if trouble else OK, trouble or values['why'], values)


def _weights(pipeline: Pipeline) -> Status:
    assert pipeline.predictor is not None
    info = pipeline.predictor.info
    values = {
        'weights': info.name,
        'licence': info.licence,
        'sha256': info.sha256 or 'no file',
        'parameters': info.parameters,
        'patch (px)': info.patch,
        'masks': info.mask_source or 'none',
        'device': pipeline.device,
    }
    return Status('weights', WARN if info.notice else OK, info.notice or info.name, values)


def _transport() -> Status:
    """Images above half a megabyte need the shared-memory profile, in camera drivers too."""
    profile = profile_in_use(os.environ)
    values = {
        'RMW': os.environ.get('RMW_IMPLEMENTATION', 'default'),
        'Fast DDS profile': profile or 'none',
    }
    shortage = shared_memory_shortage()
    if shortage:
        return Status('transport', WARN, shortage, values)
    if profile is None and 'fastrtps' in os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'):
        return Status(
            'transport',
            WARN,
            'no Fast DDS profile: large images may get lost; set FASTDDS_DEFAULT_PROFILES_FILE to '
            'config/fastdds_shm.xml, for camera drivers too',
            values,
        )
    return Status('transport', OK, 'camera drivers need the same profile', values)


def _memory(device: str) -> int:
    """Bytes held: on the GPU by torch, else by the process."""
    if device.startswith('cuda'):
        import torch

        return torch.cuda.memory_allocated(device)
    resident = int(Path('/proc/self/statm').read_text().split()[1])
    return resident * os.sysconf('SC_PAGE_SIZE')
