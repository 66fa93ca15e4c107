"""What holds for the package as a whole: its layers, public names, documents and tables."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import fields
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from blinker import NamedSignal

import ensora_plugin
from ensora_plugin import Settings, signals
from ensora_plugin.cli import ensora_cli
from ensora_plugin.host.adapter_check import SELECTS
from ensora_plugin.host.port import PERMISSIONS, HostAdapter
from ensora_plugin.models import TABLE_PREFIX, Base
from tests.practices import KEY

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ensora_plugin"
README = (ROOT / "README.md").read_text("utf-8")
#: From the ground up; a module imports out of its own layer and the ones before it. A package's
#: name stands for those of its modules that are not named.
LAYERS = (
    "errors config signals clock text memory database engine dialect log automap.reasons "
    "automap.matching automap.likeness runs.processes vendor.deadline",
    "models crypto migrating bulk vendor host.port host.ids host.adapter_check host.marks "
    "rendering.soap rendering.picture_end rendering.signature",
    "kinds",
    "joins host.verbs rendering.drifting rendering.differences",
    "access kept connecting history rotating cli_text host pull automap explain mapping rendering "
    "listing reports runs.guard window.standing window.overview window.panel window.run_log "
    "window.trail",
    "runs window.account_settings",
    "window reports.views reports.export_views reports.saved_views runs.jobs",
    "cli plugin worker runs.rq_worker",
    "__init__",
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names.split()}
#: The only modules that may know of a request or of the current application.
EDGES = {"plugin", "cli", "runs.jobs", *(f"window.{name}" for name in ("htmx", "forms", "web"))}
EDGES |= {"window.way_back", "window.created_view"}


def layer(name: str) -> int:
    """The layer of a module, by its own name or its package's."""
    own = LAYER.get(name, LAYER.get(name.split(".")[0]))
    assert own is not None, f"say in LAYERS where {name} stands"
    return own


def is_edge(name: str) -> bool:
    return name in EDGES or (name.endswith("views") and layer(name) == layer("window"))


#: Words of how a program is made, which have no place beside what it does.
WORKSHOP = re.compile(
    r"(?i:\bissues?\b|\b(last|next|earlier|previous|helper) session\b|\bsessions? \d)"
    r"|\bTODO\b|\bFIXME\b|\bXXX\b|\bseed\.txt\b|\b(domain|design|style|brief)\.md\b|/work/"
)


def dotted(path: Path) -> str:
    """The name of a module within the package: `reports.spec`, `reports` for that of a package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[1:] and parts[-1] == "__init__" else parts)


PATHS = {
    dotted(path): path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parent.parts
}
MODULES = {name: ast.parse(path.read_text("utf-8")) for name, path in PATHS.items()}


def imported(name: str) -> set[str]:
    """The package's modules that a module imports when it is loaded."""
    found: set[str] = set()
    here = PATHS[name].parent.relative_to(PACKAGE).parts
    for node in MODULES[name].body:
        if isinstance(node, ast.ImportFrom) and node.level:
            above = here[: len(here) - node.level + 1]
            told = ".".join([*above, *([node.module] if node.module else [])])
            inner = {f"{told}.{alias.name}".lstrip(".") for alias in node.names}
            # A name of a package is a module of it, or of the package's own.
            found |= (inner & set(MODULES)) or {told}
    return found


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_downwards_only(name: str) -> None:
    above = {other for other in imported(name) if layer(other) > layer(name)}
    assert above == set()
    absolute = [
        node
        for node in ast.walk(MODULES[name])
        if isinstance(node, ast.ImportFrom) and not node.level
        if str(node.module).split(".")[0] in ("ensora_plugin", "demo", "tests")
    ]
    assert absolute == []


def test_no_modules_import_each_other_in_a_ring() -> None:
    order = TopologicalSorter({name: imported(name) for name in MODULES})
    assert set(order.static_order()) == set(MODULES)


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not is_edge(name)))
def test_only_edges_know_the_request_and_the_application(name: str) -> None:
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.ImportFrom) and node.module == "flask":
            assert {alias.name for alias in node.names} & {
                *("current_app", "request", "g", "session")
            } == set()
        if isinstance(node, ast.Import):
            assert "flask" not in [alias.name for alias in node.names]


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_sorted_and_exist(name: str) -> None:
    module = importlib.import_module(f"ensora_plugin.{name}") if name[0] != "_" else ensora_plugin
    names = getattr(module, "__all__", [])
    # Constants, then classes, then the rest.
    assert names == sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    assert [n for n in names if not hasattr(module, n)] == []


