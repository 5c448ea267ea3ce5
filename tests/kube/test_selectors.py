import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.kube.selectors import Selector, parse, selects

WEB = {"app": "web", "tier": "front", "empty": "", "weight": "5", "example.com/role": "edge"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("  ", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier = front", True),
        ("app=api", False),
        ("app=web,tier=back", False),
        ("app!=api", True),
        ("app!=web", False),
        ("missing!=x", True),  # G3: as the API has it
        ("app in (web, api)", True),
        ("app in(api)", False),
        ("app notin (api,db)", True),
        ("missing notin (x)", True),
        ("app notin (web)", False),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("! app", False),
        ("empty=", True),
        ("app=", False),
        ("empty in (x,)", True),
        ("weight>4", True),
        ("weight > 5", False),
        ("weight<6", True),
        ("app>1", False),
        ("missing<1", False),
        ("example.com/role=edge", True),
        ("in=x", False),
        ("notin", False),
        ("in in (in)", False),
        ("!service.kubernetes.io/service-proxy-name", True),  # R2
    ],
)
def test_g3_selectors_select_what_the_api_selects(text: str, selected: bool) -> None:
    assert parse(text).matches(WEB) is selected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("app=web,", "a label is expected, not the end"),
        (",app=web", "a label is expected, not ,"),
        ("=web", "a label is expected, not ="),
        ("app web", "is expected after app, not web"),
        ("app in web", r"\( is expected, not web"),
        ("app in (web", r"\) is expected, not the end"),
        ("app in web)", r"\( is expected"),
        ("app=web tier=front", ", is expected, not tier"),
        ("app=a=b", ", is expected, not ="),
        ("app==!x", "a value is expected, not !"),
        ("weight>heavy", "an integer is expected, not heavy"),
        ("weight>", "an integer is expected, not the end"),
        ("weight>" + "9" * 64, "an integer is expected"),
        ("!", "a label is expected"),
        ("-app=web", "must be letters, digits"),
        ("app=web-", "value web- must be letters"),
        ("a" * 64, "at most 63"),
        ("app=" + "a" * 64, "at most 63"),
        ("Example.com/role", "must be a DNS subdomain"),
        ("/role", "must be a DNS subdomain"),
        ("a/b/c", "must be a DNS subdomain"),
        ("app=ä", "value ä must be"),
    ],
)
def test_a_mistake_is_named(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse(text)
    assert str(caught.value).startswith(f"label selector {text!r}: ")


@given(st.text(alphabet="ab-./=!<>(), \tin", max_size=20))
def test_any_text_is_a_selector_or_a_value_error(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    assert isinstance(found, Selector)
    assert found.matches({}) in (True, False)


def test_objects_without_labels_can_be_selected() -> None:
    assert parse("!app").matches(None)
    assert not parse("app").matches(None)


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        ({"app": "web"}, WEB, True),
        ({"app": "web", "tier": "front"}, WEB, True),
        ({"app": "web", "tier": "back"}, WEB, False),
        ({"missing": ""}, WEB, False),
        ({"empty": ""}, WEB, True),
        ({"app": "web"}, None, False),
        ({}, WEB, False),
        (None, WEB, False),
    ],
)
def test_a_service_selects_pods_by_equality(
    selector: dict[str, str] | None, labels: dict[str, str] | None, selected: bool
) -> None:
    assert selects(selector, labels) is selected
