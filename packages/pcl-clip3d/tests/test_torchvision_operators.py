"""Tests of pcl_clip3d.torchvision_operators, and of open_clip by it."""

import ast
from pathlib import Path

import pytest

from pcl_clip3d import torchvision_operators
from pcl_clip3d.clip_library import import_open_clip


def test_open_clip_is_imported_and_builds_models():
    library = import_open_clip()
    assert "ViT-B-16" in library.list_models()
    assert import_open_clip() is library


def refuse(monkeypatch, *refused, error):
    genuine = torchvision_operators.import_module

    def find(name):
        if name in refused:
            raise error
        return genuine(name)

    monkeypatch.setattr(torchvision_operators, "import_module", find)


def test_a_missing_open_clip_names_the_extra(monkeypatch):
    refuse(monkeypatch, "torchvision", "open_clip", error=ImportError("none here"))
    with pytest.raises(ImportError, match=r"open_clip must be installed .*pcl-clip3d\[clip\]"):
        import_open_clip()


def test_another_failure_of_torchvision_is_not_hidden(monkeypatch):
    refuse(monkeypatch, "torchvision", error=RuntimeError("CUDA versions differ"))
    with pytest.raises(RuntimeError, match="CUDA versions differ"):
        import_open_clip()


@pytest.mark.parametrize("fails", [True, False])
def test_operators_are_defined_only_where_torchvision_lacks_them(monkeypatch, fails):
    defined = []
    monkeypatch.setattr(torchvision_operators, "_define_operators", lambda: defined.append(True))
    if fails:
        error = RuntimeError("operator torchvision::nms does not exist")
        refuse(monkeypatch, "torchvision", error=error)
    import_open_clip()
    assert defined == ([True] if fails else [])


def test_no_module_needs_what_the_extra_brings_at_import():
    for path in Path(torchvision_operators.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in getattr(node, "names", [])]
            modules = {getattr(node, "module", None) or "", *names}
            tops = {module.split(".")[0] for module in modules}
            assert not tops & {"open_clip", "torchvision", "safetensors", "timm"}, path.name
