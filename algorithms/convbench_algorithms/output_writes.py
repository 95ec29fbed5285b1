"""How vectors of sums reach y: past the caches, through them, or lane by lane where y ends or holds a part."""

from __future__ import annotations

from convbench_algorithms.emitter import Emitter, Int, Pointer, Vector


def write_vectors(
    e: Emitter, vectors: list[Vector], places: list[Pointer], height: Int, width: Int, add: Int, stream: Int
) -> None:
    """The first `width` lanes of the first `height` vectors to their places, added to what is there if `add`.

    `stream` writes whole vectors past the caches, to places that must be aligned.
    """
    partial = (width.compare("<", e.lanes), height.compare("<", len(vectors)), add.compare("!=", 0))
    some = e.builder.or_(e.builder.or_(partial[0], partial[1]), partial[2])
    for past_caches in (True, False):
        wanted = stream.compare("!=" if past_caches else "==", 0)
        with e.when(e.builder.and_(e.builder.not_(some), wanted)):
            for vector, place in zip(vectors, places, strict=True):
                (e.store_past_caches if past_caches else e.store)(vector, place)
    with e.when(some):
        mask = e.first_lanes(width)
        old = e.first_lanes(width * add)  # no lane where nothing is added: y may hold anything
        for i, (vector, place) in enumerate(zip(vectors, places, strict=True)):
            with e.when(height.compare(">", i)):
                e.store_masked(mask, e.load_masked(old, place) + vector, place)
