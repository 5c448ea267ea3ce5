import msgspec
import pytest

from svcdns.kube.metadata import Metadata
from svcdns.kube.objects import Conditions, Endpoint, EndpointSlice, Pod, Service


def service(**spec: object) -> Service:
    return msgspec.convert({"metadata": {"name": "a", "namespace": "b"}, "spec": spec}, Service)


@pytest.mark.parametrize(
    ("spec", "addresses", "headless"),
    [
        ({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]}, ("10.0.0.1", "fd00::1"), False),
        ({"clusterIP": "10.0.0.1"}, ("10.0.0.1",), False),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, (), True),
        ({"clusterIP": "None"}, (), True),
        ({"clusterIP": ""}, (), False),
        ({"clusterIP": None, "clusterIPs": None}, (), False),
        ({"type": "ExternalName", "externalName": "x.example", "clusterIP": "None"}, (), False),
        ({"type": "ExternalName", "clusterIPs": ["10.0.0.1"]}, (), False),
    ],
)  # fmt: skip
def test_r1_addresses_of_a_service(
    spec: dict[str, object], addresses: tuple[str, ...], headless: bool
) -> None:
    found = service(**spec)

    assert (found.addresses, found.headless) == (addresses, headless)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (None, (True, True, False)),
        (Conditions(), (True, True, False)),
        (Conditions(ready=False), (False, True, False)),
        (Conditions(ready=False, serving=True, terminating=True), (False, True, True)),
        (Conditions(serving=False), (True, False, False)),
    ],
)
def test_d2_r11_what_nobody_said(
    conditions: Conditions | None, expected: tuple[bool, bool, bool]
) -> None:
    found = Endpoint(addresses=("10.0.0.1",), conditions=conditions)

    assert (found.ready, found.serving, found.terminating) == expected


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"kubernetes.io/service-name": "web"}, ("ns", "web")),
        ({"kubernetes.io/service-name": ""}, None),
        ({"other": "web"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_r4_a_slice_belongs_to_the_service_in_its_label(
    labels: dict[str, str] | None, service: tuple[str, str] | None
) -> None:
    found = EndpointSlice(metadata=Metadata(name="web-1", namespace="ns", labels=labels))

    assert found.service == service


def test_nulls_where_the_api_sends_them_cost_nothing() -> None:
    body = b"""{"metadata":{"name":"a","namespace":"b","labels":null,"annotations":null},
        "addressType":"IPv4","endpoints":null,"ports":null}"""
    found = msgspec.json.decode(body, type=EndpointSlice)
    pod = msgspec.json.decode(
        b'{"metadata":{"name":"a"},"spec":{"containers":null},"status":{"podIPs":null}}', type=Pod
    )

    assert found.endpoints is None
    assert pod.status.pod_ips is None


def test_objects_are_no_work_for_the_cycle_collector() -> None:
    import gc

    assert not gc.is_tracked(service(clusterIP="10.0.0.1"))
