"""The public names of every module of every package are the checked-in ones.

After a change of names, `python tests/test_public_names.py` writes the lists anew: each stands in
`tests/public_names.txt` of its package.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = sorted(path.parent for path in Path(__file__).parents[1].glob("packages/*/tests"))


def public_names(package: Path) -> str:
    """A line for each module: the functions and classes that it defines, and its `__all__`."""
    lines = []
    for file in (package / "src").rglob("*.py"):
        parts = file.relative_to(package / "src").with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        if names := set(names_in(ast.parse(file.read_text(encoding="utf-8")))):
            lines.append(f"{module}: {' '.join(sorted(names))}\n")
    return "".join(sorted(lines))


def names_in(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            yield from ast.literal_eval(node.value)


def listed(package: Path) -> Path:
    return package / "tests" / "public_names.txt"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_public_names_are_the_listed_ones(package):
    written = listed(package).read_text(encoding="utf-8")
    assert public_names(package) == written, f"`python {__file__}` writes the list anew"


if __name__ == "__main__":
    for each in PACKAGES:
        listed(each).write_text(public_names(each), encoding="utf-8", newline="\n")
