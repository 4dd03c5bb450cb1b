"""The tasks that a configuration names as `task: {kind: ...}`, each by its settings."""

from __future__ import annotations

from fourd_perception.training.big import BigSettings
from fourd_perception.training.flow import FlowSettings
from fourd_perception.training.heads import HeadsSettings
from fourd_perception.training.small import SmallSettings
from fourd_perception.training.task import TaskSettings

TASKS: dict[str, type[TaskSettings]] = {
    'big': BigSettings,
    'flow': FlowSettings,
    'heads': HeadsSettings,
    'small': SmallSettings,
}
