"""What a report's page must be whatever its run says: no script and no address but its own, and data that parse."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Final

OWN_SCRIPTS: Final = 2
"""The page's own, and the charts' data."""
EMPTY: Final = ("meta", "link", "input", "br", "wbr", "hr", "img")
ACTIVE: Final = ("iframe", "object", "embed", "base", "form", "svg", "math")


class Elements(HTMLParser):
    """Counts scripts, and notes whatever a page must not have."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts = 0
        self.data = ""
        self.wrong: list[str] = []
        self._open: list[str] = []
        self._in_data = False
        self.feed(text)
        self.close()
        self.wrong += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.scripts += tag == "script"
        self._in_data = named.get("type") == "application/json"
        self.wrong += [f"<{tag}>"] if tag in ACTIVE else []
        for name, value in attrs:
            if name.startswith("on") or (name in ("href", "src") and not (value or "").startswith(("#", "data:,"))):
                self.wrong.append(f"<{tag} {name}={value!r}>")
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._in_data = False
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data


def check_page(text: str) -> None:
    """Assert that a page is well formed, and runs and loads nothing but its own."""
    found = Elements(text)
    assert found.wrong == []
    assert found.scripts <= OWN_SCRIPTS
    if found.data:
        json.loads(found.data, parse_constant=_no_constant)
    text.encode()


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} in the charts' data, which no browser reads")
