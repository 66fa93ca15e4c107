"""The settings of a deployment: defaults, and everything that is wrong in one message."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ensora_plugin.config import Settings, read_settings
from ensora_plugin.errors import WrongSettings

SECRET = base64.b64encode(b"x" * 32).decode()


def words(**config: Any) -> list[str]:
    """What is wrong with these ENSORA_ keys, a line each."""
    with pytest.raises(WrongSettings) as raised:
        read_settings({f"ENSORA_{name.upper()}": value for name, value in config.items()})
    assert raised.value.code == "wrong_settings"
    head, *lines = str(raised.value).splitlines()
    assert head == "The settings of Ensora Sync are wrong:"
    return lines


def test_without_any_key_the_defaults_hold() -> None:
    assert read_settings({}) == read_settings({"ENSORA_KEYS": "", "OTHER": "1"}) == Settings()


def test_the_defaults_are_those_of_the_domain() -> None:
    settings = Settings()
    assert (settings.interval_minutes, settings.grace_minutes) == (30, 5)
    assert (settings.page_size, settings.recheck_days) == (100, 90)


def test_text_of_the_environment_is_read_as_the_type_of_the_setting() -> None:
    settings = read_settings({"ENSORA_PAGE_SIZE": "20", "ENSORA_REQUEST_SECONDS": "0.5"})
    assert (settings.page_size, settings.request_seconds) == (20, 0.5)


def test_everything_wrong_is_listed_at_once() -> None:
    told = words(
        vendor_url="http://vendor.example",
        keys="k1",
        page_size="many",
        grace_minutes="-1",
        interval_minutes="0",
        retry_pause_seconds="-1",
    )
    named = ["PAGE_SIZE", "VENDOR_URL", "KEYS", "GRACE_MINUTES", "INTERVAL", "RETRY_PAUSE"]
    assert len(told) == len(named)
    for line, name in zip(told, named, strict=True):
        assert name in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", 0),
        ("page_size", 101),
        ("page_size", "1.5"),
        ("grace_minutes", 121),
        ("interval_minutes", -1),
        ("tries", 0),
        ("lease_seconds", 0),
        ("lease_seconds", "nan"),
        ("lease_seconds", "inf"),
        ("request_seconds", "inf"),
        ("longest_wait_seconds", "nan"),
        ("recheck_days", 0),
        ("vendor_url", "vendor.example"),
        ("vendor_url", "ftp://vendor.example"),
        ("vendor_url", "http://vendor.example"),
        ("vendor_url", "https://"),
        ("vendor_url", "https://[vendor"),
        ("vendor_url", "https://vendor.example:port"),
        ("vendor_url", "https://vendor.example:99999"),
        ("vendor_url", "https://me:secret@vendor.example"),
        ("vendor_url", "https://vendor.example/?a=b"),
        ("keys", "k1"),
        ("keys", "k1:c2hvcnQ="),
        ("keys", "k1:ünreadable"),
        ("keys", f"kéy:{SECRET}"),
        ("keys", f":{SECRET}"),
        ("keys", f"{'k' * 17}:{SECRET}"),
        ("keys", f"k1:{SECRET},k1:{SECRET}"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_but_never_with_a_secret(name: str, value: Any) -> None:
    told = " ".join(words(**{name: value}))
    assert f"ENSORA_{name.upper()}" in told
    assert SECRET not in told
    assert "secret" not in told


@pytest.mark.parametrize(
    "address",
    [
        "https://vendor.example",
        "https://vendor.example:8443/base",
        "http://127.0.0.1:8701",
        "http://localhost",
        "http://[::1]:8701",
    ],
)
def test_https_anywhere_and_http_on_this_machine_are_fine(address: str) -> None:
    assert read_settings({"ENSORA_VENDOR_URL": address}).vendor_url == address


def test_the_ring_of_keys_is_newest_first() -> None:
    settings = read_settings({"ENSORA_KEYS": f"k2:{SECRET}, k1:{SECRET} ,"})
    assert settings.key_ring() == [("k2", b"x" * 32), ("k1", b"x" * 32)]
