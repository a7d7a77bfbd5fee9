"""Which objects each long-tail room gets, so that the counts of classes fall as the table says.

A class of `count` n has n instances in any fifty rooms in a row that begin at a multiple of ten:
of ten rooms, the b-th such block has floor((b + 1) n / 5 + φ) - floor(b n / 5 + φ), with a phase
φ in [0, 1) of the class and the seed. In flat rooms there are four of a class in ten rooms, or one
for each room that may have it, if those are fewer.
"""

import math

import numpy as np

from pcl_synth.rooms.object_shapes import OBJECTS, ObjectRow

BLOCK, ROOMS_OF_COUNT = 10, 50
FLAT_COUNT, FLAT_COUNT_OF_KIND = 20, 10  # in fifty rooms, ten of which are of a kind
_INITIALS = {"bedroom": "b", "office": "o", "living": "l", "kitchen": "k", "bathroom": "w"}
_ROOM_FOR = {"b": 1.0, "o": 1.1, "l": 1.2, "k": 1.0, "w": 0.6}  # relative numbers of objects


def planned_objects(
    kinds: list[str], block: int, seed: tuple[int, ...], *, flat: bool
) -> list[list[ObjectRow]]:
    """The objects of each of ten rooms in a row.

    Each goes to the room that has the fewest for its size, of those that may have it.

    Args:
        kinds: of the ten rooms.
        block: number of the first room, divided by ten.
        seed: of the world.
        flat: whether every class is equally frequent.
    """
    initials = [_INITIALS[kind] for kind in kinds]
    phases = np.random.default_rng(seed).random(len(OBJECTS)).tolist()
    rng = np.random.default_rng([*seed, block, int(flat)])
    rooms: list[list[ObjectRow]] = [[] for _ in kinds]
    for row, phase in zip(OBJECTS, phases, strict=True):
        count = min(FLAT_COUNT, FLAT_COUNT_OF_KIND * len(row.kinds)) if flat else row.count
        for _ in range(_count_in(block, count, phase)):
            fitting = [k for k in rng.permutation(len(kinds)) if initials[k] in row.kinds]
            if fitting:
                rooms[min(fitting, key=lambda k: len(rooms[k]) / _ROOM_FOR[initials[k]])].append(
                    row
                )
    return rooms


def _count_in(block: int, count: int, phase: float) -> int:
    share = count * BLOCK / ROOMS_OF_COUNT
    return math.floor((block + 1) * share + phase) - math.floor(block * share + phase)
