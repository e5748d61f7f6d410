"""The registry: which systems there are, each imported when it is asked for, and what can go wrong with one."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integrity.errors import UsageError
from integrity.project import find_project
from integrity.registry import SYSTEMS, Registry
from integrity.sql.file import parse_sql_file

SHOP = """
from sqlalchemy import BigInteger, Column, MetaData, Table
from integrity.systems.system import System

METADATA = MetaData()
Table("orders", METADATA, Column("id", BigInteger, primary_key=True))
SHOP = System("shop", "a shop", METADATA, {})
"""

Open = Callable[..., Registry]


@pytest.fixture
def open_registry(tmp_path: Path) -> Iterator[Open]:
    """Open the registry of a project with a shop; what was imported from it is forgotten afterwards."""
    modules, path = set(sys.modules), list(sys.path)

    def open_it(toml: str = '[systems]\nshop = "shop:SHOP"\n', code: str = SHOP) -> Registry:
        (tmp_path / "integrity.toml").write_text(toml)
        (tmp_path / "shop.py").write_text(code)
        return Registry(find_project(tmp_path))

    yield open_it
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_a_projects_system_is_imported_from_its_folder_when_it_is_asked_for(open_registry: Open, tmp_path: Path) -> None:
    registry = open_registry()
    assert list(registry) == [*SYSTEMS, "shop"]
    assert "shop" not in sys.modules
    shop = registry.find("shop")
    assert shop.title == "a shop"
    assert shop.reference is not None
    assert (shop.reference.path, shop.reference.folder) == ("shop:SHOP", str(tmp_path))
    assert registry.default is shop


def test_a_file_in_the_folder_makes_no_system(open_registry: Open) -> None:
    registry = open_registry("", "raise RuntimeError('nobody named me')")
    assert list(registry) == list(SYSTEMS)


def test_files_of_operations_are_a_system_of_the_projects_name_and_each_folder_of_them_another(
    open_registry: Open, tmp_path: Path
) -> None:
    for name in ("operations/pay.sql", "operations/store/buy.sql"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("select 1 from orders;\n")
    (tmp_path / "operations/store/notes.txt").write_text("no operation")
    registry = open_registry('[project]\nname = "till"\n')
    assert list(registry.own) == ["till", "store"]
    assert list(registry["till"].operations) == ["pay"]
    assert registry.resolve("other", "operations/store", place="run").name == "store"
    assert registry.owners_of_operation("buy") == ["store"]


def test_a_file_with_a_mistake_is_in_the_way_of_itself_alone(open_registry: Open, tmp_path: Path) -> None:
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations/pay.sql").write_text("select 1 from orders;\n")
    (tmp_path / "operations/refund.sql").write_text("begin;\nselect 1;\n")
    registry = open_registry('[project]\nname = "till"\n')
    assert list(registry["till"].operations) == ["pay"]
    assert "refund.sql:1: the transaction is never ended" in registry["till"].unusable["refund"]
    assert registry.owners_of_operation("refund") == ["till"]


def test_two_systems_of_one_name_are_told_with_both_places(open_registry: Open, tmp_path: Path) -> None:
    (tmp_path / "operations/shop").mkdir(parents=True)
    (tmp_path / "operations/shop/buy.sql").write_text("select 1 from orders;\n")
    with pytest.raises(UsageError, match=r"systems\.shop: shop:SHOP: a second system has the name shop: operations/shop"):
        open_registry().find("shop")


def test_what_a_module_prints_is_not_taken_for_a_result(open_registry: Open, capsys: pytest.CaptureFixture[str]) -> None:
    open_registry(code=f"print('hello')\n{SHOP}").find("shop")
    assert capsys.readouterr() == ("", "hello\n")


MISTAKES = {
    "no module": ('shop = "nowhere:SHOP"', SHOP, "there is no module nowhere in"),
    "no attribute": ('shop = "shop:STORE"', SHOP, "has no STORE", "Its systems are: SHOP."),
    "no system": ('shop = "shop:METADATA"', SHOP, "shop:METADATA is no System, but of type 'MetaData'"),
    "another name": ('store = "shop:SHOP"', SHOP, "shop:SHOP is a system of the name 'shop'"),
    "fails": ('shop = "shop:SHOP"', "x = 1\nraise ValueError('no rates')", "shop.py:2: ValueError: no rates"),
    "exits": ('shop = "shop:SHOP"', "raise SystemExit(0)", "shop.py:1: SystemExit: 0"),
    "no Python": ('shop = "shop:SHOP"', "x = 1\ny = (", "shop.py:2: SyntaxError: '(' was never closed"),
    "needs another": ('shop = "shop:SHOP"', "import nothing_of_that_name", "shop.py:1: ModuleNotFoundError"),
}


@pytest.mark.parametrize(("line", "code", "said"), [(m[0], m[1], m[2:]) for m in MISTAKES.values()], ids=MISTAKES)
def test_a_system_that_cannot_be_had_is_told_with_its_place(
    open_registry: Open, tmp_path: Path, line: str, code: str, said: tuple[str, ...]
) -> None:
    name = line.partition(" ")[0]
    with pytest.raises(UsageError) as caught:
        open_registry(f"[systems]\n{line}\n", code).find(name)
    assert caught.value.message.startswith(f"{tmp_path / 'integrity.toml'}: systems.{name}: ")
    assert all(each in str(caught.value) for each in said)
    assert caught.value.hint


def test_the_name_of_a_reference_system_is_taken(open_registry: Open) -> None:
    with pytest.raises(UsageError, match=r"systems\.inbox: inbox is the name of a reference system"):
        open_registry('[systems]\ninbox = "shop:SHOP"\n')


def test_a_broken_system_is_in_the_way_of_itself_alone(open_registry: Open) -> None:
    registry = open_registry(code="raise ValueError")
    file = parse_sql_file("-- title: mine\nselect 1\n", path=Path("shop/mine.sql"), name="shop/mine")
    assert registry.owners_of(replace(file, is_own=True)) == ("shop",)
    assert registry.find("inbox").name == "inbox"


def test_a_name_that_no_view_could_have_is_refused(open_registry: Open) -> None:
    with pytest.raises(UsageError, match=r"shop\.py:7: 'my shop' is no name of a system"):
        open_registry(code=SHOP.replace('"shop"', '"my shop"')).find("shop")


def entry_point(folder: Path, package: str, line: str) -> None:
    made = folder / f"{package}-1.0.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (made / "entry_points.txt").write_text(f"[integrity.systems]\n{line}\n")


def test_an_installed_package_brings_its_system(open_registry: Open, tmp_path: Path) -> None:
    site = tmp_path / "site"
    entry_point(site, "shops", "store = store:SHOP")
    (site / "store.py").write_text(SHOP.replace('"shop"', '"store"'))
    sys.path.insert(0, str(site))
    registry = open_registry()
    assert list(registry) == [*SYSTEMS, "shop", "store"]
    assert "store" not in sys.modules
    assert registry.find("store").path == "store:SHOP"


def test_two_of_one_name_are_told_apart_by_nobody(open_registry: Open, tmp_path: Path) -> None:
    entry_point(tmp_path / "site", "shops", "shop = other:SHOP")
    sys.path.insert(0, str(tmp_path / "site"))
    registry = open_registry()
    with pytest.raises(UsageError, match=r"second system has the name shop: other:SHOP \(shops: entry point"):
        registry.find("shop")


def test_a_file_is_answered_by_reference_then_by_name_and_runs_nothing_that_is_not_declared(open_registry: Open) -> None:
    registry = open_registry()
    assert registry.resolve("shop", "shop:SHOP", place="f.json").name == "shop"
    assert registry.resolve("renamed", "shop:SHOP", place="f.json").name == "shop"
    assert registry.resolve("shop", "", place="f.json").name == "shop"
    assert registry.resolve("inbox", "", place="f.json").name == "inbox"
    with pytest.raises(UsageError, match=r"f\.json: it is about the system 'bank', which nobody declares") as caught:
        registry.resolve("bank", "os:system", place="f.json")
    assert caught.value.hint == 'integrity.toml: [systems] bank = "os:system"'


def owners(registry: Registry, name: str, query: str) -> list[str]:
    file = parse_sql_file(f"-- title: mine\n{query}\n", path=Path(f"{name}.sql"), name=name)
    return list(registry.owners_of(replace(file, is_own=True)))


SOLE = {
    "files": '[project]\nname = "shop"\n',
    "python": '[systems]\nshop = "shop:SHOP"\n',
    "python, reflected": '[systems]\nshop = "shop:SHOP"\n',
    "python that cannot be imported": '[systems]\nshop = "shop:SHOP"\n',
}


@pytest.mark.parametrize("kind", SOLE)
@pytest.mark.parametrize("query", ["select 1 from orders", "select 1 from elsewhere.any_view", "select 1"])
def test_where_a_project_has_one_system_all_its_own_invariants_are_about_it(
    open_registry: Open, tmp_path: Path, kind: str, query: str
) -> None:
    code = {"python, reflected": SHOP.replace("METADATA, {}", "operations={}"), "python that cannot be imported": "def ("}
    if kind == "files":
        (tmp_path / "operations").mkdir()
        (tmp_path / "operations/pay.sql").write_text("select 1 from orders;\n")
    registry = open_registry(SOLE[kind], code.get(kind, SHOP))
    assert owners(registry, "mine", query) == ["shop"]
    assert owners(registry, "money/mine", query) == ["shop"]
    assert owners(registry, "ghostpass/mine", query) == ["ghostpass"]


SEVERAL = """
from sqlalchemy import BigInteger, Column, MetaData, Table
from integrity.systems.reflect import Reflected
from integrity.systems.system import System

