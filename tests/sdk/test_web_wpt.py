"""The web platform in a real guild process, against the data of web-platform-tests (wpt/LICENSE.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flora.engine.host import Engine

from .guilds import guild

WPT = Path(__file__).parent / "wpt"


def load(name: str) -> Any:
    return json.loads((WPT / name).read_text("utf-8"))


async def failures(engine: Engine, cases: Any, check: str) -> list[Any]:
    """What `check`, a function of one case, returns for those that it does not return null for."""
    script = f"""
    const cases = {json.dumps(cases)};
    const check = {check};
    const failed = [];
    for (const each of cases) {{
      let found;
      try {{ found = check(each); }} catch (error) {{ found = `${{error.name}}: ${{error.message}}`; }}
      if (found !== null) failed.push([each, found]);
    }}
    for (const each of failed.slice(0, 50)) console.log(JSON.stringify(each));
    console.log("checked " + cases.length);
    """
    async with guild(engine, script) as running:
        await running.host.until(lambda: running.host.logs[-1:] == [("info", f"checked {len(cases)}")])
        return [json.loads(text) for _, text in running.host.logs[:-1]]


async def test_the_url_parser(engine: Engine) -> None:
    cases = [each for each in load("urltestdata.json") if isinstance(each, dict)]
    assert len(cases) > 800
    check = """({ input, base, failure, ...wanted }) => {
      const url = URL.parse(input, base ?? undefined);
      if (URL.canParse(input, base ?? undefined) !== (url !== null)) return "canParse says otherwise";
      if (failure) return url === null ? null : url.href;
      if (url === null) return "no URL";
      delete wanted.relativeTo; delete wanted.searchParams; delete wanted.comment;
      const found = {};
      for (const key of Object.keys(wanted)) if (url[key] !== wanted[key]) found[key] = url[key];
      return Object.keys(found).length === 0 ? null : found;
    }"""
    assert await failures(engine, cases, check) == []


async def test_the_setters_of_a_url(engine: Engine) -> None:
    cases = [
        {"name": name, **case}
        for name, group in load("setters_tests.json").items()
        if name != "comment"
        for case in group
    ]
    assert len(cases) > 200
    check = """({ name, href, new_value, expected }) => {
      const url = new URL(href);
      url[name] = new_value;
      const found = {};
      for (const key of Object.keys(expected)) if (url[key] !== expected[key]) found[key] = url[key];
      return Object.keys(found).length === 0 ? null : found;
    }"""
    assert await failures(engine, cases, check) == []


async def test_base64(engine: Engine) -> None:
    check = """([input, output]) => {
      let found;
      try { found = Array.from(atob(input), (each) => each.charCodeAt(0)); } catch (error) {
        found = error instanceof DOMException && error.name === "InvalidCharacterError" ? null : error.name;
      }
      return JSON.stringify(found) === JSON.stringify(output) ? null : found;
    }"""
    assert await failures(engine, load("base64.json"), check) == []
