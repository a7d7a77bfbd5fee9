"""`pretrain-cli predict`: labels of points, or boxes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pcl_methods.cards import trained_card
from pcl_methods.detection.box_finder import load_box_finder
from pcl_methods.detection.predicting import predict_boxes, show_boxes
from pcl_methods.segmentation.predicting import predict_scans, show_prediction
from pcl_methods.segmentation.segmenter import load_segmenter
from pcl_methods.segmentation.weights import weights_file
from pcl_run.cli import choose_device


def predict_scans_of(
    model: Path,
    scans: Sequence[Path],
    out: Path,
    device: str,
    *,
    options: Sequence[str],
    overwrite: bool,
    as_json: bool,
) -> Iterator[str]:
    """Write what a trained network finds in each scan; a line of each.

    Args:
        model: a finished run, or its weights.
        scans: files or folders of scans.
        out: folder of the files.
        device: auto, cpu or cuda.
        options: of the reader of scans.
        overwrite: whether files in `out` may be replaced.
        as_json: whether a line is JSON.

    Raises:
        ValueError: if the weights are of no such network, or a scan cannot be used.
    """
    given = {"options": options, "overwrite": overwrite}
    if "detector" in trained_card(weights_file(model)):
        finder = load_box_finder(model, choose_device(device))
        for found in predict_boxes(scans, finder, out, **given):
            yield show_boxes(found, as_json=as_json)
        return
    find = load_segmenter(model, choose_device(device))
    for done in predict_scans(scans, find, find.label_set, out, check=find.check, **given):
        yield show_prediction(done, as_json=as_json)
