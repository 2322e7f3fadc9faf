"""fetch in a real guild process: what is sent, what comes back, and where it never goes."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import h11
import pytest
import trio
import zstandard

from flora.engine.api import Dispatch, OpCall, OpError
from flora.engine.host import Engine
from tests.net.loopback import Answer, Request, Server, Stream, http_server, raw_server

from .web_rig import PUBLIC, secrets, web


async def echo(request: Request) -> Answer:
    """What was asked, as JSON."""
    seen = {
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": request.body.decode("latin-1"),
    }
    return Answer(200, json.dumps(seen).encode(), [("content-type", "application/json"), ("x-one", "1")])


def at(server: Server, path: str = "/", host: str = "api.test") -> str:
    return f"http://{host}:{server.port}{path}"


async def test_a_request_and_its_response(engine: Engine) -> None:
    async with http_server(echo) as server:
        script = f"""
        const response = await fetch("{at(server, "/a?b=c#d")}", {{
          method: "post",
          headers: {{ "X-Key": "value", host: "evil.test", "content-length": "9" }},
          body: "hällo",
        }});
        say([response.status, response.ok, response.statusText]);
        say([response.url, response.redirected, response.type]);
        say([response.headers.get("X-ONE"), response.headers.has("connection"), response.bodyUsed]);
        say(await response.json());
        say([response.bodyUsed, await attempt(() => response.text())]);
        """
        async with web(engine, script) as running:
            first, where, second, seen, last = await running.until_said(5)
    assert first == [200, True, ""]
    assert where == [at(server, "/a?b=c"), False, "basic"]
    assert second == ["1", False, False]
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/a?b=c", "hÃ¤llo")
    headers = seen["headers"]
    assert headers["host"] == f"api.test:{server.port}"
    assert headers["content-length"] == "6"
    assert headers["x-key"] == "value"
    assert headers["content-type"] == "text/plain;charset=UTF-8"
    assert headers["user-agent"].startswith("flora/")
    assert headers["accept-encoding"] == "gzip, deflate, zstd"
    assert "cookie" not in headers
    assert last == [True, "TypeError : the body was read already"]


async def test_bodies_of_every_kind(engine: Engine) -> None:
    async with http_server(echo) as server:
        script = f"""
        const form = new FormData();
        form.append("name", "wärt");
        form.append("file", new File(["text"], "a b.txt", {{ type: "text/plain" }}));
        const stream = new ReadableStream({{
          start(controller) {{
            controller.enqueue(new Uint8Array([104, 105]));
            controller.close();
          }},
        }});
        const bodies = [
          new Uint8Array([1, 255]).buffer,
          new Blob(["blob"], {{ type: "x/y" }}),
          form,
          new URLSearchParams({{ a: "b c" }}),
          stream,
        ];
        for (const body of bodies) {{
          const seen = await (await fetch("{at(server)}", {{ method: "PUT", body }})).json();
          say([seen.headers["content-type"]?.split(";")[0] ?? null, seen.body]);
        }}
        say((await (await fetch(new Request("{at(server)}", {{ method: "DELETE" }}))).json()).method);
        const parsed = await new Response(form).formData();
        const file = parsed.get("file");
        say([parsed.get("name"), file.name, await file.text(), file.type]);
        """
        async with web(engine, script) as running:
            said = await running.until_said(7)
    assert said[0] == [None, "\x01\xff"]
    assert said[1] == ["x/y", "blob"]
    assert said[2][0] == "multipart/form-data"
    assert 'name="file"; filename="a b.txt"\r\nContent-Type: text/plain\r\n\r\ntext\r\n' in said[2][1]
    assert said[3] == ["application/x-www-form-urlencoded", "a=b+c"]
    assert said[4] == [None, "hi"]
    assert said[5:] == ["DELETE", ["wärt", "a b.txt", "text", "text/plain"]]


TEXT = b"flora " * 5000


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(TEXT[:9000]) + gzip.compress(TEXT[9000:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT, wbits=-15)),
        ("zstd", zstandard.compress(TEXT)),
        ("gzip, zstd", zstandard.compress(gzip.compress(TEXT))),
        ("identity", TEXT),
    ],
    ids=["gzip", "zlib", "deflate", "zstd", "both", "identity"],
)
async def test_content_codings(engine: Engine, coding: str, body: bytes) -> None:
    async def answer(request: Request) -> Answer:
        return Answer(200, body, [("content-encoding", coding)])

    async with http_server(answer) as server:
        script = f'say((await (await fetch("{at(server)}")).text()) === "flora ".repeat(5000));'
        async with web(engine, script) as running:
            assert await running.until_said(1) == [True]


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
async def test_a_bomb_ends_at_the_limit(engine: Engine, coding: str) -> None:
    huge = bytes(40 * 2**20)
    compress: Any = {"gzip": gzip.compress, "zstd": zstandard.compress, "deflate": zlib.compress}[coding]
    bomb = compress(huge)

    async def answer(request: Request) -> Answer:
        return Answer(200, bomb, [("content-encoding", coding)])

    async with http_server(answer) as server:
        script = f'say(await attempt(async () => (await (await fetch("{at(server)}")).bytes()).length));'
        async with web(engine, script, max_response_bytes=2**20) as running:
            (said,) = await running.until_said(1)
            assert said.startswith("TypeError FETCH_TOO_LARGE")
            assert running.fetcher.in_flight == 0


async def test_a_body_that_is_damaged_or_cut_short_is_an_error(engine: Engine) -> None:
    async def answer(request: Request) -> Answer:
        body = b"not gzip" if request.target == "/damaged" else gzip.compress(TEXT)[:-20]
        return Answer(200, body, [("content-encoding", "gzip")])

    async with http_server(answer) as server:
        script = "".join(
            f'say(await attempt(async () => (await fetch("{at(server, path)}")).text()));'
            for path in ("/damaged", "/short")
        )
        async with web(engine, script) as running:
            said = await running.until_said(2)
    assert all(text.startswith("TypeError FETCH_BAD_CODING") for text in said)


async def stream_forever(stream: Stream) -> None:
    """A chunk whenever there is room for one, until the client leaves."""
    protocol = h11.Connection(h11.SERVER)
    while not isinstance(event := protocol.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            protocol.receive_data(bytes(await stream.receive_some(65536)))
    await stream.send_all(protocol.send(h11.Response(status_code=200, headers=[])) or b"")
    while True:
        await stream.send_all(protocol.send(h11.Data(data=bytes(65536))) or b"")


async def test_a_stream_is_read_piece_by_piece_and_no_further(engine: Engine) -> None:
    async with raw_server(stream_forever) as port:
        script = f"""
        const response = await fetch("http://api.test:{port}/");
        const reader = response.body.getReader();
        let size = 0;
        for (let i = 0; i < 5; i++) size += (await reader.read()).value.length;
        say(size > 0);
        """
        async with web(engine, script) as running:
            assert await running.until_said(1) == [True]
            reads = [name for name, _ in running.host.ops if name == "fetch_read"]
            assert len(reads) == 5
            assert running.fetcher.in_flight == 1


async def test_an_abort_cancels_the_host_s_request(engine: Engine) -> None:
    left = trio.Event()

    async def hang(stream: Stream) -> None:
        await stream.receive_some(65536)
        try:
            assert await stream.receive_some(1) == b""
        finally:
            left.set()

    async with raw_server(hang) as port:
        script = f"""
        const controller = new AbortController();
        const asked = fetch("http://api.test:{port}/", {{ signal: controller.signal }});
        on("messageCreate", () => controller.abort(new Error("enough")));
        asked.catch((error) => say(error.message));
        fetch("http://api.test:{port}/", {{ signal: AbortSignal.abort() }}).catch((error) => say(error.name));
        """
        async with web(engine, script) as running:
            assert await running.until_said(1) == ["AbortError"]
            await running.until(lambda: running.fetcher.in_flight == 1)
            await running.process.dispatch(Dispatch("MESSAGE_CREATE", b'{"content":"","author":{}}', "e"))
            assert (await running.until_said(2))[1] == "enough"
            with trio.fail_after(30):
                await left.wait()
            await running.until(lambda: running.fetcher.in_flight == 0)


async def test_a_body_is_aborted_and_cancelled(engine: Engine) -> None:
    async with raw_server(stream_forever) as port:
        script = f"""
        const controller = new AbortController();
        const first = await fetch("http://api.test:{port}/", {{ signal: controller.signal }});
        controller.abort();
        say(await attempt(() => first.text()));
        const second = await fetch("http://api.test:{port}/");
        await second.body.cancel();
        say("cancelled");
        const third = await fetch("http://api.test:{port}/", {{ signal: AbortSignal.timeout(50) }});
        say(await attempt(() => third.text()));
        """
        async with web(engine, script) as running:
            said = await running.until_said(3)
            await running.until(lambda: running.fetcher.in_flight == 0)
    assert said[0].startswith("AbortError 20")
    assert said[1] == "cancelled"
    assert said[2].startswith("TimeoutError 23")


async def test_everything_ends_with_the_guild_process(engine: Engine) -> None:
    async with raw_server(stream_forever) as port:
        script = f'globalThis.kept = await fetch("http://api.test:{port}/"); say("open");'
        async with web(engine, script) as running:
            await running.until_said(1)
            running.process.kill("the test says so")
            await running.process.wait()
            running.host.context.close()
            assert running.fetcher.in_flight == 0


async def test_time_is_limited_also_for_a_body_that_nobody_reads(engine: Engine) -> None:
    async def hang(stream: Stream) -> None:
        while await stream.receive_some(65536):
            pass

    async with raw_server(hang) as silent, raw_server(stream_forever) as endless:
        script = f"""
        say(await attempt(() => fetch("http://api.test:{silent}/")));
        globalThis.kept = await fetch("http://api.test:{endless}/");
        say("open");
        """
        async with web(engine, script, timeout_secs=0.3) as running:
            said = await running.until_said(2)
            assert said[0].startswith("TypeError FETCH_TIMEOUT")
            await running.until(lambda: running.fetcher.in_flight == 0)


async def test_requests_of_a_guild_wait_for_their_turn_and_have_a_rate(engine: Engine) -> None:
    open_now, most = 0, 0

    async def answer(request: Request) -> Answer:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await trio.sleep(0.01)
        open_now -= 1
        return Answer(200, b"x")

    async with http_server(answer) as server:
        script = f"""
        const one = async () => (await fetch("{at(server)}")).text();
        const all = await Promise.allSettled(Array.from({{ length: 12 }}, one));
        say(all.filter((each) => each.status === "fulfilled").length);
        say([...new Set(all.map((each) => each.reason?.code).filter((code) => code))]);
        """
        async with web(engine, script, max_concurrent=2, requests_per_minute=9) as running:
            assert await running.until_said(2) == [9, ["FETCH_RATE_LIMITED"]]
            assert running.fetcher.statistics.requests["limited"] == 3
    assert most <= 2


async def test_a_request_s_body_is_limited(engine: Engine) -> None:
    async with http_server(echo) as server:
        script = f"""
        say(await attempt(() => fetch("{at(server)}", {{ method: "POST", body: "x".repeat(101) }})));
        say((await fetch("{at(server)}", {{ method: "POST", body: "x".repeat(100) }})).status);
        """
        async with web(engine, script, max_request_bytes=100) as running:
            said = await running.until_said(2)
    assert said[0].startswith("TypeError FETCH_TOO_LARGE")
    assert said[1] == 200


# ------------------------------------------------------------------------------------------ redirects


def redirects(table: dict[str, tuple[int, str]]) -> Any:
    async def answer(request: Request) -> Answer:
        if request.target in table:
            status, location = table[request.target]
            return Answer(status, b"moved", [("location", location)])
        return await echo(request)

    return answer


async def test_redirects_as_the_standard_has_them(engine: Engine) -> None:
    table: dict[str, tuple[int, str]] = {"/loop": (302, "/loop")}
    table |= {f"/{status}": (status, "/end") for status in (301, 302, 303, 307, 308)}
    async with http_server(redirects(table)) as server:
        script = f"""
        const base = "{at(server, "")}";
        for (const status of [301, 302, 303, 307, 308]) {{
          const headers = {{ authorization: "a" }};
          const response = await fetch(base + "/" + status, {{ method: "POST", body: "b", headers }});
          const seen = await response.json();
          const typed = "content-type" in seen.headers;
          const ended = response.redirected && response.url.endsWith("/end");
          say([seen.method, seen.body, typed, seen.headers.authorization, ended]);
        }}
        say((await fetch(base + "/301", {{ redirect: "manual" }})).headers.get("location"));
        say(await attempt(() => fetch(base + "/301", {{ redirect: "error" }})));
        say(await attempt(() => fetch(base + "/loop")));
        """
        async with web(engine, script, max_redirects=5) as running:
            said = await running.until_said(8)
    as_get, as_it_was = ["GET", "", False, "a", True], ["POST", "b", True, "a", True]
    assert said[:5] == [as_get, as_get, as_get, as_it_was, as_it_was]
    assert said[5] == "/end"
    assert said[6].startswith("TypeError FETCH_REDIRECT")
    assert said[7].startswith("TypeError FETCH_REDIRECT")


async def test_credentials_are_not_carried_to_another_origin(engine: Engine) -> None:
    moved: dict[str, tuple[int, str]] = {}
    async with http_server(echo) as other, http_server(redirects(moved)) as server:
        moved["/"] = (307, at(other, "/x", "other.test"))
        script = f"""
        const headers = {{ authorization: "a", cookie: "b", "x-kept": "c" }};
        const seen = await (await fetch("{at(server)}", {{ headers }})).json();
        say([seen.headers.authorization ?? null, seen.headers.cookie ?? null, seen.headers["x-kept"]]);
        """
        async with web(engine, script) as running:
            assert await running.until_said(1) == [[None, None, "c"]]


INSIDE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://2130706433:{port}/",
    "//127.1:{port}/",
    "http://%EF%BC%90x7f.1:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://inside.test:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://user@api.test:{port}/",
    "ftp://api.test/",
    "file:///etc/passwd",
]


async def test_redirects_lead_nowhere_that_a_request_may_not_go(engine: Engine) -> None:
    """The first hop is an address that the operator opened; nothing else of this machine is open."""
    table: dict[str, tuple[int, str]] = {}
    async with http_server(echo) as inside, http_server(redirects(table)) as server:
        table |= {f"/{i}": (302, where.format(port=inside.port)) for i, where in enumerate(INSIDE)}
        script = f"""
        for (let i = 0; i < {len(INSIDE)}; i++) say(await attempt(() => fetch("{at(server, "/")}" + i)));
        """
        async with web(
            engine,
            script,
            names={"api.test": ["127.0.0.1"], "inside.test": ["127.0.0.1"]},
            allow_ports=(str(server.port),),
        ) as running:
            said = await running.until_said(len(INSIDE))
        assert inside.requests == []
    assert all(text.startswith(("TypeError EGRESS_DENIED", "TypeError INVALID_URL")) for text in said), said


# ------------------------------------------------------------------------- where requests never go


NAMES: dict[str, Any] = {
    "loopback.test": ["127.0.0.1"],
    "private.test": ["10.0.0.1", "192.168.1.1"],
    "metadata.test": ["169.254.169.254"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "sixtofour.test": ["2002:7f00:1::"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "six.test": ["::1", "fe80::1%eth0", "fd00::1"],
    "zero.test": ["0.0.0.0"],
    "garbage.test": ["not an address"],
    "empty.test": [],
}

NOTATIONS = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://LOCALHOST:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://127。0。0。1:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://%6cocalhost:{port}/",
    "http:127.0.0.1:{port}/",
    "http:\\\\\\\\127.0.0.1:{port}\\\\",
    "http://api.test@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@api.test/",
    "http://[::1%25lo]:{port}/",
    *(f"http://{name}:{{port}}/" for name in NAMES),
]


async def test_no_notation_and_no_name_leads_inside(engine: Engine) -> None:
    async with http_server(echo) as server:
        urls = [text.format(port=server.port) for text in NOTATIONS]
        listed = ", ".join(f'"{url}"' for url in urls)
        script = f"for (const url of [{listed}]) say(await attempt(() => fetch(url)));"
        async with web(engine, script, names=NAMES, allow_private_addresses=()) as running:
            said = await running.until_said(len(urls))
        assert server.connections == 0
    assert all(text.startswith("TypeError") for text in said), said


async def test_a_script_that_goes_round_the_sdk_gets_no_further(engine: Engine) -> None:
    """What the SDK corrects or refuses, the host does, too: here it gets the text as it is."""
    async with http_server(echo) as server:
        async with web(engine, "", names=NAMES, allow_private_addresses=()) as running:
            for number, text in enumerate(NOTATIONS):
                url = text.replace("\\\\", "\\").format(port=server.port)
                call = OpCall("fetch_start", json.dumps({"id": number, "url": url}).encode(), None, 0)
                with pytest.raises(OpError):
                    await running.host.op(call)
            for args in (
                {"method": "CONNECT"},
                {"method": "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"},
                {"headers": "a: b\r\nc: d"},
                {"headers": "a\0: b"},
                {"headers": "nonsense"},
                {"redirect": "maybe"},
                {"body": "not base64!"},
            ):
                url = f"http://api.test:{server.port}/"
                call = OpCall("fetch_start", json.dumps({"id": 99, "url": url, **args}).encode(), None, 0)
                with pytest.raises(OpError):
                    await running.host.op(call)
            assert running.fetcher.in_flight == 0
        assert server.connections == 0


async def test_a_name_that_changes_between_look_and_leap_gains_nothing(engine: Engine) -> None:
    """It is resolved once: the connection goes to the address that was judged."""
    async with http_server(echo) as server:
        names: dict[str, Any] = {"rebind.test": [[PUBLIC], ["127.0.0.1"]]}
        script = f"""
        const url = "http://rebind.test:{server.port}/";
        say(await attempt(() => fetch(url, {{ signal: AbortSignal.timeout(300) }})));
        say(await attempt(() => fetch(url)));
        """
        async with web(engine, script, names=names, allow_private_addresses=()) as running:
            said = await running.until_said(2)
            assert running.names.asked == ["rebind.test", "rebind.test"]
        assert server.connections == 0
    assert said[1].startswith("TypeError EGRESS_DENIED")


async def test_of_a_name_s_addresses_only_the_permitted_ones_are_tried(engine: Engine) -> None:
    async with http_server(echo) as server:
        names = {"both.test": ["10.0.0.1", "::1", "127.0.0.1", "192.168.0.1"]}
        script = f'say((await fetch("http://both.test:{server.port}/")).status);'
        async with web(engine, script, names=names) as running:
            assert await running.until_said(1) == [200]


# ------------------------------------------------------------------------------------------- secrets


async def test_secrets_are_filled_in_for_allowed_hosts_only(engine: Engine) -> None:
    held = secrets({"KEY": ('s3cr"t', ["api.test"])})
    placeholder = held.placeholder("KEY")
    async with http_server(echo) as other:
        moved = {"/away": (307, at(other, "/x", "other.test"))}
        async with http_server(redirects(moved)) as server:
            script = f"""
            const key = "{placeholder}";
            const url = "{at(server)}?" + new URLSearchParams({{ key }});
            const headers = {{ "x-key": `Bearer ${{key}}`, "content-type": "application/json" }};
            const response = await fetch(url, {{ method: "POST", headers, body: JSON.stringify({{ key }}) }});
            say(response.url.includes("s3cr"));
            say(await response.json());
            say((await (await fetch("{at(server)}", {{ method: "POST", body: "k=" + key }})).json()).body);
            const other = "{at(other, "/", "other.test")}";
            say(await attempt(() => fetch(other, {{ headers: {{ "x-key": key }} }})));
            say(await attempt(() => fetch(other + key)));
            say(await attempt(() => fetch(other, {{ method: "POST", body: key }})));
            say(await attempt(() => fetch("{at(server, "/away")}", {{ headers: {{ "x-key": key }} }})));
            say(await attempt(() => fetch("http://" + key + "/")));
            """
            async with web(engine, script, held=held) as running:
                said = await running.until_said(8)
        assert other.requests == []
    assert said[0] is False
    assert said[1]["target"] == "/?key=s3cr%22t"
    assert said[1]["headers"]["x-key"] == 'Bearer s3cr"t'
    assert json.loads(said[1]["body"]) == {"key": 's3cr"t'}
    assert said[2] == 'k=s3cr"t'
    assert all(text.startswith("TypeError SECRET_HOST_FORBIDDEN") for text in said[3:7]), said[3:7]
    assert said[7].startswith("TypeError INVALID_URL")
