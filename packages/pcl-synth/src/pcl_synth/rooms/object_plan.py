"""Which objects each long-tail room gets, so that the counts of classes fall as the table says.

A class of `count` n has n instances in any fifty rooms in a row that begin at a multiple of ten:
of ten rooms, the b-th such block, it has floor(((b + 1) n + φ) / 5) - floor((b n + φ) / 5), with a
phase φ in {0, ..., 4} of the class and the seed. In flat rooms there are four of a class in ten
rooms, or one for each room that may have it, if those are fewer.
"""

import numpy as np

from pcl_synth.rooms.object_shapes import OBJECTS, ObjectRow

BLOCK, BLOCKS = 10, 5  # rooms that are planned together; such blocks in fifty rooms
FLAT_COUNT, FLAT_COUNT_OF_KIND = 20, 10  # in fifty rooms, ten of which are of a kind
_INITIALS = {"bedroom": "b", "office": "o", "living": "l", "kitchen": "k", "bathroom": "w"}
_CAPACITY = {"b": 1.0, "o": 1.1, "l": 1.2, "k": 1.0, "w": 0.6}  # for objects, relative


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
    phases = np.random.default_rng(seed).integers(BLOCKS, size=len(OBJECTS)).tolist()
    rng = np.random.default_rng([*seed, block, int(flat)])
    rooms: list[list[ObjectRow]] = [[] for _ in kinds]

    def fullness(number: int) -> float:
        return len(rooms[number]) / _CAPACITY[initials[number]]

    for row, phase in zip(OBJECTS, phases, strict=True):
        n = min(FLAT_COUNT, FLAT_COUNT_OF_KIND * len(row.kinds)) if flat else row.count
        for _ in range(((block + 1) * n + phase) // BLOCKS - (block * n + phase) // BLOCKS):
            order = rng.permutation(len(kinds)).tolist()
            fitting = [number for number in order if initials[number] in row.kinds]
            if fitting:
                rooms[min(fitting, key=fullness)].append(row)
    return rooms
