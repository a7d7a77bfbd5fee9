"""Labels of images on a real room: before and after votes in sets, and how views are fused.

    OMP_NUM_THREADS=1 python benchmarks/labelfree_frames.py ../shared/data

Writes `results/labelfree_frames.md`. Nothing is random; most of the time is ENet's.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from enet_text import NAMED, SCENE
from pages import head, how_it_was_made, line, percent
from records import RESULTS
from room_pairs import Room, open_room
from torch import Tensor
from torch.nn.functional import one_hot

from pcl_clip3d import fuse_views, view_agreement, vote_in_sets
from pcl_clip3d.view_fusion import FusionRule
from pcl_data.evaluation import SemanticEvaluator

UNITS = "segs.json"  # sets that stand for independent samples
RULES: tuple[FusionRule, ...] = get_args(FusionRule)
THRESHOLDS = (0.0, 0.5, 0.7, 0.9)
N_FRAMES = (1, 5, 10, 25, 50)
N_VIEWS = (1, 2, 4)
N_CLASSES = NAMED.n_classes
ABOUT = f"""\
# Labels of images on a real room

What frames of ScanNet's `{SCENE}` say of the vertices of its mesh: ENet of 3DMV (Dai and
Nießner, ECCV 2018) times CLIP's texts of {N_CLASSES} classes of NYU40, projected by `pair_pixels`
with the measured depth. **ENet saw this room in training**, with labels: read the differences, not
the level. A *pair* is a vertex in one frame that sees it.