def test_the_package_says_what_is_public() -> None:
    assert set(ensora_plugin.__all__) >= {"Ensora", "HostAdapter", "include_name", "signals"}


def test_the_readme_names_every_setting() -> None:
    keys = {f"ENSORA_{field.name.upper()}" for field in fields(Settings)}
    assert keys - set(re.findall(r"^\| `(ENSORA_\w+)` \|", README, re.M)) == set()
    assert set(re.findall(r"ENSORA_[A-Z_]+[A-Z]", README)) - keys == set()


def test_the_readme_names_every_signal() -> None:
    names = {name for name, value in vars(signals).items() if isinstance(value, NamedSignal)}
    assert names == set(re.findall(r"^\| `(\w+)` \| .* \|$", section("Signals"), re.M))


def test_the_readme_names_every_method_of_the_adapter_with_its_labels() -> None:
    rows = dict(re.findall(r"^\| `(\w+)(?:\(.*?\))?` \| (.*) \|$", section("Host adapter"), re.M))
    methods = {name for name in vars(HostAdapter) if name[0] != "_"}
    assert set(rows) == methods | {"base_template"}
    for method, labels in SELECTS.items():
        assert labels.keys() - set(re.findall(r"`(\w+)`", rows[method])) == set(), method
    assert {name for name in PERMISSIONS if f"`{name}`" not in section("Host adapter")} == set()


def test_the_readme_names_every_command() -> None:
    told = set(re.findall(r"flask ensora ([a-z-]+)", section("Command line")))
    assert told == set(ensora_cli.commands)


def test_the_fifteen_lines_of_the_readme_mount_the_plugin(tmp_path: Path) -> None:
    told = section("Mount it in your own site")
    lines = re.findall(r"^```python\n(.*?)^```", told, re.M | re.S)[0].splitlines()
    assert len(lines) <= 15
    mine = {
        "from mysite.adapter import MyHost": "from demo.host.adapter import DemoHost as MyHost",
        "from mysite.models import db": "from demo.host.models import db",
        "postgresql+psycopg://...": f"sqlite:///{tmp_path / 'host.db'}",
        '"https://..."': '"https://vendor.example"',
        "from_prefixed_env()": f'from_mapping(ENSORA_KEYS="{KEY}")',
    }
    for told, ours in mine.items():
        assert sum(told in line for line in lines) == 1
        lines = [line.replace(told, ours) for line in lines]
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)  # noqa: S102 - our own words
    assert scope["app"].test_cli_runner().invoke(args=["ensora", "upgrade"]).exit_code == 0
    with scope["app"].app_context():
        scope["db"].engine.dispose()


def section(title: str) -> str:
    """The text under a heading of the README."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_table_but_the_accounts_own_carries_the_account() -> None:
    tables = Base.metadata.tables
    assert all(name.startswith(TABLE_PREFIX) for name in tables)
    without = [name for name, table in tables.items() if "account_id" not in table.columns]
    assert without == ["ensora_connection"]


def test_no_table_has_a_foreign_key_into_the_host() -> None:
    keys = [key for table in Base.metadata.tables.values() for key in table.foreign_keys]
    assert keys
    assert [key for key in keys if not key.target_fullname.startswith(TABLE_PREFIX)] == []


def test_migrations_import_nothing_of_the_package() -> None:
    for path in (PACKAGE / "migrations").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not node.level, path
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None), *(alias.name for alias in node.names)]
                assert not any(str(name).startswith("ensora") for name in names), path


def test_the_browser_gets_little_script_of_our_own() -> None:
    ours = [path for path in (PACKAGE / "static").glob("*.js") if ".min." not in path.name]
    assert ours
    assert sum(len(path.read_text("utf-8").splitlines()) for path in ours) <= 250


def prose(path: Path) -> Iterator[str]:
    """Comments and strings of a program, or the lines of another text."""
    if path.suffix != ".py":
        yield from path.read_text("utf-8").splitlines()
        return
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT or token.string.lstrip("rRbBfF").startswith('"""'):
            yield token.string


def test_comments_and_documents_speak_of_the_program_alone() -> None:
    folders = ("ensora_plugin", "demo", "tests", "bench", "docs", ".")
    kinds = {".py", ".md", ".html", ".css", ".js", ".toml", ".yaml"}
    paths = [p for name in folders for p in (ROOT / name).glob("*" if name == "." else "**/*")]
    found = [
        (str(path.relative_to(ROOT)), text)
        for path in paths
        if path.suffix in kinds and path != Path(__file__)
        for text in prose(path)
        if WORKSHOP.search(text)
    ]
    assert found == []
