"""The tests mirror the package, file by file."""

from pathlib import Path

ROOT = Path(__file__).parents[1]

NO_TEST = {"__init__", "__main__"}
"Modules with nothing to test."

TYPES_ONLY = {
    "corefile/syntax.py",
    "plugins/commands.py",
    "dns/response.py",
    "dns/constants.py",
    "proxy/kubeproxyconfig.py",
}
"Modules that only declare; their users test them."

OTHER = {"e2e", "fuzz", "netns", "parity", "repo", "support"}
"Test folders that mirror no package."


def _unmatched(root: Path) -> set[Path]:
    """Give modules without a test file and test files without a module."""
    package = root / "svcdns"
    modules = {
        path.relative_to(package).with_name(f"test_{path.stem}.py")
        for path in package.rglob("*.py")
        if path.stem not in NO_TEST and path.relative_to(package).as_posix() not in TYPES_ONLY
    }
    tests = {path.relative_to(root / "tests") for path in (root / "tests").rglob("test_*.py")}
    mirrors = {path for path in tests if path.parts[0] not in OTHER}
    return modules ^ (mirrors - {Path("test_layout.py")})


def test_every_module_has_its_test_file() -> None:
    assert _unmatched(ROOT) == set()


def test_a_module_without_a_test_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "svcdns" / "dns").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "svcdns" / "dns" / "name.py").touch()

    assert _unmatched(tmp_path) == {Path("dns/test_name.py")}
