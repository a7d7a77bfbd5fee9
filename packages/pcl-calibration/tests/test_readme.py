"""The README of the package prints what it says, and the package has the names that it lists."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = "pcl_calibration"
README = Path(__file__).parents[1] / "README.md"
# A block "```python needs-data" is not run. What a block prints stands in the block after it.
EXAMPLE = re.compile(r"```python\n(.*?)```(?:\s*```\n(.*?)```)?", re.DOTALL)


@pytest.mark.parametrize(("code", "output"), EXAMPLE.findall(README.read_text(encoding="utf-8")))
def test_an_example_of_the_readme_prints_what_it_says(code, output, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "example"})
    assert capsys.readouterr().out == output


def test_the_package_has_the_names_that_it_lists():
    package = import_module(PACKAGE)
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
