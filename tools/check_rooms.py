"""Every room of the house is lived in, small enough to read, and where it belongs.

Run by `make arch`, after the import contracts. Refused: a package that holds no code or that no
test imports; a module over 400 lines; a function over 40; an import in `core` that is not the
standard library's; an import in the parser worker of another part of ragmesh than itself, the
chunker and `core`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 400
FUNCTION_LINES = 40
ROOT = "ragmesh"
OPERATOR = "ragmesh_operator"
GENERATED = f"{ROOT}.api"
CORE = f"{ROOT}.core"
PARSER = f"{ROOT}.indexing.parser"
MIGRATIONS = "migrations"
"""Alembic loads these by path; the tests of the catalog run them."""
PARSER_MAY_IMPORT = (CORE, PARSER, f"{ROOT}.indexing.chunker")


def main() -> int:
    """Print one line a fault; exit 1 if there is any."""
    root = Path(__file__).resolve().parent.parent
    faults = find_faults(root / "services", root / "tests")
    faults += find_faults(root / "operators", root / "tests", package=OPERATOR)
    for fault in faults:
        print(fault)
    print(f"{len(faults)} fault(s) in the rooms" if faults else "Every room is in order.")
    return 1 if faults else 0


def find_faults(source: Path, tests: Path, *, package: str = ROOT) -> list[str]:
    """Return every fault of the package under `source`, in the order of the files."""
    found = sorted((source / package).rglob("*.py"))
    modules = {path: _module_name(path, source) for path in found}
    faults: list[str] = []
    for path, name in modules.items():
        if not _inside(name, GENERATED):
            faults += _size_faults(path, source)
            faults += _import_faults(path, name, source)
    faults += _room_faults(modules, _imported_by(tests), source)
    return faults


def _module_name(path: Path, source: Path) -> str:
    parts = list(path.relative_to(source).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _size_faults(path: Path, source: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(source.parent).as_posix()
    lines = len(text.splitlines())
    if lines > MODULE_LINES:
        yield f"{where}: {lines} lines, {MODULE_LINES} at most"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield (
                    f"{where}:{node.lineno}: {node.name} has {length} lines, "
                    f"{FUNCTION_LINES} at most"
                )


def _import_faults(path: Path, name: str, source: Path) -> Iterator[str]:
    where = path.relative_to(source.parent).as_posix()
    for line, imported in _imports(path, name):
        top = imported.split(".")[0]
        if _inside(name, CORE) and not (top in sys.stdlib_module_names or _inside(imported, CORE)):
            yield f"{where}:{line}: core imports {imported}, not of the standard library"
        allowed = any(_inside(imported, package) for package in PARSER_MAY_IMPORT)
        if _inside(name, PARSER) and top == ROOT and not allowed:
            yield f"{where}:{line}: the parser worker imports {imported}"


def _imports(path: Path, name: str = "") -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of each import; `from a import b` is a.b, module or not."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _imported_by(tests: Path) -> set[str]:
    return {name for path in sorted(tests.rglob("*.py")) for _, name in _imports(path)}


def _room_faults(modules: dict[Path, str], tested: set[str], source: Path) -> Iterator[str]:
    for folder in sorted({path.parent for path in modules}):
        package = ".".join(folder.relative_to(source).parts)
        where = folder.relative_to(source.parent).as_posix()
        inside = [path for path in modules if folder in path.parents]
        if folder / "__init__.py" not in modules:
            yield f"{where}: a package needs an __init__.py"
        if not any(_has_code(path) for path in inside):
            yield f"{where}: an empty package"
        elif _inside(package, GENERATED) or MIGRATIONS in package.split("."):
            continue
        elif not any(_inside(name, package) for name in tested):
            yield f"{where}: no test imports {package}"


def _has_code(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not _is_docstring(statement) for statement in body)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


if __name__ == "__main__":
    sys.exit(main())
