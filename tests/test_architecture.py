"""Rules of the workspace that no package can check alone."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARIES = sorted(path.name for path in (ROOT / "packages").iterdir() if path.is_dir())
PROJECTS = sorted((ROOT / "packages").glob("*/pyproject.toml")) + sorted(
    (ROOT / "apps").glob("*/pyproject.toml")
)


def imported_modules(folder: Path) -> set[str]:
    """The top-level modules that the Python files below a folder import."""
    modules = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    return modules


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_imports_no_sibling(library):
    own = library.replace("-", "_")
    siblings = {name.replace("-", "_") for name in LIBRARIES} - {own}
    assert not imported_modules(ROOT / "packages" / library / "src") & siblings


def test_pcl_data_needs_no_torch():
    assert "torch" not in imported_modules(ROOT / "packages" / "pcl-data" / "src")


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_every_package_is_in_the_wheel_matrix_and_the_workflow(project):
    name = project.parent.name
    assert f'"{name}"' in (ROOT / "hatch.toml").read_text()
    assert re.search(rf"package: \[.*\b{name}\b", (ROOT / ".github/workflows/ci.yml").read_text())
    assert (project.parent / "README.md").stat().st_size > 300
    assert (project.parent / "CHANGELOG.md").is_file()
