"""deploy/chart, rendered and linted by Helm's own engine.

The engine comes as a library inside a wheel, for Linux on x86-64 only; elsewhere the tests that need
it skip.
"""

from typing import Any

import pytest

from tests.support.deploy import DEPLOY

CHART = DEPLOY / "chart"


def render(values: dict[str, Any] | None = None, *, namespace: str = "kube-system") -> str:
    """Give what ``helm template svcdns deploy/chart`` prints, with *values* over the chart's own.

    Raises:
        HelmError: The schema of the values, or a template, says no.
    """
    chart = _helm().chart.Chart.load(str(CHART))
    chart.validate_schema(chart.merge_values(values))
    rendered = chart.render(values, name="svcdns", namespace=namespace)
    return "\n---\n".join(rendered[path] for path in sorted(rendered))


def lint() -> list[str]:
    """Give what ``helm lint --strict`` complains of: warnings and errors, not hints."""
    report = _helm().chart.lint(str(CHART), strict=True)
    complaints = [
        f"{one['path']}: {one['error']}" for one in report["messages"] if one["severity"] > 1
    ]
    return complaints + list(report["errors"])


def refused() -> type[Exception]:
    """Give the class of what `render` raises."""
    error: type[Exception] = _helm().errors.HelmError
    return error


def _helm() -> Any:
    return pytest.importorskip("helm_python", reason="Helm's engine has no wheel for this machine")
