import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.errors import ApiError, ApiUnavailable, ResourceExpired
from svcdns.kube.decode import (
    Applied,
    Bookmark,
    Deleted,
    Failed,
    Garbage,
    Malformed,
    Page,
    read_event,
    read_object,
    read_page,
    status_error,
)
from svcdns.kube.objects import Kind, Service
from tests.support import apistate


def line(type: str, found: Any) -> bytes:
    return json.dumps({"type": type, "object": found}).encode()


WEB = apistate.service("ns/web", "10.0.0.1", resourceVersion="7")


def page(*items: object, **metadata: object) -> bytes:
    body = {
        "kind": "ServiceList", "apiVersion": "v1",
        "metadata": {"resourceVersion": "9", **metadata}, "items": list(items),
    }  # fmt: skip
    return json.dumps(body).encode()


def test_a_page_gives_version_token_and_items() -> None:
    found = read_page(page(WEB, WEB, **{"continue": "tok", "remainingItemCount": 3}))

    assert isinstance(found, Page)
    assert (found.resource_version, found.continue_token, len(found.items)) == ("9", "tok", 2)


def test_items_of_a_list_carry_no_kind() -> None:
    bare = {key: value for key, value in WEB.items() if key not in ("kind", "apiVersion")}
    found = read_page(page(bare))
    assert isinstance(found, Page)
    service = read_object(Kind.SERVICE, found.items[0])

    assert isinstance(service, Service)
    assert service.addresses == ("10.0.0.1",)


@pytest.mark.parametrize("body", [page(), b'{"metadata":{"resourceVersion":"9"},"items":null}'])
def test_an_empty_list_is_a_page(body: bytes) -> None:
    assert read_page(body) == Page([], "9", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"404 page not found\n",
        b"[]",
        b"null",
        b'{"items":[]}',
        b'{"metadata":{},"items":[]}',
        b'{"metadata":{"resourceVersion":9},"items":[]}',
        b'{"metadata":{"resourceVersion":"9"},"items":{}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_is_a_value(body: bytes) -> None:
    found = read_page(body)

    assert isinstance(found, Garbage)
    assert found.problem.startswith("not a list")


def test_a_page_cut_anywhere_is_a_value() -> None:
    whole = page(WEB)

    assert all(isinstance(read_page(whole[:end]), Garbage) for end in range(len(whole)))


def test_one_bad_item_costs_only_itself() -> None:
    bad = {"metadata": {"name": "bad", "namespace": "ns"}, "spec": {"ports": [{"port": "http"}]}}
    found = read_page(page(WEB, bad, WEB))
    assert isinstance(found, Page)
    objects = [read_object(Kind.SERVICE, raw) for raw in found.items]

    assert [type(one) for one in objects] == [Service, Malformed, Service]
    assert str(objects[1]) == (
        "Service ns/bad: Expected `int`, got `str` - at `$.spec.ports[0].port`"
    )


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'{"metadata":{"name":"x"},"spec":null}', "Service x: Expected `object`, got `null`"),
        (b'{"metadata":{}}', "Service (unnamed): Object missing required field `name`"),
        (b'{"metadata":{"name":""}}', "Service (unnamed): it has an empty name"),
        (b'{"spec":{}}', "Service (unnamed): Object missing required field `metadata`"),
        (b'{"metadata":{"name":7}}', "Service (unnamed): Expected `str`, got `int`"),
        (b"nonsense", "Service (unnamed): not JSON: "),
        (b'{"metadata":{"name":"\xff"}}', "Service (unnamed): "),
    ],
)
def test_a_bad_object_says_whose_it_is_and_what_is_wrong(raw: bytes, text: str) -> None:
    found = read_object(Kind.SERVICE, raw)

    assert isinstance(found, Malformed)
    assert str(found).startswith(text)


@pytest.mark.parametrize("type", ["ADDED", "MODIFIED"])
def test_an_addition_and_a_change_carry_the_object(type: str) -> None:
    found = read_event(Kind.SERVICE, line(type, WEB))

    assert isinstance(found, Applied)
    assert found.object.key == ("ns", "web")
    assert found.object.metadata.resource_version == "7"