METADATA = MetaData()
Table("orders", METADATA, Column("id", BigInteger, primary_key=True))
SHOP = System("shop", "a shop", METADATA, {})
DEPOT = System("depot", "a depot", Reflected("store"), {})
"""


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("shop/any", "select 1 from elsewhere.parcels", ["shop"]),
        ("money/positive", "select 1 from elsewhere.parcels", ["shop"]),
        ("mine", "select 1 from public.orders", ["shop"]),
        ("mine", "select 1 from integrity.shop_calls", ["shop"]),
        ("mine", "select 1 from store.parcels", ["depot"]),
        ("mine", "select 1 from tills", ["till"]),
        ("mine", "select 1 from orders join store.parcels on true join tills on true", ["till", "shop", "depot"]),
        ("mine", "select 1 from orders join elsewhere.parcels on true", ["shop"]),
        ("mine", "select 1 from elsewhere.orders", []),
        ("mine", "select 1", []),
    ],
)
def test_where_there_are_several_an_invariant_is_about_each_that_has_a_table_that_it_reads(
    open_registry: Open, tmp_path: Path, name: str, query: str, expected: list[str]
) -> None:
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations/pay.sql").write_text("select 1 from tills;\n")
    lines = '[project]\nname = "till"\n[systems]\ndepot = "shop:DEPOT"\n'
    registry = open_registry(f'{lines}[systems.shop]\npath = "shop:SHOP"\ninvariants = ["money/*"]\n', SEVERAL)
    assert sorted(owners(registry, name, query)) == sorted(expected)
