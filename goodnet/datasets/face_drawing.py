"""Shapes of a face, drawn for a whole batch of pictures at once on one pixel grid.

Units: a face is drawn in its own coordinates, u to the right and v down, in which the head is
about 1.6 wide and 2.2 high around (0, 0); `traits["scale"]` says how many pixels one unit is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

HEIGHT: Final = 55
WIDTH: Final = 47

Array = npt.NDArray[np.floating[Any]]  # float32 everywhere
Traits = dict[str, Array]  # numbers as columns (n, 1), colours as (n, 3, 1) in 0..1

_Y, _X = np.divmod(np.arange(HEIGHT * WIDTH, dtype=np.float32)[None], np.float32(WIDTH))
_DARK: Final = np.array([0.09, 0.05, 0.05], np.float32)[:, None]
_WHITE: Final = np.array([0.93, 0.91, 0.88], np.float32)[:, None]
_FRAME: Final = np.array([0.46, 0.18, 0.62], np.float32)[:, None]
_LENS: Final = np.array([0.07, 0.05, 0.10], np.float32)[:, None]
_BLUSH: Final = np.array([0.78, 0.30, 0.27], np.float32)[:, None]


def blob(x: Array, y: Array, width: Array | float, height: Array | float) -> Array:
    """A soft spot: 1 at (0, 0), falling smoothly to 0 on the ellipse `width` by `height`."""
    fall: Array = np.maximum(1 - (x / width) ** 2 - (y / height) ** 2, 0)
    return fall * fall


def locate_eyes(t: Traits) -> Array:
    """Centres of the eyes in pixels, float32 (n, 2, 2): left then right in the picture, (x, y)."""
    uf = np.concatenate([-t["eye_x"], t["eye_x"]], axis=1)
    u = uf
    for _ in range(12):  # the inverse of the turn in Sketch.__init__, a contraction
        u = uf + t["yaw"] * (1 - u * u)
    v = t["eye_y"] + t["pitch"]
    cos, sin = np.cos(t["roll"]), np.sin(t["roll"])
    x = t["centre_x"] + t["scale"] * (cos * u - sin * v)
    y = t["centre_y"] + t["scale"] * (sin * u + cos * v)
    return np.stack([x, y], axis=2)


class Sketch:
    """A batch of pictures being painted, back to front.

    `u, v` are the head's coordinates of every pixel, `x, y` those of the features, which slide
    over the head when it turns; `out` is the distance from the middle line, `side` its sign.
    """

    def __init__(self, traits: Traits) -> None:
        t = self.t = traits
        cos, sin = np.cos(t["roll"]), np.sin(t["roll"])
        du, dv = (_X - t["centre_x"]) / t["scale"], (_Y - t["centre_y"]) / t["scale"]
        self.u, self.v = cos * du + sin * dv, cos * dv - sin * du
        self.x = self.u - t["yaw"] * (1 - np.minimum(self.u * self.u, 1))
        self.y = self.v - t["pitch"]
        self.out, self.side = np.abs(self.x), np.sign(self.x)
        self.colours: Array = np.zeros((len(t["scale"]), 3, HEIGHT * WIDTH), np.float32)

    def inside(self, depth: Array) -> Array:
        """Share 0..1 of each pixel that a shape covers, from the depth below its edge, in units."""
        share: Array = np.clip(0.5 + depth * self.t["scale"], 0, 1)
        return share

    def paint(self, share: Array, colour: Array) -> None:
        """Cover `share` (n, pixels) of every pixel with a colour that broadcasts to (n, 3, 1)."""
        self.colours += share[:, None] * (colour - self.colours)

    def shade(self, amount: Array) -> None:
        """Brighten (above 0) or darken (below 0) every pixel by a factor 1 + `amount`."""
        self.colours *= (1 + amount)[:, None]


def draw_background(s: Sketch) -> None:
    """Paint a wall of two colours, an edge at some angle, and a soft spot."""
    t = s.t
    across = t["wall_cos"] * (_X - 23) + t["wall_sin"] * (_Y - 27)
    s.colours += t["wall"]
    s.paint(np.clip(0.5 + (across - t["wall_edge"]) / t["wall_soft"], 0, 1), t["wall_2"])
    s.paint(0.8 * blob(_X - t["spot_x"], _Y - t["spot_y"], t["spot_r"], t["spot_r"]), t["spot"])


def draw_body(s: Sketch) -> None:
    """Paint the hair behind the head, neck, clothes and ears."""
    t, u, v = s.t, s.u, s.v
    back = 1 - np.sqrt((u / t["back_w"]) ** 2 + (np.minimum(v, 0) / t["hair_top"]) ** 2)
    edge = t["curl"] * np.sin(14 * u + t["strand"]) * np.sin(13 * v)
    fall = s.inside(np.minimum(0.9 * back + edge, 0.5 * (t["back_low"] - v + 2 * edge)))
    s.paint(fall, 0.75 * t["hair"])
    s.paint(s.inside(np.minimum(0.62 * t["head_w"] - np.abs(u), v - 0.6)), 0.72 * t["skin"])
    s.paint(s.inside(v - 1.32 - t["neckline"] * (0.35 - 0.5 * np.abs(u))), t["clothes"])
    ear = ((np.abs(u) - t["head_w"]) / 0.13) ** 2 + ((v - 0.08) / t["ear"]) ** 2
    s.paint(s.inside(0.07 * (1 - ear)) * s.inside(0.2 - fall * t["ear_hidden"]), 0.85 * t["skin"])


def draw_head(s: Sketch) -> Array:
    """Paint the skin with its relief; returns the share of each pixel that is head."""
    t, u, v = s.t, s.u, s.v
    below = np.maximum(v, 0)
    long = (v / np.where(v > 0, t["chin"], 1.13)) ** 2
    boxy = np.where(v > 0, t["jaw"], 0.45)
    level = (u / t["head_w"]) ** 2 * (1 + t["taper"] * below) + long * (1 - boxy + boxy * long)
    head = s.inside(0.45 * (1 - level))
    s.paint(head, t["skin"])
    cheeks = blob(s.out - 0.47, s.y - 0.3, 0.3, 0.24)
    s.paint(t["blush"] * cheeks, _BLUSH)
    relief = 0.05 - 0.26 * np.minimum(level, 1.2) ** 2 + 0.09 * cheeks
    relief += 0.1 * blob(s.x, s.y + 0.6, 0.5, 0.3) + 0.07 * blob(
        s.x, s.y - t["chin"] + 0.2, 0.2, 0.17
    )
    s.shade(head * relief)
    return head


def draw_nose(s: Sketch) -> None:
    """Shade the nose, which sticks out and so slides furthest when the head turns."""
    t = s.t
    x, tip = s.x - 0.45 * t["yaw"], s.y - t["nose_y"]
    wide, away = t["nose_w"], -np.sign(t["light_x"])
    bridge = blob(x, tip + 0.22, 0.5 * wide, 0.42)
    relief = 0.16 * bridge + 0.15 * blob(x, tip + 0.01, 0.6 * wide, 0.1)
    relief -= t["nose_dark"] * blob(x - away * 0.75 * wide, tip + 0.12, 0.55 * wide, 0.34)
    relief -= 0.3 * blob(x, tip - 0.11, 1.1 * wide, 0.07)
    relief -= 0.28 * blob(np.abs(x) - wide, tip - 0.03, 0.05, 0.1)
    relief -= 0.6 * blob(np.abs(x) - 0.5 * wide, tip - 0.085, 0.075, 0.055)
    fold = s.out - 0.2 - 0.42 * (s.y - t["nose_y"])
    relief -= t["age"] * blob(fold, s.y - t["nose_y"] - 0.16, 0.05, 0.24)
    s.shade(relief)


def draw_beard(s: Sketch, head: Array) -> None:
    """Paint beard, goatee and moustache, as far as the person has them."""
    t = s.t
    hairy = t["beard_hair"]
    grain = 0.82 + 0.18 * np.sin(31 * s.x + t["strand"]) * np.sin(27 * s.y)
    along = (s.x / t["head_w"]) ** 2
    line = t["beard_y"] - 0.55 * along * along + 0.25 * np.maximum(0.3 - s.out, 0)
    s.paint(np.clip(4 * (s.y - line), 0, 1) * head * grain * t["beard"], hairy)
    chin = np.clip(2.5 * blob(s.x, s.y - t["mouth_y"] - 0.36, 0.36, 0.34), 0, 1)
    s.paint(chin * head * grain * t["goatee"], hairy)
    lip = s.y - t["mouth_y"] + 0.12 + 0.02 * t["smile"] - 0.5 * s.x * s.x
    s.paint(np.clip(3 * blob(s.x, lip, 0.42, 0.11), 0, 1) * grain * t["moustache"], hairy)


def draw_mouth(s: Sketch) -> None:
    """Paint lips, the open mouth and teeth, bent by the smile."""
    t = s.t
    happy = np.maximum(t["smile"], 0)
    wide = t["mouth_w"] * (1 + 0.2 * happy)
    along = (s.x / wide) ** 2
    y = s.y - t["mouth_y"] + 0.1 * t["smile"] * (along - 0.4)
    swell, gap = 1 - along, 0.5 * t["open"]
    bow = 1 - 0.25 * np.maximum(1 - 9 * along, 0)
    upper = np.minimum(y + (t["lip_up"] * bow + gap) * swell, 0.3 * swell)
    s.paint(s.inside(np.minimum(upper, (t["lip_low"] + gap) * swell - y)), t["lips"])
    s.shade(0.22 * blob(s.x, y - gap - 0.5 * t["lip_low"], 0.6 * wide, 0.05))
    hole = s.inside((gap + 0.014) * swell - np.abs(y))
    s.paint(0.85 * hole, _DARK + 0.25 * t["lips"])
    s.paint(hole * s.inside(-y) * np.clip(10 * gap - 0.2, 0, 1), 0.92 * _WHITE)
    s.shade(-0.2 * blob(s.x, y - gap - t["lip_low"] - 0.08, 0.6 * wide, 0.07))


def draw_eyes(s: Sketch) -> None:
    """Paint both eyes at once: sockets, whites, irises, pupils, glints and lids."""
    t = s.t
    m = s.out - t["eye_x"]
    y = s.y - t["eye_y"] + t["eye_tilt"] * m
    s.shade(-t["socket"] * blob(m, y + 0.02, 1.7 * t["eye_w"], 0.22))
    swell = 1 - (m / t["eye_w"]) ** 2
    upper, lower = t["eye_h"] * t["lids"] * swell, 0.7 * t["eye_h"] * np.sqrt(t["lids"]) * swell
    ball = s.inside(np.minimum(y + upper, lower - y))
    s.paint(ball, _WHITE)
    gaze = m - s.side * t["gaze_x"]
    ring = np.sqrt(gaze * gaze + (y - t["gaze_y"]) ** 2)
    s.paint(ball * s.inside(t["iris_r"] - ring), t["iris"])
    s.paint(ball * s.inside(0.45 * t["iris_r"] - ring), _DARK)
    s.paint(
        0.8 * ball * blob(gaze - 0.03 * s.side * np.sign(t["light_x"]), y + 0.03, 0.04, 0.04),
        _WHITE,
    )
    lash = s.inside(t["lash"] - np.abs(y + np.maximum(upper, 0))) * np.clip(4 * swell + 0.3, 0, 1)
    s.paint(0.85 * lash, _DARK)
    s.shade(-t["bags"] * blob(m, y - 0.15, t["eye_w"], 0.05))


def draw_brows(s: Sketch) -> None:
    """Paint both eyebrows at once."""
    t = s.t
    m = s.out - t["eye_x"] - 0.01
    along = (m / t["brow_w"]) ** 2
    y = s.y - t["brow_y"] + t["brow_tilt"] * m + t["brow_arch"] * (0.3 - along)
    thick = t["brow_h"] * (1 - along * along)
    s.paint(t["brow_dense"] * s.inside(thick - np.abs(y)), t["brow"])


def draw_hair(s: Sketch) -> None:
    """Paint the hair over the forehead and the temples, with strands and a parting."""
    t, x = s.t, s.x
    cap = 1 - np.sqrt((s.u / t["hair_w"]) ** 2 + (s.v / t["hair_top"]) ** 2)
    edge = t["curl"] * np.sin(14 * s.u + t["strand"]) * np.sin(13 * s.v)
    along = (x / t["head_w"]) ** 2
    line = (
        t["line"]
        + t["line_bow"] * along
        + t["temple"] * np.square(along * along)
        + t["line_tilt"] * x
    )
    line += t["fringe"] * np.sin(t["fringe_n"] * x + t["strand"])
    widow = t["widow"] * np.maximum(1 - 4 * np.abs(x - t["part"]), 0)
    over = s.inside(np.minimum(cap + edge, 0.8 * (line + widow - s.y)))
    flow = t["strand_n"] * (x - t["part"]) * (1 + 0.4 * (s.v + 1)) + t["strand"]
    gleam = 0.86 + 0.07 * np.sin(flow) + 0.07 * np.sin(2.7 * flow + 5 * s.v)
    gleam += 0.3 * t["gloss"] * blob(x - t["part"], s.v + 1, 0.6, 0.25) - 0.15 * np.maximum(-cap, 0)
    s.paint(over, t["hair"] * gleam[:, None])


def draw_marks(s: Sketch) -> None:
    """Paint a mole and lines on the forehead, as far as the person has them."""
    t = s.t
    s.paint(
        np.maximum(t["mole"], 0) * blob(s.x - t["mole_x"], s.y - t["mole_y"], 0.07, 0.07),
        0.3 * t["skin"],
    )
    lines = np.maximum(np.sin(38 * (s.y + 0.03 * s.x)), 0) * blob(s.x, s.y + 0.6, 0.5, 0.18)
    s.shade(-0.6 * t["age"] * lines)


def light_and_develop(s: Sketch, noise: Array) -> npt.NDArray[np.uint8]:
    """The finished pictures, uint8 (n, 55, 47, 3): lit, blurred, with `noise` (n, 3, pixels)."""
    t = s.t
    slope = t["light_x"] * np.clip(s.u, -1.2, 1.2) + t["light_y"] * np.clip(s.v, -1.2, 1.2)
    s.shade(np.maximum(slope, -0.75))
    s.colours *= t["lamp"]
    soft = _blur(s.colours.reshape(-1, 3, HEIGHT, WIDTH), t["blur"][:, :, None, None])
    pixels = soft.reshape(noise.shape) + t["grain"][:, None] * noise
    images: npt.NDArray[np.uint8] = np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8)
    return images.reshape(soft.shape).transpose(0, 2, 3, 1)


def _blur(planes: Array, share: Array) -> Array:
    """The planes with every pixel giving `share` of itself to each neighbour, along both axes."""
    wide = np.pad(planes, ((0, 0), (0, 0), (1, 1), (0, 0)), mode="edge")
    planes = planes + share * (wide[:, :, 2:] + wide[:, :, :-2] - 2 * planes)
    wide = np.pad(planes, ((0, 0), (0, 0), (0, 0), (1, 1)), mode="edge")
    blurred: Array = planes + share * (wide[..., 2:] + wide[..., :-2] - 2 * planes)
    return blurred


def put_glasses(images: npt.NDArray[np.uint8], eyes: Array) -> npt.NDArray[np.uint8]:
    """New pictures (n, 55, 47, 3) with sunglasses over the eyes (n, 2, 2), given as (x, y).

    One unit is the distance between the eyes: dark lenses in purple rims, a bridge and arms.
    """
    middle, across = eyes.mean(axis=1), eyes[:, 1] - eyes[:, 0]
    unit = np.hypot(across[:, :1], across[:, 1:])
    cos, sin = across[:, :1] / unit, across[:, 1:] / unit
    dx, dy = (_X - middle[:, :1]) / unit, (_Y - middle[:, 1:]) / unit
    out, y = np.abs(cos * dx + sin * dy), cos * dy - sin * dx
    m = (out - 0.52) / 0.44
    h = (y - 0.06 + 0.04 * m) / 0.36
    mm, hh = m * m, h * h
    depth = 0.38 * (1 - np.sqrt(np.sqrt(mm * mm + hh * hh + mm * hh)))
    bridge = np.minimum(0.05 - np.abs(y + 0.1 + 0.3 * out * out), 0.2 - out)
    arm = np.minimum(np.minimum(0.045 - np.abs(y + 0.14), out - 0.85), 1.15 - out)
    frame = np.maximum(np.maximum(depth + 0.06, bridge), arm)
    planes = images.reshape(len(images), HEIGHT * WIDTH, 3).transpose(0, 2, 1) / np.float32(255)
    for shape, colour in ((frame, _FRAME), (depth, _LENS)):
        planes += np.clip(0.5 + shape * unit, 0, 1)[:, None] * (colour - planes)
    glint = 0.3 * blob(m + 0.3, h + 0.4, 0.35, 0.3)
    planes += (glint * np.clip(0.5 + depth * unit, 0, 1))[:, None] * (_WHITE - planes)
    pixels = np.rint(255 * planes).astype(np.uint8)
    return pixels.transpose(0, 2, 1).reshape(images.shape)


def draw(traits: Traits, noise: Array) -> npt.NDArray[np.uint8]:
    """Pictures of one face for each row of `traits`, uint8 (n, 55, 47, 3)."""
    s = Sketch(traits)
    draw_background(s)
    draw_body(s)
    head = draw_head(s)
    draw_nose(s)
    draw_beard(s, head)
    draw_mouth(s)
    draw_eyes(s)
    draw_brows(s)
    draw_marks(s)
    draw_hair(s)
    return light_and_develop(s, noise)