def test_a_deletion_counts_even_when_the_object_is_unreadable() -> None:
    bad = {"metadata": {"name": "x", "namespace": "ns", "resourceVersion": "8"}, "spec": 7}

    assert read_event(Kind.SERVICE, line("DELETED", bad)) == Deleted(("ns", "x"), "8")


@pytest.mark.parametrize(
    ("annotations", "end"),
    [
        ({"k8s.io/initial-events-end": "true"}, True),
        ({"k8s.io/initial-events-end": "true", "kubernetes.io/other": "x"}, True),
        ({"kubernetes.io/other": "x"}, False),
        (None, False),
    ],
)
def test_a_bookmark_may_end_the_initial_events(
    annotations: dict[str, str] | None, end: bool
) -> None:
    body = {
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"resourceVersion": "9", "annotations": annotations},
        "endpoints": None, "ports": None, "addressType": "",
    }  # fmt: skip

    assert read_event(Kind.ENDPOINT_SLICE, line("BOOKMARK", body)) == Bookmark("9", end)


def test_a_bad_object_in_an_event_keeps_its_version() -> None:
    bad = {"metadata": {"name": "x", "namespace": "n", "resourceVersion": "8"}, "spec": 7}
    found = read_event(Kind.SERVICE, line("MODIFIED", bad))

    assert isinstance(found, Malformed)
    assert (found.key, found.resource_version) == (("n", "x"), "8")


@pytest.mark.parametrize(
    ("code", "reason", "type"),
    [
        (410, "Expired", ResourceExpired),
        (410, "Gone", ResourceExpired),
        (500, "InternalError", ApiUnavailable),
        (504, "Timeout", ApiUnavailable),
        (429, "TooManyRequests", ApiUnavailable),
        (403, "Forbidden", ApiError),
    ],
)
def test_an_error_event_becomes_the_error_it_is(
    code: int, reason: str, type: type[ApiError]
) -> None:
    found = read_event(Kind.SERVICE, line("ERROR", apistate.status(code, reason, "words")))

    assert isinstance(found, Failed)
    assert found.error.__class__ is type
    assert (found.error.status, found.error.reason, found.error.message) == (code, reason, "words")


@pytest.mark.parametrize(
    "octets",
    [
        b"garbage",
        b"{}",
        b"[]",
        b'{"type":"ADDED"}',
        b'{"object":{}}',
        b'{"type":"SURPRISE","object":{}}',
        b'{"type":"DELETED","object":{}}',
        b'{"type":"DELETED","object":{"metadata":{}}}',
        b'{"type":"BOOKMARK","object":7}',
        b'\xff{"type":"ADDED","object":{}}',
        b'{"type":"ADDED","object":' + b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_event_is_a_value(octets: bytes) -> None:
    assert isinstance(read_event(Kind.SERVICE, octets), Garbage)


def test_an_event_cut_anywhere_is_a_value() -> None:
    whole = line("ADDED", WEB)

    assert {type(read_event(Kind.SERVICE, whole[:end])) for end in range(len(whole))} == {Garbage}


@given(st.binary(max_size=60), st.sampled_from(Kind))
def test_no_octets_raise(octets: bytes, kind: Kind) -> None:
    read_event(kind, octets)
    read_event(kind, b'{"type":"ADDED","object":{"metadata":{"name":"x"},' + octets + b"}}")
    read_page(octets)
    read_object(kind, octets)
    status_error(octets)


def test_an_http_status_is_more_certain_than_the_body() -> None:
    error = status_error(b"404 page not found\n", 404)

    assert type(error) is ApiError
    assert str(error) == "404: 404 page not found"


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        (b"{}", 3.0, 3.0),
        (b'{"details":{"retryAfterSeconds":7}}', None, 7.0),
        (b'{"details":{"retryAfterSeconds":7}}', 3.0, 3.0),
        (b"{}", None, None),
    ],
)
def test_overload_says_how_long_to_wait(
    body: bytes, header: float | None, seconds: float | None
) -> None:
    error = status_error(body, 429, header)

    assert isinstance(error, ApiUnavailable)
    assert error.retry_after == seconds


def test_foreign_text_is_cut() -> None:
    assert len(status_error(b"x" * 100_000, 500).message) == 256
