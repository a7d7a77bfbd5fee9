"""The public names of the package are the checked-in ones, and its README prints what it says.

After a change of names, `python packages/pcl-data/tests/test_api.py` writes the list anew.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = "pcl_data"
LIST = Path(__file__).with_name("public_names.txt")
README = Path(__file__).parents[1] / "README.md"
# A block "```python needs-data" is not run. What a block prints stands in the block after it.
EXAMPLE = re.compile(r"```python\n(.*?)```(?:\s*```\n(.*?)```)?", re.DOTALL)


def public_names() -> str:
    """A line for each module: the functions and classes that it defines, and its `__all__`."""
    root = Path(str(find_spec(PACKAGE).origin)).parent
    lines = []
    for file in root.rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        module = ".".join((PACKAGE, *parts)).removesuffix(".__init__")
        if names := set(names_in(ast.parse(file.read_text(encoding="utf-8")))):
            lines.append(f"{module}: {' '.join(sorted(names))}\n")
    return "".join(sorted(lines))


def names_in(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            yield from ast.literal_eval(node.value)


def test_public_names_are_the_listed_ones():
    listed = LIST.read_text(encoding="utf-8")
    assert public_names() == listed, f"`python {__file__}` writes the list anew"
    package = import_module(PACKAGE)
    assert all(hasattr(package, name) for name in package.__all__)


@pytest.mark.parametrize(("code", "output"), EXAMPLE.findall(README.read_text(encoding="utf-8")))
def test_an_example_of_the_readme_prints_what_it_says(code, output, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "example"})
    assert capsys.readouterr().out == output


def test_links_of_the_readme_lead_to_files():
    prose = re.sub("```.*?```", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", prose)
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_importing_does_not_load_torch():
    code = "import sys, pcl_data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


if __name__ == "__main__":
    LIST.write_text(public_names(), encoding="utf-8", newline="\n")
