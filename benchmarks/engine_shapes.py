"""Polygons, cuboids and index masks for the engine's benchmark, made from a fixed seed."""

from __future__ import annotations

import engine_data
import numpy as np


def polygons(*, images: int = 700, seed: int = 7):
    """Outlines of 8 to 24 corners for the boxes of `engine_data.make`: (sides, rings) per side."""
    data = engine_data.make(images=images, seed=seed)
    rng = np.random.default_rng(seed)
    keep = data.score > 0.12

    def rings(boxes):
        result = []
        for x, y, width, height in boxes:
            corners = int(rng.integers(8, 25))
            angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
            reach = rng.uniform(0.8, 1.0, corners)
            ring = np.stack([0.5 + 0.5 * reach * np.cos(angle), 0.5 + 0.5 * reach * np.sin(angle)], axis=1)
            result.append(np.round(ring * (width, height) + (x, y), 2))
        return result

    truth = (data.truth_image, data.truth_label, rings(data.truth_box))
    predictions = (data.image[keep], data.label[keep], rings(data.box[keep]), data.score[keep])
    return truth, predictions


def cuboids(*, frames: int = 1_000, truths: int = 40, guesses: int = 60, seed: int = 11):
    """Street scenes: x, y, z, length, width, height, yaw rows with their frame, per side, predictions with scores."""
    rng = np.random.default_rng(seed)
    count = frames * truths
    truth = np.column_stack([
        rng.uniform(-60, 60, (count, 2)),
        rng.normal(0.9, 0.2, count),
        rng.uniform((3.5, 1.6, 1.4), (5.2, 2.1, 1.9), (count, 3)),
        rng.uniform(-np.pi, np.pi, count),
    ])
    frame = np.repeat(np.arange(frames), truths)
    found = np.arange(count).reshape(frames, truths)[:, : truths * 9 // 10].ravel()
    moved = truth[found] + rng.normal(0, 1, (found.size, 7)) * (0.3, 0.3, 0.1, 0.2, 0.1, 0.1, 0.06)
    rest = frames * guesses - found.size
    other = np.column_stack([
        rng.uniform(-60, 60, (rest, 2)),
        rng.normal(0.9, 0.2, rest),
        rng.uniform((3.5, 1.6, 1.4), (5.2, 2.1, 1.9), (rest, 3)),
        rng.uniform(-np.pi, np.pi, rest),
    ])
    rows = np.concatenate([moved, other])
    frames_of = np.concatenate([frame[found], rng.integers(0, frames, rest)])
    order = np.argsort(frames_of, kind="stable")
    score = np.concatenate([rng.uniform(0.3, 1, found.size), rng.uniform(0, 0.6, rest)])
    return (frame, truth), (frames_of[order], rows[order], score[order])


def masks(*, images: int = 40, height: int = 480, width: int = 854, segments: int = 24, seed: int = 13):
    """Index masks of elliptic patches: pairs of (truth, prediction) arrays, index 0 is the ground."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(images):
        sides = [np.zeros((height, width), dtype=np.uint8) for _ in range(2)]
        for index in range(1, segments + 1):
            centre = rng.uniform(0, (height, width))
            reach = rng.uniform(15, 90, 2)
            for side, shift in zip(sides, (0.0, 6.0)):
                _ellipse(side, centre + rng.normal(0, 1, 2) * shift, reach, index)
        pairs.append(tuple(sides))
    return pairs


def _ellipse(side, centre, reach, index):
    low = np.maximum((centre - reach).astype(int), 0)
    high = np.maximum((centre + reach).astype(int) + 1, 0)
    window = side[low[0] : high[0], low[1] : high[1]]
    y, x = np.mgrid[low[0] : low[0] + window.shape[0], low[1] : low[1] + window.shape[1]]
    window[((y - centre[0]) / reach[0]) ** 2 + ((x - centre[1]) / reach[1]) ** 2 < 1] = index
