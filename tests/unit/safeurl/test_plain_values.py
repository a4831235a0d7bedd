"""URLs, policies and decisions are plain values: compared, hashed, matched and never changed."""

import pickle

import pytest
from msgspec import Struct
from msgspec.structs import replace

from safeurl.address import AddressPolicy, PolicyOverrides, Rule, Ruling, judge_address
from safeurl.url import ParsedUrl, parse

_OVERRIDES = PolicyOverrides(allow_cidrs=("10.0.0.0/8",), deny_ports=(8080,))
_VALUES = (
    (parse("https://a.example/b"), parse("https://a.example/b"), parse("https://a.example/c")),
    (AddressPolicy.parse(_OVERRIDES), AddressPolicy.parse(_OVERRIDES), AddressPolicy()),
    (judge_address("8.8.8.8"), judge_address("1.1.1.1"), judge_address("127.0.0.1")),
)


@pytest.mark.parametrize(("value", "equal", "other"), _VALUES, ids=["url", "policy", "ruling"])
def test_equal_values_are_one_key(value: Struct, equal: Struct, other: Struct) -> None:
    """Values with equal fields are equal, and one key of a dictionary; a copy is equal too."""
    assert value == equal
    assert value != other
    assert len({value, equal, other}) == 2
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes
    assert replace(value) == value


@pytest.mark.parametrize("value", [each[0] for each in _VALUES], ids=["url", "policy", "ruling"])
def test_a_value_cannot_be_changed(value: Struct) -> None:
    """No field can be set, and no other attribute."""
    for name in (*value.__struct_fields__, "other"):
        with pytest.raises(AttributeError):
            setattr(value, name, None)


def test_a_value_is_matched_by_its_fields() -> None:
    """Patterns take the fields by position and by name, and `replace` sets the named ones."""
    match parse("http://a.example:8080/"):
        case ParsedUrl(_, "http", host, port=8080, is_literal=False):
            assert host == "a.example"
        case unmatched_url:
            pytest.fail(f"{unmatched_url!r} was not matched")
    match judge_address("127.0.0.1"):
        case Ruling(False, rule):
            assert rule is Rule.LOOPBACK
        case unmatched_ruling:
            pytest.fail(f"{unmatched_ruling!r} was not matched")
    policy = AddressPolicy.parse(_OVERRIDES)
    assert replace(policy, dns64=True) == AddressPolicy(
        allow=policy.allow, deny_ports=policy.deny_ports, dns64=True
    )
