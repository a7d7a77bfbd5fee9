"""What the documents name exists: functions, files, tests, links and anchors.

Sources are parsed and not imported, so that this needs none of their dependencies.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FOLDERS = ("docs", "packages", "apps", "benchmarks", "examples", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(p for f in FOLDERS for p in ROOT.glob(f"{f}/**/*.md"))])
CHECKED = [DOCS / "papers.md", DOCS / "decisions.md"]
SOURCES = {p.parent.name: p.parent for p in ROOT.glob("*/*/src/*/__init__.py")}

LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")
NAME = re.compile(rf"`((?:{'|'.join(sorted(SOURCES))})(?:\.\w+)+)`")
# Equations and tables that each paper has.
COUNTS = {
    "TWIST": (8, 8),
    "CSC": (3, 14),
    "SSPL": (4, 4),
    "HICL": (8, 2),
    "Better (pseudo-)labels": (5, 1),
}
# What a newcomer looks for, and the file that has it.
SOUGHT = {
    "Eq. 2 of TWIST": "pcl_pseudolabel/offset_vectors.py",
    "Eq. 5 of TWIST": "pcl_pseudolabel/recorrection.py",
    "Eq. 7 of TWIST": "pcl_pseudolabel/proposal_update.py",
    "Eq. 3 of CSC": "pcl_contrastive/scene_context.py",
    "Eq. 2 of SSPL": "pcl_contrastive/cluster_contrast.py",
    "Sinkhorn": "pcl_contrastive/sinkhorn.py",
    "the void rule of ScanNet's AP": "pcl_data/evaluation/instance.py",
    "label-budget lists": "pcl_data/splits/budgets.py",
    "the kernel map": "pcl_backbones/coordinates.py",
    "exact resume": "pcl_run/loop.py",
}


def prose(document: Path) -> str:
    """The text of a document without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(document: Path) -> list[tuple[str, str]]:
    """Text and target of each link that leads to a place in the repository."""
    found = LINK.findall(prose(document))
    return [(text, target) for text, target in found if not re.match(r"[a-z]+:", target)]


def file_of(document: Path, target: str) -> Path:
    path = target.partition("#")[0]
    return (document.parent / path).resolve() if path else document


@cache
def anchors(document: Path) -> list[str]:
    """Anchors of a document: those written down, and those that GitHub makes of headings."""
    text = prose(document)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return [*re.findall(r'<a id="([^"]+)">', text), *plain]


@cache
def definitions(path: Path) -> set[str]:
    """Dotted names of the functions, classes and constants of a file; none where it is not."""
    if not path.is_file():
        return set()
    return set(names_in(ast.parse(path.read_text(encoding="utf-8")).body))


def names_in(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{name}" for name in names_in(node.body))
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def module_of(name: str) -> tuple[Path | None, str]:
    """The file of the longest part of a dotted name that is a module, and the rest of the name."""
    package, *parts = name.split(".")
    for n in range(len(parts), -1, -1):
        base = SOURCES[package].joinpath(*parts[:n])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path, ".".join(parts[n:])
    return None, name


def is_there(document: Path, target: str) -> bool:
    file, anchor = file_of(document, target), target.partition("#")[2]
    return file.exists() and (not anchor or file.suffix != ".md" or anchor in anchors(file))


def is_defined(name: str) -> bool:
    module, rest = module_of(name)
    return module is not None and (not rest or rest in definitions(module))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    assert [target for _, target in links(document) if not is_there(document, target)] == []


@pytest.mark.parametrize("document", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_anchors_are_unique(document):
    assert [anchor for anchor, n in Counter(anchors(document)).items() if n > 1] == []


@pytest.mark.parametrize("document", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_every_function_that_is_named_exists(document):
    assert [name for name in NAME.findall(prose(document)) if not is_defined(name)] == []


@pytest.mark.parametrize("document", CHECKED, ids=lambda path: path.name)
def test_a_function_is_linked_to_the_file_that_defines_it(document):
    named = [(NAME.fullmatch(text), target) for text, target in links(document)]
    found = [(match[1], file_of(document, target)) for match, target in named if match]
    assert [name for name, file in found if module_of(name)[0] != file] == []


@pytest.mark.parametrize("document", CHECKED, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(document):
    named = [(text.strip("`"), target) for text, target in links(document) if "`test_" in text]
    found = [(name, file_of(document, target)) for name, target in named]
    assert [name for name, file in found if name not in definitions(file)] == []


def rows(paper: str, word: str) -> list[str]:
    """The rows of a paper's section in `papers.md` that start with `Eq.` or `Table`, in order."""
    sections = prose(DOCS / "papers.md").split("\n## ")
    (section,) = [text for text in sections if text.startswith(f"{paper}\n")]
    return re.findall(rf"^\| ({word} .*)$", section, flags=re.M)


@pytest.mark.parametrize("paper", COUNTS)
def test_every_equation_and_table_has_a_row(paper):
    for word, count in zip(("Eq.", "Table"), COUNTS[paper], strict=True):
        numbers = [int(row.split()[1]) for row in rows(paper, word)]
        assert numbers == list(range(1, count + 1))


@pytest.mark.parametrize("paper", COUNTS)
def test_an_equation_has_a_function_and_a_test_or_is_not_built(paper):
    for row in rows(paper, "Eq."):
        texts = [text for text, _ in LINK.findall(row)]
        has_both = any(map(NAME.fullmatch, texts)) and any(t.startswith("`test_") for t in texts)
        assert has_both != ("not built" in row), row


@pytest.mark.parametrize("what", SOUGHT)
def test_it_is_two_links_from_the_first_page(what):
    first = ROOT / "README.md"
    seconds = [file_of(first, target) for _, target in links(first)]
    seconds = [page for page in seconds if page.suffix == ".md" and page.is_file()]
    reached = {file_of(page, target) for page in seconds for _, target in links(page)}
    assert any(path.as_posix().endswith(SOUGHT[what]) for path in reached)
