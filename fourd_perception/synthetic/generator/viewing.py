"""What arrives at the pixels: samples of rays, their colours, shadows, reflections, sky."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.casting import Beams, cast, MISS
from fourd_perception.synthetic.generator.culling import in_windows
from fourd_perception.synthetic.generator.frames import Frames, pixel_rays, untiled
from fourd_perception.synthetic.generator.mirrors import reflections
from fourd_perception.synthetic.generator.scene import Scenes
from fourd_perception.synthetic.generator.shading import Paint, shade
from fourd_perception.synthetic.generator.shadows import lamps_at, shadowed
from fourd_perception.synthetic.generator.sky import Sky, sky_colours
from fourd_perception.synthetic.generator.stock import stock
import numpy as np
import torch

# The samples of a pixel, one after the other while the shutter is open, and from as many places of
# a lamp that is no point.
_SAMPLES = ((-0.25, -0.25), (0.25, 0.25), (0.25, -0.25), (-0.25, 0.25))
MOMENTS = (-0.375, -0.125, 0.125, 0.375)
_LAMPS = ((1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0))


@dataclass(frozen=True, eq=False)
class Viewing:
    """Scenes ready to be looked at; values per clip are float32.

    shadow, penumbra, mirror: [B], see `Lights`
    caster: bool [B, P]: throws shadows
    """

    seen: Frames
    paint: Paint
    sky: Sky
    shadow: torch.Tensor
    penumbra: torch.Tensor
    mirror: torch.Tensor
    caster: torch.Tensor

    @staticmethod
    def of(scenes: Scenes, seen: Frames) -> Viewing:
        """Put what is drawn onto the device of the frames."""

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values).to(seen.device, torch.float32)

        lights = scenes.lights
        rows = np.take_along_axis(
            scenes.materials.rows(), scenes.bodies.surface[..., None], axis=1
        )
        looks = [scenes.bodies.half, scenes.bodies.kind[..., None], rows]
        return Viewing(
            seen=seen,
            paint=Paint(
                bodies=tensor(np.concatenate(looks, -1)),
                lamp=tensor(lights.lamp),
                lamp_colour=tensor(lights.lamp_colour),
                ambient=tensor(lights.ambient),
                texels=stock(seen.device),
            ),
            sky=Sky(
                *map(tensor, (lights.zenith, lights.horizon, lights.clouds, lights.cloud_tile))
            ),
            shadow=tensor(lights.shadow),
            penumbra=tensor(lights.penumbra),
            mirror=tensor(lights.mirror),
            caster=torch.from_numpy(scenes.bodies.instance > 0).to(seen.device)
            & (tensor(lights.shadow) > 0)[:, None],
        )

    def images(self, size: tuple[int, int]) -> torch.Tensor:
        """RGB float32 [B, V, T, 3, H, W], samples in 0..1."""
        b, v, t, moments = self.seen.shape
        total = torch.zeros((), device=self.seen.device)
        # Samples go together unless time or the lamp tells them apart.
        apart = moments > 1 or bool((self.penumbra > 0).any())
        groups = [(k,) for k in range(4)] if apart else [(0, 1, 2, 3)]
        for group in groups:
            beams = self._beams(group[0] + 1 if moments > 1 else 0, group, size)
            lamp = self._lamp(_LAMPS[group[0]])
            total = total + self._colours(beams, lamp).unflatten(2, (len(group), -1)).sum(2)
        tiles = total.unflatten(0, (b, v, t, -1)).movedim(3, -2)
        return untiled(tiles, size) / len(_SAMPLES)

    def _beams(self, moment: int, samples: tuple[int, ...], size: tuple[int, int]) -> Beams:
        """Rays through samples of all pixels at one moment of the exposure, a beam per tile."""
        seen = self.seen
        rays = torch.cat([pixel_rays(seen.intrinsics, size, _SAMPLES[k]) for k in samples], -1)
        rays = rays[:, :, None].expand(-1, -1, seen.shape[2], -1, -1, -1)
        number = seen.numbers(moment, rays.shape[3])
        rays = rays.flatten(0, 3)
        near = in_windows(seen.outlines, number, rays[:, :2].amin(2), rays[:, :2].amax(2))
        return Beams(number, rays.new_zeros(len(rays), 3), rays, near)

    def _lamp(self, place: tuple[float, float, float]) -> torch.Tensor:
        """Where one place of the lamp is in the world, [B, 3]."""
        lamp = self.paint.lamp
        size = self.penumbra[:, None] * lamp.norm(dim=1, keepdim=True)
        return lamp + size * lamp.new_tensor(place)

    def _colours(self, beams: Beams, lamp: torch.Tensor) -> torch.Tensor:
        """RGB [N, 3, R] in 0..1 of what the beams meet."""
        clip = self.seen.clip(beams.frame)
        length, body = cast(beams, self.seen.forms)
        dark = shadowed(lamps_at(self.seen, lamp, self.caster), beams, length)
        lit = 1 - self.shadow[clip, None] * dark
        world = self.seen.world_from_camera.flatten(0, 3)[beams.frame].float()
        lamp = ((lamp[clip] - world[:, :3, 3])[..., None] * world[:, :3, :3]).sum(1)
        colours = shade(self.seen, self.paint, beams, length, body, lamp, lit)
        shiny = (self.mirror[clip] > 0).nonzero()[:, 0]
        if len(shiny):
            own = Beams(*(values[shiny] for values in vars(beams).values()))
            colours[shiny] = self._mirrored(
                own, lamp[shiny], length[shiny], body[shiny], colours[shiny]
            )
        return self._with_sky(beams, length, colours).clamp(0, 1)

    def _mirrored(
        self,
        beams: Beams,
        lamp: torch.Tensor,
        length: torch.Tensor,
        body: torch.Tensor,
        colours: torch.Tensor,
    ) -> torch.Tensor:
        """The colours, where they are of the ground mixed with what it reflects."""
        ground = (body == 0) & (length < MISS)
        some, onward = reflections(self.seen, beams, ground, length)
        if not len(some):
            return colours
        far, met = cast(onward, self.seen.forms, nearest=1 + 1e-4)
        lit = torch.ones_like(far)
        shown = shade(self.seen, self.paint, onward, far, met, lamp[some], lit)
        shown = self._with_sky(onward, far, shown)
        row = self.seen.forms.unit_from_frame[onward.frame, 0, 8:11]
        normal = row / row.norm(dim=1, keepdim=True)
        steep = (normal[..., None] * onward.directions).sum(1) / onward.directions.norm(dim=1)
        # Schlick's approximation, less steep than that of glass.
        share = 0.3 + 0.7 * (1 - steep.clamp(0, 1)) ** 3
        share = share * self.mirror[self.seen.clip(onward.frame)][:, None] * ground[some]
        colours = colours.clone()
        colours[some] = torch.lerp(colours[some], shown.clamp(0, 1), share[:, None])
        return colours

    def _with_sky(self, beams: Beams, length: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
        """The colours, and the sky where nothing is met."""
        free = length > MISS
        some = free.any(1).nonzero()[:, 0]
        if not len(some):
            return colours
        # Never a single beam, which the kernel would be compiled for anew.
        some = some.repeat(2) if len(some) == 1 else some
        frame = beams.frame[some]
        world = self.seen.world_from_camera.flatten(0, 3)[frame].float()
        clip, directions = self.seen.clip(frame), beams.directions[some]
        compiled = self.seen.forms.compiled
        above = sky_colours(self.sky, clip, world, directions, self.paint.texels, compiled)
        colours[some] = torch.where(free[some, None], above, colours[some])
        return colours
