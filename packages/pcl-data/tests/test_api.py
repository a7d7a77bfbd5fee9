"""The public names of pcl_data."""

import re
import subprocess
import sys
from pathlib import Path

import pcl_data

PUBLIC = [
    "KITTI8",
    "NUSCENES16",
    "NYU40",
    "S3DIS13",
    "SCANNET20",
    "SCANNET200",
    "SEMANTICKITTI19",
    "SEMANTICKITTI25",
    "SUNRGBD10",
    "WAYMO22",
    "Frame",
    "LabelSet",
    "LazyFrames",
    "PointBudgetSampler",
    "Scene",
    "VoxelGrid",
    "__version__",
    "collate",
    "load_scene",
    "save_scene",
    "voxel_labels",
    "voxelize",
]


def test_public_names_are_the_listed_ones():
    assert pcl_data.__all__ == PUBLIC
    assert all(hasattr(pcl_data, name) for name in PUBLIC)


def test_importing_does_not_load_torch():
    code = "import sys, pcl_data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_example_of_the_readme_prints_what_it_says(tmp_path, monkeypatch, capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    code, output = re.search(r"```python\n(.*?)```\s*```\n(.*?)```", readme, re.DOTALL).groups()
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == output
