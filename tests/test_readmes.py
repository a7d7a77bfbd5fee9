"""Commands and settings that READMEs, documents and the help show are those of the apps.

Command lines are parsed and not run; torch is not loaded.
"""

import re
import shlex
from pathlib import Path

import pytest
import typer

import data_cli.main
import labelfree_cli.main
import pretrain_cli.main
import twist_cli.main
from labelfree_cli.config import PRESETS as LABELFREE_PRESETS
from labelfree_cli.config import RunConfig as LabelFreeConfig
from pcl_data.opening import KINDS, read_options, read_words
from pcl_methods.settings import DataConfig
from pcl_run.config import Config, load_config
from pretrain_cli.config import FINETUNE_PRESETS, PRETRAIN_PRESETS, FinetuneConfig, PretrainConfig
from twist_cli.config import PRESETS, RunConfig

ROOT = Path(__file__).parent.parent
PLACES = ("*.md", "docs/*.md", "*/README.md", "*/*/README.md", "apps/*/src/*/main.py")
FILES = sorted({p for place in PLACES for p in ROOT.glob(place) if p.name != "CHANGELOG.md"})
APPS = {
    "data-cli": data_cli.main,
    "labelfree-cli": labelfree_cli.main,
    "pretrain-cli": pretrain_cli.main,
    "twist-cli": twist_cli.main,
}
COMMANDS = {name: typer.main.get_command(module.app).commands for name, module in APPS.items()}
SCHEMAS = {
    ("labelfree-cli", "labels"): (LabelFreeConfig, LABELFREE_PRESETS),
    ("labelfree-cli", "run"): (LabelFreeConfig, LABELFREE_PRESETS),
    ("labelfree-cli", "evaluate"): (LabelFreeConfig, LABELFREE_PRESETS),
    ("pretrain-cli", "pairs"): (DataConfig, {"quick": {}}),
    ("pretrain-cli", "run"): (PretrainConfig, PRETRAIN_PRESETS),
    ("twist-cli", "run"): (RunConfig, PRESETS),
    ("twist-cli", "evaluate"): (RunConfig, PRESETS),
}
for _name in ("finetune", "probe", "label", "evaluate"):
    SCHEMAS["pretrain-cli", _name] = (FinetuneConfig, FINETUNE_PRESETS)

FENCE = re.compile(r"^ *```.*?\n(.*?)^ *```", re.M | re.S)
COMMAND = re.compile(rf"(?:.*hatch run )?((?:{'|'.join(APPS)}) .*)", re.S)


def commands(path: Path) -> list[tuple[str, bool]]:
    """Command lines of a file, and whether each is whole: in a block, not in a sentence."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    rest = FENCE.sub("", text)
    lines = re.findall(r"^ {4}(?:Example: )?(.*)$", rest, re.M)
    lines += re.split(r"\n| && ", "\n".join(FENCE.findall(text)))
    words = [part for code in re.findall(r"`([^`]*)`", rest) for part in code.split(" && ")]
    found = [(line, True) for line in lines] + [(word, False) for word in words]
    return [(match[1], whole) for line, whole in found if (match := COMMAND.fullmatch(line))]


def groups() -> dict[str, set[str]]:
    """The settings of each group, such as `train`, of all commands together."""
    found: dict[str, set[str]] = {}
    for schema, _ in SCHEMAS.values():
        for name, field in schema.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
                found.setdefault(name, set()).update(field.annotation.model_fields)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_the_options_and_settings_that_are_shown(path):
    for line, whole in commands(path):
        program, name, *words = shlex.split(line, comments=True)
        assert name in COMMANDS[program], line
        command = COMMANDS[program][name]
        given, _, _ = command.make_parser(typer.Context(command)).parse_args(words)
        if whole:
            assert [p.name for p in command.params if p.required and not given.get(p.name)] == []
        if (program, name) in SCHEMAS:
            schema, presets = SCHEMAS[program, name]
            settings = [word for word in given.get("overrides") or () if "=" in word]
            settings += [f"task={given['task']}"] if given.get("task") else []
            preset = given.get("preset", "quick")
            load_config(schema, presets=presets, preset=preset, overrides=settings)
        elif program == "data-cli" and name != "synth":
            options = [word for word in given.get("options") or () if "=" in word]
            read_options(KINDS[given.get("kind", "folder")], read_words(options))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_that_are_named_exist(path):
    known = groups()
    named = re.compile(rf"(?<![\w./-])({'|'.join(known)})\.(?!py\b)(\w+)(?=[=`.])")
    found = named.findall(path.read_text(encoding="utf-8"))
    wrong = {f"{group}.{key}" for group, key in found if key not in known[group]}
    assert wrong - {"train.log", "model.safetensors"} == set()  # files of a run
