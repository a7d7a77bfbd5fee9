"""Rules of the workspace that no package can check alone."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
APPS = sorted(path.parent for path in ROOT.glob("apps/*/pyproject.toml"))
ALL = [*PACKAGES, *APPS]

# Which packages each may import; a leaf may import none. Arrows lead down only.
LEAVES = {
    "pcl_data",
    "pcl_backbones",
    "pcl_calibration",
    "pcl_clip3d",
    "pcl_contrastive",
    "pcl_pseudolabel",
    "pcl_run",
}
LAYERS = {"pcl_synth": {"pcl_data"}, "pcl_methods": LEAVES | {"pcl_synth"}}
OURS = {path.name.replace("-", "_") for path in ALL}


def module_of(package: Path) -> str:
    return package.name.replace("-", "_")


def imported(package: Path) -> set[str]:
    """The packages of this workspace that a package imports, without itself."""
    found = set()
    for path in package.glob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return (found & OURS) - {module_of(package)}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_library_imports_lower_layers_only(package):
    assert imported(package) <= LAYERS.get(module_of(package), set())


@pytest.mark.parametrize("app", APPS, ids=lambda path: path.name)
def test_an_app_imports_no_other_app(app):
    assert imported(app) <= LEAVES | set(LAYERS)


@pytest.mark.parametrize("package", ALL, ids=lambda path: path.name)
def test_what_is_imported_is_declared(package):
    text = (package / "pyproject.toml").read_text(encoding="utf-8")
    declared = {name.replace("-", "_") for name in re.findall(r'"(pcl-[a-z0-9]+)', text)}
    assert imported(package) <= declared


def test_every_package_has_a_place_in_the_layers():
    assert {module_of(package) for package in PACKAGES} == LEAVES | set(LAYERS)


@pytest.mark.parametrize("package", ALL, ids=lambda path: path.name)
def test_every_package_is_in_the_wheel_matrix_and_the_workflow(package):
    for path in (ROOT / "hatch.toml", ROOT / ".github" / "workflows" / "ci.yml"):
        assert re.search(rf"\b{package.name}\b", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("package", ALL, ids=lambda path: path.name)
def test_every_wheel_has_a_licence_and_says_that_it_is_typed(package):
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert 'license-files = ["LICENSE"]' in (package / "pyproject.toml").read_text()
    assert (package / "src" / module_of(package) / "py.typed").is_file()


@pytest.mark.parametrize("package", ALL, ids=lambda path: path.name)
def test_nothing_at_import_time_needs_posix(package):
    """Modules that Windows does not have are imported where they are used, if at all."""
    posix = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}
    for path in package.glob("src/**/*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & posix, path
            elif isinstance(node, ast.ImportFrom):
                assert node.module not in posix, path
