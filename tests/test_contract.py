"""The client held against the contract: what the schema allows is whole, what it forbids is set
aside.
"""

from __future__ import annotations

import json
from datetime import UTC, date
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import httpx2
import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import FieldInfo
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from ensora_plugin import Settings
from ensora_plugin.vendor.client import DataCollection
from ensora_plugin.vendor.pages import Page, place_name
from ensora_plugin.vendor.records import Broken, FieldIn, NoteIn, SiteIn, StudentIn, UserIn, Whole

CONTRACT = yaml.safe_load(
    (Path(__file__).parents[1] / "docs" / "vendor-api.yaml").read_text("utf-8")
)
REGISTRY: Registry[Any] = Registry().with_resource(
    "urn:contract", Resource(contents=CONTRACT, specification=DRAFT202012)
)
SCHEMAS = CONTRACT["components"]["schemas"]
STRUCTS = {
    "Site": SiteIn,
    "Student": StudentIn,
    "User": UserIn,
    "SessionNote": NoteIn,
    "Field": FieldIn,
}
KINDS = {"Site": "site", "Student": "student", "User": "user", "SessionNote": "note"}


def members(schema: str) -> dict[str, FieldInfo]:
    """The struct's members by their names in the document."""
    return {field.encode_name: field for field in msgspec.structs.fields(STRUCTS[schema])}


def literals(kind: Any) -> set[str] | None:
    """The values that a member may have, None where they are not counted up."""
    if get_origin(kind) is Literal:
        return set(get_args(kind))
    return None


@pytest.mark.parametrize("schema", STRUCTS)
def test_a_struct_has_the_members_of_the_schema(schema: str) -> None:
    assert members(schema).keys() == SCHEMAS[schema]["properties"].keys()


@pytest.mark.parametrize("schema", STRUCTS)
def test_a_struct_requires_what_the_schema_requires(schema: str) -> None:
    required = {name for name, field in members(schema).items() if field.required}
    assert required == set(SCHEMAS[schema]["required"])


@pytest.mark.parametrize("schema", STRUCTS)
def test_a_struct_knows_the_values_of_the_schema(schema: str) -> None:
    wanted = {
        name: set(told["enum"])
        for name, told in SCHEMAS[schema]["properties"].items()
        if "enum" in told
    }
    found = {name: literals(field.type) for name, field in members(schema).items()}
    assert {name: values for name, values in found.items() if values is not None} == wanted


#: Whatever PostgreSQL's text can hold, which knows no NUL.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
#: An opaque string of 1 to 64 characters, as the contract's words say.
IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=64)
MOMENTS = st.datetimes(timezones=st.just(UTC))
VALUES = st.one_of(
    st.none(),
    TEXTS,
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(TEXTS, max_size=3),
    st.fixed_dictionaries(
        {}, optional={"latitude": st.floats(-90, 90), "longitude": st.floats(-180, 180)}
    ),
    st.fixed_dictionaries({"image": TEXTS}),
)


def generate(name: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Valid values of a member, by its schema."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[1]]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("properties"):
        each = {key: generate(key, told) for key, told in schema["properties"].items()}
        required = set(schema.get("required", ()))
        return st.fixed_dictionaries(
            {key: each[key] for key in each if key in required},
            optional={key: each[key] for key in each if key not in required},
        )
    match schema.get("type"):
        case "array":
            return st.lists(generate(name.removesuffix("s"), schema["items"]), max_size=4)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], 2**31 - 1)
        case ["string", "null"]:
            return st.none() | IDS
        case "string":
            return generate_text(name, schema.get("format"))
        case _:
            return VALUES


def generate_text(name: str, form: str | None) -> st.SearchStrategy[str]:
    """Valid texts of a member: ids, moments, dates, others."""
    if form == "date-time":
        return MOMENTS.map(lambda moment: moment.isoformat().replace("+00:00", "Z"))
    if form == "date":
        return st.dates(date(1900, 1, 1), date(2026, 1, 1)).map(date.isoformat)
    return IDS if name == "id" or name.endswith("Id") else TEXTS


def read(schema: str, records: list[dict[str, Any]]) -> Page[Any]:
    """What the client makes of a page that holds the records."""
    page = json.dumps({"items": records, "cursor": "c", "hasMore": False}).encode()

    def answer(_request: httpx2.Request) -> httpx2.Response:
        headers = {"Content-Type": "application/json"}
        return httpx2.Response(200, stream=httpx2.ByteStream(page), headers=headers)

    transport = httpx2.MockTransport(answer)
    vendor_settings = Settings(vendor_url="http://127.0.0.1:1", tries=1)
    with DataCollection(vendor_settings, token="t", transport=transport) as vendor:
        return vendor.page(KINDS[schema], None, 100)


RECORDS = {schema: generate(schema, SCHEMAS[schema]) for schema in KINDS}
some = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize("schema", KINDS)
@some
@given(data=st.data())
def test_a_valid_record_is_whole(schema: str, data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[schema], min_size=1, max_size=5))
    wanted = {"$ref": f"urn:contract#/components/schemas/{schema}"}
    validator = Draft202012Validator(
        wanted, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    for record in records:
        validator.validate(record)
    items = read(schema, records).items
    assert [item for item in items if not isinstance(item, Whole)] == []
    assert [item.record.id for item in items] == [record["id"] for record in records]


@pytest.mark.parametrize("schema", KINDS)
@some
@given(data=st.data())
def test_members_that_nobody_knows_are_passed_over(schema: str, data: st.DataObject) -> None:
    record = data.draw(RECORDS[schema])
    (plain,) = read(schema, [record]).items
    (more,) = read(schema, [{**record, "addedLater": {"a": [1]}}]).items
    assert isinstance(plain, Whole)
    assert isinstance(more, Whole)
    assert more.record == plain.record


@pytest.mark.parametrize(
    ("schema", "member"),
    [(schema, member) for schema in KINDS for member in SCHEMAS[schema]["required"]],
)
@some
@given(data=st.data())
def test_a_record_without_a_required_member_is_broken_and_its_neighbours_are_whole(
    schema: str, member: str, data: st.DataObject
) -> None:
    record, before, after = (data.draw(RECORDS[schema]) for _ in range(3))
    del record[member]
    items = read(schema, [before, record, after]).items
    assert [type(item) for item in items] == [Whole, Broken, Whole]
    assert f"`{member}`" in items[1].reason
    if record.get("id", "\n").isprintable():
        assert items[1].vendor_id == record["id"]
    else:
        assert items[1].vendor_id == place_name(None, 1)
