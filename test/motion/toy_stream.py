"""Windows over a synthetic recording with true geometry, and cues that respond to true motion."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.poses import invert, transform
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.motion.cues import CueMaps
from fourd_perception.motion.live import Observation
from fourd_perception.motion.residual_flow import ego_flow, per_token
from fourd_perception.motion.windows import cue_windows
from fourd_perception.synthetic.motion import Motion
from fourd_perception.synthetic.pinhole import pixel_grid, pixels_of
from fourd_perception.synthetic.recording import make_recording, SyntheticRecording
from fourd_perception.synthetic.scene import Body
from fourd_perception.synthetic.textures import Texture
import numpy as np
import torch

PATCH, WIDTH, HEIGHT = 8, 96, 72
FLOW_NOISE, CUE_NOISE = 0.15, 0.15


@dataclass(frozen=True)
class UntilStop(Motion):
    """A motion that ends at a time and stays."""

    stop: float = 1.0

    def pose(self, seconds):
        return super().pose(min(seconds, self.stop))


def still_room(seconds: float, seed: int = 0) -> SyntheticRecording:
    """The procedural room at 10 Hz, seen by a moving camera, with nothing that moves in it."""
    made = make_recording(kind='room', cameras=1, seconds=seconds, rate=10.0, seed=seed)
    bodies = tuple(
        replace(body, motion=UntilStop(**vars(body.motion), stop=0.0)) for body in made.bodies
    )
    return replace(made, bodies=bodies)


def ball_scene(seconds: float, stop: float, cameras: int = 1) -> SyntheticRecording:
    """A ball that swings before a wall and a box until `stop`; the rig sways all the time."""
    plain = Texture('plain', ((0.8, 0.2, 0.2), (0.2, 0.2, 0.8)))
    swing = UntilStop((4.0, 0.0, 0.0), sway=(0.0, 1.0, 0.4), sway_period=2.5, stop=stop)
    bodies = (
        Body('ball', 'ellipsoid', (0.7, 0.7, 0.7), plain, swing),
        Body('box', 'box', (0.5, 0.6, 0.6), plain, Motion((6.0, 2.2, -1.0))),
        Body('wall', 'box', (1.0, 50.0, 50.0), plain, Motion((11.0, 0.0, 0.0))),
    )
    forward = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    rig = {
        f'eye{i}': CameraModel(
            name=f'eye{i}',
            width=WIDTH,
            height=HEIGHT,
            intrinsics=np.array([[70.0, 0, WIDTH / 2], [0, 70.0, HEIGHT / 2], [0, 0, 1]]),
            base_from_camera=transform(forward, np.array([0.0, 0.3 * i, 0.0])),
        )
        for i in range(cameras)
    }
    stamps = tuple(1_700_000_000_000_000_001 + k * 100_000_000 for k in range(int(10 * seconds)))
    sway = Motion((0.0, 0.0, 0.0), sway=(0.5, 0.4, 0.2), sway_period=3.1)
    return SyntheticRecording(
        'ball', bodies, (0.0, 0.0, 3.0), rig, sway, dict.fromkeys(rig, stamps)
    )


@dataclass
class Toy:
    """Cells of a recording as a network with perfect geometry and honest cues would see them."""

    recording: SyntheticRecording
    seed: int = 0

    def __post_init__(self):
        self.random = np.random.default_rng(self.seed)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.known, self.pairs, self.moved = {}, {}, {}

    def stamp(self, index: int, camera: str) -> int:
        return self.recording.stamps(camera)[index]

    def cell(self, camera: str, index: int):
        """Camera model, hits, depth, token features of one frame; made once."""
        if (camera, index) not in self.known:
            model = self.recording.cameras[camera].resized(WIDTH, HEIGHT)
            hits = self.recording.hits(model, self.stamp(index, camera))
            depth = np.nan_to_num(hits.depth, nan=60.0).reshape(HEIGHT, WIDTH)
            body = hits.body.reshape(HEIGHT, WIDTH)[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH]
            one_hot = 3.0 * np.eye(len(self.recording.bodies) + 1)[body]
            rows, columns = np.indices(body.shape)
            place = np.stack([rows / body.shape[0], columns / body.shape[1]], axis=-1)
            noise = self.random.normal(0, 0.1, (*body.shape, 4))
            features = np.concatenate([one_hot, place, noise], axis=-1)
            self.known[camera, index] = model, hits, depth, features
        return self.known[camera, index]

    def own_motion(self, camera: str, index: int, others: list[int]) -> np.ndarray:
        """Largest own motion of every token, pixels, to other frames of the camera."""
        return np.max([self._moved(camera, index, other) for other in others], axis=0)

    def _moved(self, camera: str, index: int, other: int) -> np.ndarray:
        if (camera, index, other) not in self.moved:
            model, hits, *_ = self.cell(camera, index)
            stamps = self.stamp(index, camera), self.stamp(other, camera)
            pixels = self.recording.displacements(model, hits, *stamps).reshape(HEIGHT, WIDTH)
            tokens = per_token(torch.from_numpy(pixels.astype(np.float32)), PATCH)
            self.moved[camera, index, other] = tokens.numpy()
        return self.moved[camera, index, other]

    def flow(self, camera: str, index: int, other: int) -> torch.Tensor:
        """Noisy flow [2, H, W] to another frame of the camera."""
        model, hits, *_ = self.cell(camera, index)
        stamps = self.stamp(index, camera), self.stamp(other, camera)
        targets = self.recording.targets(model, hits, *stamps)
        flow = (pixels_of(model, targets[:2]) - pixel_grid(model)).reshape(2, HEIGHT, WIDTH)
        return torch.from_numpy(flow + self.random.normal(0, FLOW_NOISE, flow.shape)).float()

    def residual(self, camera: str, index: int, other: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual flow per token [h, w], and the flow per token [2, h, w] in tokens."""
        if (camera, index, other) not in self.pairs:
            self.pairs[camera, index, other] = self._residual(camera, index, other)
        return self.pairs[camera, index, other]

    def _residual(self, camera: str, index: int, other: int) -> tuple[torch.Tensor, torch.Tensor]:
        model, _, depth, _ = self.cell(camera, index)
        poses = [
            self.recording.world_from_camera(camera, self.stamp(i, camera)) for i in (other, index)
        ]
        k = torch.from_numpy(model.intrinsics)[None]
        ego = ego_flow(
            torch.from_numpy(depth)[None],
            k,
            k,
            torch.from_numpy(invert(poses[0]) @ poses[1])[None],
        )[0]
        flow = self.flow(camera, index, other)
        return per_token((flow - ego).norm(dim=0), PATCH), per_token(flow, PATCH) / PATCH

    def observe(self, cameras: list[str], first: int, last: int) -> Observation:
        """The window of the frames first .. last, both in it."""
        indices = range(first, last + 1)
        layout = CellLayout(
            tuple(v for _ in indices for v in range(len(cameras))),
            tuple(t for t in range(len(indices)) for _ in cameras),
        )
        cells = [(cameras[v], first + t) for v, t in zip(layout.view_id, layout.time_id)]
        shape = HEIGHT // PATCH, WIDTH // PATCH
        maps, residuals, flows = [], [], []
        for (camera, index), window in zip(cells, cue_windows(layout)):
            others = [cells[i][1] for i in window]
            moved = self.own_motion(camera, index, others) if others else np.full(shape, np.nan)
            maps.append(self.cues(torch.from_numpy(moved).float()))
            unknown = torch.full(shape, torch.nan)
            back = (unknown, torch.full((2, *shape), torch.nan))
            if index > first:
                back = self.residual(camera, index, index - 1)
            ahead = self.residual(camera, index, index + 1)[0] if index < last else unknown
            residuals.append(torch.fmax(back[0], ahead))
            flows.append(back[1])
        return Observation(
            keys=[(camera, self.stamp(index, camera)) for camera, index in cells],
            layout=layout,
            cues=CueMaps(*(torch.stack(values) for values in zip(*maps))),
            features=torch.stack(
                [torch.from_numpy(self.cell(*cell)[3]).float() for cell in cells]
            ),
            residual=torch.stack(residuals),
            backward=torch.stack(flows),
        )

    def cues(self, moved: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """mean1, mean2, mean3, var1, var3 of tokens that moved by so many pixels, in odd units."""
        strength = (moved / 2).clamp(max=1)

        def noise() -> torch.Tensor:
            return CUE_NOISE * torch.randn(moved.shape, generator=self.generator)

        unknown = 0 * strength  # NaN where there is nothing to compare with
        return (
            40 - 10 * strength + 10 * noise(),
            7 + noise() + unknown,
            90 + 3 * noise() + unknown,
            2 + noise() + unknown,
            1 + strength + noise(),
        )

    def truth(self, camera: str, index: int) -> torch.Tensor:
        """Tokens bool [h, w] that moved more than half a pixel since the frame before."""
        return torch.from_numpy(self.own_motion(camera, index, [index - 1]) > 0.5)