*Right* is the share of the pairs or vertices labeled with such a class that are given this class.
*mIoU* is the mean over the classes that occur among them. A *change* is that of the share that is
right, from the first row, in points (percent), ± its standard error over the sets of `segs.json` as
if each were an independent sample. They are not, and this is one room: the true error is larger.
"""


def share_right(truth: Tensor, labels: Tensor) -> float:
    """Of what is labeled in truth."""
    return float((labels == truth)[truth >= 0].double().mean())


def scores(truth: Tensor, labels: Tensor, base: Tensor, units: Tensor) -> list[str]:
    """The share that is right, its change from a base, and the mIoU."""
    evaluator = SemanticEvaluator(NAMED)
    evaluator.update(truth.numpy(), labels.numpy())
    found = evaluator.compute()
    in_truth = found.confusion_matrix.sum(axis=1) > 0
    miou = np.array(list(found.per_class.values()))[in_truth].mean()
    change, error = gain(truth, labels, base, units)
    return [percent(share_right(truth, labels)), f"{change:+.1f} ± {error:.1f}", percent(miou)]


def gain(truth: Tensor, labels: Tensor, base: Tensor, units: Tensor) -> tuple[float, float]:
    """The mean change in points, and its standard error over units that are wholes."""
    change = (labels == truth).double() - (base == truth).double()
    change, units = change[truth >= 0], units[truth >= 0]
    off = torch.zeros(int(units.max()) + 1, dtype=torch.float64)
    off.index_add_(0, units, change - change.mean())
    return 100 * float(change.mean()), 100 * float(off.square().sum().sqrt()) / len(change)


def pair_table(room: Room) -> Iterable[str]:
    """Pairs before and after the vote in sets."""
    truth, units = room.of_pairs(), room.sets[UNITS][room.pairs.vertices]
    base = room.pairs.labels
    ways = {"as projected": base, "of the mirrored image": room.pairs.mirrored}
    for name, sets in room.sets.items():
        ways[f"voted in each set of each frame, `{name}`"] = room.refine(sets)
    yield from head("pairs", "right", "change", "mIoU")
    for name, labels in ways.items():
        yield line(name, *scores(truth, labels, base, units))


def fused_ways(room: Room) -> dict[str, Tensor]:
    """Labels of vertices by each rule, after or before a vote in sets, or without one."""
    fused = {f"`{rule}`": room.fuse(rule).labels for rule in RULES}
    ways = dict(fused)
    for name, sets in room.sets.items():
        votes = one_hot(room.refine(sets), N_CLASSES).float()
        found = fuse_views(room.pairs.vertices, votes, len(sets), rule="votes")
        ways[f"`votes` of pairs voted in `{name}`"] = found.labels
    for name, sets in room.sets.items():
        for rule, labels in fused.items():
            voted = vote_in_sets(labels, sets, n_classes=N_CLASSES)
            ways[f"{rule}, then voted in `{name}`"] = voted
    return ways


def vertex_table(room: Room) -> Iterable[str]:
    """Vertices after fusion of views."""
    ways = fused_ways(room)
    seen, is_labeled = room.n_views() > 0, room.truth >= 0
    truth, base, units = (each[seen] for each in (room.truth, ways["`votes`"], room.sets[UNITS]))
    yield from head("vertices", "right", "change", "mIoU", "have a label", "right of all")
    for name, labels in ways.items():
        share = float((labels >= 0)[is_labeled].double().mean())
        of_all = [percent(share), percent(share_right(room.truth, labels))]
        yield line(name, *scores(truth, labels[seen], base, units), *of_all)


def calibration(room: Room) -> Iterable[str]:
    """Mean confidence minus the share that is right, of each rule."""
    yield from head("fused by", "mean confidence", "right", "difference")
    for rule in RULES:
        fused = room.fuse(rule)
        known = (fused.n_views > 0) & (room.truth >= 0)
        confidence = float(fused.confidence[known].double().mean())
        right = share_right(room.truth[known], fused.labels[known])
        difference = f"{100 * (confidence - right):+.1f}"
        yield line(f"`{rule}`", percent(confidence), percent(right), difference)


def agreement_table(room: Room) -> Iterable[str]:
    """Vertices whose views agree, against as many that are confident."""
    pairs, n_views = room.pairs, room.n_views()
    agreement = view_agreement(pairs.vertices, pairs.labels, len(n_views), n_classes=N_CLASSES)
    votes, mean = room.fuse("votes"), room.fuse("mean")
    columns = ["kept", "right", "as many by confidence"]
    yield from head("agreement at least", *columns, *(f"{c}, two views or more" for c in columns))
    for threshold in THRESHOLDS:
        cells = []
        for least in (1, 2):
            among = (n_views >= least) & (room.truth >= 0)
            kept = among & (agreement >= threshold)
            confident = highest(mean.confidence, among, int(kept.sum()))
            cells += kept_cells(room.truth, votes.labels, kept, among)
            cells.append(percent(share_right(room.truth[confident], mean.labels[confident])))
        yield line(str(threshold), *cells)


def mirror_table(room: Room) -> Iterable[str]:
    """Pairs on which the image and its mirror image agree, against as many that are confident."""
    truth, labels = room.of_pairs(), room.pairs.labels
    among = truth >= 0
    agrees = among & (labels == room.pairs.mirrored)
    confidence = room.pairs.probabilities.amax(dim=1)
    chosen = {
        "all": among,
        "image and mirror image agree": agrees,
        "as many by confidence": highest(confidence, among, int(agrees.sum())),
    }
    yield from head("pairs", "kept", "right")
    for name, kept in chosen.items():
        yield line(name, *kept_cells(truth, labels, kept, among))


def kept_cells(truth: Tensor, labels: Tensor, kept: Tensor, among: Tensor) -> list[str]:
    share = float(kept.sum() / among.sum())
    return [percent(share), percent(share_right(truth[kept], labels[kept]))]


def highest(values: Tensor, among: Tensor, number: int) -> Tensor:
    """Where the highest of some values are, (n,) bool; of equal ones the first."""
    order = values.masked_fill(~among, -1).argsort(descending=True, stable=True)
    return torch.zeros_like(among).index_fill_(0, order[:number], True)


def frame_table(room: Room) -> Iterable[str]:
    """Vertices by how many frames are used."""
    n_frames = int(room.pairs.frames.max()) + 1
    yield from head("frames", "seen", *(f"right, `{rule}`" for rule in RULES))
    for number in N_FRAMES:
        rows = room.pairs.frames % (n_frames // number) == 0
        fused = [room.only(rows).fuse(rule) for rule in RULES]
        seen = fused[0].n_views > 0
        share = seen[room.truth >= 0].double().mean()
        shares = [share_right(room.truth[seen], each.labels[seen]) for each in fused]
        yield line(str(number), percent(share), *map(percent, shares))


def view_table(room: Room) -> Iterable[str]:
    """The same vertices by how many of their views are used."""
    enough = room.n_views() >= max(N_VIEWS)
    yield from head("views of each", *(f"right, `{rule}`" for rule in RULES))
    for number in N_VIEWS:
        rows = spread(room.pairs.vertices, number) & enough[room.pairs.vertices]
        labels = [room.only(rows).fuse(rule).labels[enough] for rule in RULES]
        shares = [share_right(room.truth[enough], each) for each in labels]
        yield line(str(number), *map(percent, shares))


def spread(vertices: Tensor, number: int) -> Tensor:
    """Which rows to keep so that each vertex has so many, evenly spread; all if it has fewer."""
    order = vertices.argsort(stable=True)
    n_views = torch.bincount(vertices)
    starts = (n_views.cumsum(0) - n_views)[vertices[order]]
    rank, of = torch.arange(len(vertices)) - starts, n_views[vertices[order]]
    wanted = torch.minimum(of, torch.tensor(number))
    return torch.zeros(len(vertices), dtype=torch.bool).index_put_(
        (order,), (rank + 1) * wanted // of > rank * wanted // of
    )


def facts(room: Room) -> Iterable[str]:
    """How much there is, and which classes are never found."""
    truth, known, n_views = room.of_pairs(), room.truth >= 0, room.n_views()
    seen = percent((n_views > 0)[known].double().mean())
    right = truth[(truth >= 0) & (room.pairs.labels == truth)].unique()
    missed = [NAMED.names[int(i)] for i in truth.unique() if i >= 0 and i not in right]
    n_frames, n_pairs = int(room.pairs.frames.max()) + 1, int((truth >= 0).sum())
    yield f"{int(known.sum()):,} of {len(known):,} vertices have such a label."
    yield f"{n_frames} frames see {seen} of these, in {n_pairs:,} pairs."
    yield f"Right on no pair: {', '.join(missed)}."


def page(room: Room) -> Iterable[str]:
    """The lines of the results."""
    n_enough = int(((room.n_views() >= max(N_VIEWS)) & (room.truth >= 0)).sum())
    yield from [*ABOUT.splitlines(), "", *facts(room), "", "## Votes in sets", ""]
    yield from [*pair_table(room), "", "## Fused views", "", "Of the vertices that are seen."]
    yield "The last two columns are of all: a vote in the sets of the scene also labels what no"
    yield from ["frame sees.", "", *vertex_table(room), "", "Confidence of the fused labels:", ""]
    yield from [*calibration(room), "", "## Agreement as a filter", ""]
    yield "Of views, on labels by `votes`. A vertex with one view agrees with itself. Beside it the"
    yield "simplest other filter: as many vertices, those with the highest confidence of `mean`."
    yield from ["", *agreement_table(room), "", "Of the image and its mirror image:", ""]
    yield from [*mirror_table(room), "", "## Number of views", ""]
    yield "Every k-th frame. More frames see more vertices, and others: rows are of different ones."
    yield from ["", *frame_table(room), ""]
    yield f"The {n_enough:,} vertices with {max(N_VIEWS)} views or more, by some, evenly spread:"
    yield from ["", *view_table(room), "", *how_it_was_made("labelfree_frames.py DATA")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the real recordings")
    parser.add_argument("--out", type=Path, default=RESULTS / "labelfree_frames.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = list(page(open_room(options.data)))
    print("\n".join(lines), file=sys.stderr)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
