"""The page that lists what can be called; it needs no script and nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { background: #8881; padding: .75rem; overflow-x: auto }
summary { cursor: pointer; padding: .35rem 0 } summary b { display: inline-block; width: 5rem }
table { border-collapse: collapse } td { padding: .2rem .8rem .2rem 0; vertical-align: top }
:root { color-scheme: light dark }
"""


def docs_page(description: Mapping[str, Any]) -> str:
    """The HTML page of an OpenAPI description."""
    title = escape(f"{description['info']['title']} {description['info']['version']}")
    sections: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["Process"])[0]
            entry = "".join(_operation(method, path, operation, description))
            sections.setdefault(tag, []).append(entry)
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(entries)}" for tag, entries in sections.items())
    intro = escape(description["info"].get("description", ""))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1><p>{intro}</p>"
        f'<p>The whole description: <a href="/openapi.json">openapi.json</a>.</p>{body}</html>'
    )


def _operation(
    method: str, path: str, operation: Mapping[str, Any], description: Mapping[str, Any]
) -> Iterator[str]:
    yield f"<details><summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code> "
    yield f"{escape(operation.get('summary', ''))}</summary>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    parameters = operation.get("parameters", ())
    if parameters:
        yield "<table>" + "".join(
            _row(parameter["name"], parameter.get("description", ""))
            for parameter in (_found(one, description) for one in parameters)
        )
        yield "</table>"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(media)}</code></p>"
        for schema in _schemas(content.get("schema", {}), description):
            yield _schema(schema)
    yield "<table>" + "".join(
        _row(status, reply.get("description", ""))
        for status, reply in operation.get("responses", {}).items()
    )
    yield "</table></details>"


def _schemas(
    schema: Mapping[str, Any], description: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """The schema itself, or those that it refers to."""
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from _schemas(part, description)
    else:
        yield _found(schema, description)


def _found(part: Mapping[str, Any], description: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to, or the part itself."""
    found: Mapping[str, Any] = description if "$ref" in part else part
    for name in part.get("$ref", "#").split("/")[1:]:
        found = found[name]
    return found


def _schema(schema: Mapping[str, Any]) -> str:
    rows = "".join(
        _row(name, field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    )
    example = ""
    if "example" in schema:
        text = json.dumps(schema["example"], ensure_ascii=False, indent=2)
        example = f"<pre>{escape(text)}</pre>"
    return f"<table>{rows}</table>{example}"


def _row(name: str, text: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>"
