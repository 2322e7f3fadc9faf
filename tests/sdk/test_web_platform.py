"""The classes of the web platform, in real guild processes; URL: test_web_wpt, fetch: test_web_fetch."""

# ruff: noqa: E501 - JavaScript, one expression a line

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
import trio
from nacl.signing import SigningKey

from flora.build.sdk import SOURCE_DIR
from flora.build.sourcemap import is_internal
from flora.build.toolchain import Toolchain
from flora.engine.host import Engine

from .guilds import values
from .web_rig import web


async def check(engine: Engine, cases: dict[str, object]) -> None:
    found = await values(engine, list(cases))
    assert dict(zip(cases, found, strict=True)) == cases


async def test_text_encoder_and_decoder(engine: Engine) -> None:
    decode = "new TextDecoder({}).decode(new Uint8Array({}))"
    await check(
        engine,
        {
            "[...new TextEncoder().encode('aé€😀\\ud800')]": [
                *"aé€😀".encode(),
                0xEF,
                0xBF,
                0xBD,
            ],
            "new TextEncoder().encodeInto('a€', new Uint8Array(3))": {"read": 1, "written": 1},
            decode.format("", [0xEF, 0xBB, 0xBF, 0x61]): "a",
            decode.format("'utf-8', { ignoreBOM: true }", [0xEF, 0xBB, 0xBF, 0x61]): "\ufeffa",
            decode.format("", [0xC0, 0x80, 0x61]): "\ufffd\ufffda",
            decode.format("", [0xED, 0xA0, 0x80]): "\ufffd\ufffd\ufffd",
            decode.format("", [0xF4, 0x90, 0x80, 0x80]): "\ufffd\ufffd\ufffd\ufffd",
            decode.format("", [0xF0, 0x9F, 0x98]): "\ufffd",
            decode.format("'utf-8', { fatal: true }", [0xFF]): "TypeError: the bytes are not UTF-8",
            decode.format("'utf-16le'", [0x61, 0, 0x3D, 0xD8, 0, 0xDE]): "a😀",
            decode.format("'utf-16be'", [0, 0x61, 0xD8, 0x3D]): "a\ufffd",
            decode.format("'latin1'", [0x80, 0xE9, 0x9F]): "€éŸ",
            "(() => { const d = new TextDecoder(); return d.decode(new Uint8Array([0xe2, 0x82]), { stream: true })"
            " + d.decode(new Uint8Array([0xac])); })()": "€",
            "new TextDecoder(' UTF8 ').encoding": "utf-8",
            "new TextDecoder('x')": 'RangeError: "x" is no encoding that flora decodes',
        },
    )


async def test_base64(engine: Engine) -> None:
    await check(
        engine,
        {
            "btoa('\\xff\\x00a')": "/wBh",
            "btoa('€')": "InvalidCharacterError: btoa takes characters up to U+00FF only",
            "atob(' Y Q = = ')": "a",
        },
    )


async def test_headers(engine: Engine) -> None:
    await check(
        engine,
        {
            "[...new Headers([['B', '2'], ['a', ' 1 '], ['b', '3']])]": [["a", "1"], ["b", "2, 3"]],
            "new Headers({ a: '1' }).get('A')": "1",
            "new Headers({ a: '1' }).get('b')": None,
            "(() => { const h = new Headers(); h.append('set-cookie', 'a=1'); h.append('Set-Cookie', 'b=2');"
            " return [h.getSetCookie(), [...h.keys()]]; })()": [["a=1", "b=2"], ["set-cookie", "set-cookie"]],
            "(() => { const h = new Headers({ a: '1', b: '2' }); h.set('A', '3'); h.delete('b'); return [...h]; })()": [
                ["a", "3"]
            ],
            "new Headers({ 'a b': '1' })": 'TypeError: "a b" is not the name of a header',
            "new Headers({ a: '1\\n2' })": "TypeError: the value of a header has no line break and no NUL",
            "new Headers({ a: '€' })": "TypeError: the value of a header takes characters up to U+00FF only",
            "new Headers([['a']])": "TypeError: Headers takes pairs of a name and a value",
            "Object.prototype.toString.call(new Headers())": "[object Headers]",
        },
    )


async def test_url_search_params_and_patterns(engine: Engine) -> None:
    await check(
        engine,
        {
            "String(new URLSearchParams({ a: 'b c&', 'é': '~' }))": "a=b+c%26&%C3%A9=%7E",
            "[...new URLSearchParams('?a=1&a=2&b=%zz+')]": [["a", "1"], ["a", "2"], ["b", "%zz "]],
            "(() => { const u = new URL('https://x.y/?a=1'); u.searchParams.append('b', '2'); u.searchParams.delete('a');"
            " return u.href; })()": "https://x.y/?b=2",
            "(() => { const u = new URL('https://x.y/?a=1'); const p = u.searchParams; u.search = '?c=3';"
            " return p.get('c'); })()": "3",
            "(() => { const p = new URLSearchParams('b=1&a=2&b=0'); p.sort(); return String(p); })()": "a=2&b=1&b=0",
            "new URLPattern({ pathname: '/:owner/:repo' }).exec('https://x.y/a/b').pathname.groups": {
                "owner": "a",
                "repo": "b",
            },
            "new URLPattern('https://*.x.y/*').test('https://a.x.y/z')": True,
        },
    )


async def test_structured_clone(engine: Engine) -> None:
    await check(
        engine,
        {
            "structuredClone({ a: [1, , 3], b: undefined, c: null, d: -0 })": {
                "a": [1, None, 3],
                "c": None,
                "d": 0,
            },
            "(() => { const a = { x: {} }; a.self = a; const b = structuredClone(a); return [b !== a, b.self === b]; })()": [
                True,
                True,
            ],
            "(() => { const m = structuredClone(new Map([[{ k: 1 }, new Set([1])]])); return [m instanceof Map,"
            " [...m.keys()], [...[...m.values()][0]]]; })()": [True, [{"k": 1}], [1]],
            "structuredClone(new Date(5)).getTime()": 5,
            "String(structuredClone(/a/gi))": "/a/gi",
            "(() => { const e = structuredClone(new RangeError('m', { cause: 1 })); return [e instanceof RangeError,"
            " e.message, e.cause]; })()": [True, "m", 1],
            "(() => { const u = new Uint16Array([1, 2, 3]); const c = structuredClone({ u, s: u.subarray(1) });"
            " return [[...c.s], c.u.buffer === c.s.buffer]; })()": [[2, 3], True],
            "(() => { const b = new ArrayBuffer(4); const c = structuredClone(b, { transfer: [b] });"
            " return [b.detached, c.byteLength]; })()": [True, 4],
            "structuredClone(() => {})": "DataCloneError: a function cannot be cloned",
            "structuredClone({ s: Symbol() })": "DataCloneError: a symbol cannot be cloned",
            "structuredClone(new WeakMap())": "DataCloneError: this object cannot be cloned",
            "structuredClone(new URL('https://x.y/'))": "DataCloneError: this object cannot be cloned",
            "structuredClone(new (class A { x = 1; get y() { return 2; } })())": {"x": 1},
            "Object.keys(structuredClone(JSON.parse('{\"__proto__\": 1}')))": ["__proto__"],
        },
    )


async def test_events_and_abort_signals(engine: Engine) -> None:
    await check(
        engine,
        {
            "(() => { const t = new EventTarget(); const seen = []; const f = (e) => seen.push(e.type);"
            " t.addEventListener('a', f); t.addEventListener('a', f); t.addEventListener('a', { handleEvent: f }, { once: true });"
            " t.dispatchEvent(new Event('a')); t.dispatchEvent(new Event('a')); t.removeEventListener('a', f);"
            " t.dispatchEvent(new Event('a')); return seen.length; })()": 3,
            "(() => { const t = new EventTarget(); t.addEventListener('a', (e) => e.preventDefault());"
            " return [t.dispatchEvent(new Event('a', { cancelable: true })), t.dispatchEvent(new Event('a'))]; })()": [
                False,
                True,
            ],
            "(() => { const c = new AbortController(); const any = AbortSignal.any([c.signal, new AbortController().signal]);"
            " let n = 0; any.onabort = () => n++; c.abort('why'); c.abort('again'); return [any.aborted, any.reason, n]; })()": [
                True,
                "why",
                1,
            ],
            "AbortSignal.abort().throwIfAborted()": "AbortError: this was aborted",
            "new DOMException('m', 'AbortError').code": 20,
            "new DOMException('m') instanceof Error": True,
            "new CustomEvent('x', { detail: 5 }).detail": 5,
        },
    )


async def test_streams(engine: Engine) -> None:
    script = """
    const upper = new TransformStream({ transform(chunk, to) { to.enqueue(chunk.toUpperCase()); } });
    const bytes = ReadableStream.from(["a", "é"]).pipeThrough(upper).pipeThrough(new TextEncoderStream());
    const [one, other] = bytes.pipeThrough(new TextDecoderStream()).tee();
    let text = "";
    for await (const chunk of one) text += chunk;
    say(text);
    const written = [];
    await other.pipeTo(new WritableStream({ write(chunk) { written.push(chunk); } }));
    say(written.join(""));
    say(await new Response(new Blob(["bl", new Uint8Array([0x6f]), new Blob(["b"])]).stream()).text());
    const file = new File(["abc"], "a.txt", { type: "Text/Plain", lastModified: 5 });
    say([file.name, file.size, file.type, file.lastModified, await file.slice(-2, 3).text()]);
    """
    async with web(engine, script) as running:
        assert await running.until_said(4) == ["AÉ", "AÉ", "blob", ["a.txt", 3, "text/plain", 5, "bc"]]


async def test_responses_and_requests_by_themselves(engine: Engine) -> None:
    script = """
    const json = Response.json({ a: 1 }, { status: 201 });
    say([json.status, json.headers.get("content-type"), await json.clone().json(), await json.json(), json.bodyUsed]);
    say(await attempt(() => new Response("x", { status: 204 })));
    say(await attempt(() => new Response("x", { status: 99 })));
    say([Response.error().type, Response.redirect("https://x.y/", 307).headers.get("location")]);
    const request = new Request("https://x.y/#z", { method: "patch", body: "b" });
    const other = new Request(request, { headers: { a: "1" } });
    say([request.url, request.method, request.bodyUsed, await other.text(), other.headers.get("a")]);
    say(await attempt(() => new Request("/relative")));
    say(await attempt(() => new Request("https://u:p@x.y/")));
    say(await attempt(() => new Request("https://x.y/", { body: "b" })));
    """
    async with web(engine, script) as running:
        said = await running.until_said(8)
    assert said[0] == [201, "application/json", {"a": 1}, {"a": 1}, True]
    assert said[1] == "TypeError : a response of status 204 has no body"
    assert said[2].startswith("RangeError")
    assert said[3] == ["error", "https://x.y/"]
    assert said[4] == ["https://x.y/", "PATCH", True, "b", "1"]
    assert said[5].startswith("TypeError INVALID_URL")
    assert said[6].startswith("TypeError")
    assert said[7] == "TypeError : a GET request has no body"


async def test_crypto(engine: Engine) -> None:
    key = SigningKey(bytes(range(32)))
    signature = key.sign(b"data").signature
    big = 200_000
    script = f"""
    const bytes = new TextEncoder().encode("data");
    const hex = (buffer) => new Uint8Array(buffer).toHex();
    for (const hash of ["SHA-1", "sha-256", {{ name: "SHA-384" }}, "SHA-512"]) say(hex(await crypto.subtle.digest(hash, bytes)));
    say(hex(await crypto.subtle.digest("SHA-256", new Uint8Array({big}))));
    const mac = await crypto.subtle.importKey("raw", new Uint8Array([1, 2]), {{ name: "HMAC", hash: "SHA-256" }}, false, ["sign", "verify"]);
    const signed = await crypto.subtle.sign("HMAC", mac, bytes);
    say(hex(signed));
    say([await crypto.subtle.verify("HMAC", mac, signed, bytes), await crypto.subtle.verify("HMAC", mac, new Uint8Array(32), bytes)]);
    const ed = await crypto.subtle.importKey("raw", Uint8Array.fromHex("{bytes(key.verify_key).hex()}"), "Ed25519", true, ["verify"]);
    const good = Uint8Array.fromHex("{signature.hex()}");
    say([await crypto.subtle.verify("Ed25519", ed, good, bytes), await crypto.subtle.verify("Ed25519", ed, good, new Uint8Array(4)),
         await crypto.subtle.verify("Ed25519", ed, new Uint8Array(3), bytes)]);
    say(await attempt(() => crypto.subtle.exportKey("raw", mac)));
    say(await attempt(() => crypto.subtle.digest("MD5", bytes)));
    say(await attempt(() => crypto.subtle.encrypt("AES-GCM", mac, bytes)));
    """
    async with web(engine, script) as running:
        said = await running.until_said(11)
    assert said[:4] == [
        hashlib.new(name, b"data").hexdigest() for name in ("sha1", "sha256", "sha384", "sha512")
    ]
    assert said[4] == hashlib.sha256(bytes(big)).hexdigest()
    assert said[5] == hmac.digest(b"\1\2", b"data", "sha256").hex()
    assert said[6:8] == [[True, False], [True, False, False]]
    assert [text.split()[0] for text in said[8:]] == [
        "InvalidAccessError",
        "NotSupportedError",
        "NotSupportedError",
    ]


async def test_signatures_of_ed25519(engine: Engine) -> None:
    """The first test of RFC 8032, 7.1, and keys made here."""
    key = SigningKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    script = f"""
    const hex = (buffer) => new Uint8Array(buffer).toHex();
    const {{ subtle }} = crypto;
    const pkcs8 = Uint8Array.fromHex("302e020100300506032b657004220420{bytes(key).hex()}");
    const own = await subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
    say([own.type, own.usages, hex(await subtle.sign("Ed25519", own, new Uint8Array(0)))]);
    say(hex(await subtle.exportKey("pkcs8", own)) === pkcs8.toHex());
    say(await attempt(() => subtle.exportKey("raw", own)));
    say(await attempt(() => subtle.importKey("pkcs8", pkcs8.slice(1), "Ed25519", true, ["sign"])));
    say(await attempt(() => subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["verify"])));
    const made = await subtle.generateKey({{ name: "Ed25519" }}, false, ["sign", "verify"]);
    const text = new TextEncoder().encode("x".repeat(100000));
    const signature = await subtle.sign("Ed25519", made.privateKey, text);
    const spki = await subtle.exportKey("spki", made.publicKey);
    const known = await subtle.importKey("spki", spki, "Ed25519", false, ["verify"]);
    say([await subtle.verify("Ed25519", known, signature, text), await subtle.verify("Ed25519", known, signature, spki)]);
    say(await attempt(() => subtle.exportKey("pkcs8", made.privateKey)));
    say(await attempt(() => subtle.sign("Ed25519", made.publicKey, text)));
    say(await attempt(() => subtle.sign({{ name: "ECDSA", hash: "SHA-256" }}, own, text)));
    """
    async with web(engine, script) as running:
        said = await running.until_said(9)
    assert said[:2] == [["private", ["sign"], key.sign(b"").signature.hex()], True]
    assert [text.split()[0] for text in said[2:5]] == ["NotSupportedError", "DataError", "SyntaxError"]
    assert said[5] == [True, False]
    assert [text.split()[0] for text in said[6:]] == [
        "InvalidAccessError",
        "InvalidAccessError",
        "NotSupportedError",
    ]


async def test_every_guild_has_random_numbers_of_its_own(engine: Engine) -> None:
    draws: list[Any] = []
    for _ in range(3):
        draws += await values(
            engine,
            [
                "[crypto.randomUUID(), crypto.getRandomValues(new Uint8Array(4000)).toHex()]",
                "crypto.getRandomValues(new Uint32Array(3)).length",
                "crypto.getRandomValues(new Float64Array(1))",
                "crypto.getRandomValues(new Uint8Array(65537))",
            ],
        )
    uuids = [draw[0] for draw in draws[::4]]
    assert len(set(uuids)) == 3
    assert all(uuid[14] == "4" and uuid[19] in "89ab" for uuid in uuids)
    for draw in draws[::4]:
        counts = [bytes.fromhex(draw[1]).count(byte) for byte in range(256)]
        assert max(counts) < 60  # of 4000 bytes; 16 of each are expected
    assert draws[1:4] == [
        3,
        "TypeMismatchError: getRandomValues fills arrays of whole numbers",
        "QuotaExceededError: getRandomValues fills at most 65536 bytes",
    ]


async def test_chacha20_is_that_of_the_rfc(engine: Engine) -> None:
    """The first block of RFC 8439, A.1: an all-zero key, nonce and counter."""
    tools = await Toolchain.ensure()
    source = SOURCE_DIR / "src" / "web" / "random.ts"
    bundle = await trio.run_process(
        [tools.esbuild, source, "--bundle", "--format=iife", "--global-name=made"], capture_stdout=True
    )
    script = (
        bundle.stdout.decode()
        + """
    const block = new Uint32Array(16);
    made.chacha20(new Uint32Array(8), 0, block);
    say(new Uint8Array(block.buffer).toHex());
    """
    )
    async with web(engine, script) as running:
        assert await running.until_said(1) == [
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
            "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        ]


async def test_the_console(engine: Engine) -> None:
    script = """
    console.log("%s has %d leaves%%", "fern", "12", { a: 1 });
    console.group("group"); console.warn("inside"); console.groupEnd(); console.info("outside");
    console.count(); console.count(); console.count("x"); console.countReset(); console.count();
    console.assert(true, "no"); console.assert(false, "yes", 1);
    console.timeEnd("t"); console.dir({ a: 1 });
    console.log("100%", "sure");
    """
    async with web(engine, script) as running:
        await running.until(lambda: running.host.logs[-1:] and running.host.logs[-1][1].startswith("100%"))
        assert running.host.logs == [
            ("info", "fern has 12 leaves% { a: 1 }"),
            ("info", "group"),
            ("warn", "  inside"),
            ("info", "outside"),
            ("info", "default: 1"),
            ("info", "default: 2"),
            ("info", "x: 1"),
            ("info", "default: 1"),
            ("error", "Assertion failed: yes 1"),
            ("warn", 'there is no timer "t"'),
            ("info", "{ a: 1 }"),
            ("info", "100% sure"),
        ]


SHOWN = {
    "new Map([['a', { b: 1 }], [2, new Set(['x'])]])": 'Map(2) {"a" => { b: 1 }, 2 => Set(1) {"x"}}',
    "new Headers({ 'X-A': '1', b: '2' })": 'Headers { b: "2", "x-a": "1" }',
    "new Response(null, { status: 201, headers: { a: '1' } })": (
        'Response { status: 201, statusText: "", url: "", headers: Headers { a: "1" }, bodyUsed: false }'
    ),
    "new Request('https://x.y/z', { method: 'PUT' })": (
        'Request { method: "PUT", url: "https://x.y/z", headers: Headers {}, bodyUsed: false }'
    ),
    "({ link: new URL('https://x.y/z?q') })": "{ link: URL https://x.y/z?q }",
    "new URLSearchParams('a=1&a=2')": "URLSearchParams a=1&a=2",
    "new File(['a'], 'f.txt')": 'File { name: "f.txt", size: 1, type: "" }',
    "(() => { const form = new FormData(); form.append('a', 'b'); return form; })()": 'FormData [["a", "b"]]',
    "new URLPattern({ pathname: '/:a' })": (
        'URLPattern { protocol: "*", hostname: "*", port: "*", pathname: "/:a", search: "*", hash: "*" }'
    ),
    "new ReadableStream()": "ReadableStream { locked: false }",
    "AbortSignal.abort('why')": 'AbortSignal { aborted: true, reason: "why" }',
    "new CustomEvent('c', { detail: [1] })": 'CustomEvent { type: "c", detail: [1] }',
    "new Uint8Array([1, 2])": "Uint8Array(2) [1, 2]",
    "new Float64Array(1e7).subarray(0, 101)": f"Float64Array(101) [{', '.join('0' * 100)}, … 1 more]",
    "new ArrayBuffer(5)": "ArrayBuffer { byteLength: 5 }",
    "new (class Fern extends Headers {})([['a', '1']])": 'Headers { a: "1" }',
}


async def test_the_console_shows_what_the_platform_s_objects_hold(engine: Engine) -> None:
    async with web(engine, "".join(f"console.log({expression});\n" for expression in SHOWN)) as running:
        await running.until(lambda: len(running.host.logs) == len(SHOWN))
        assert dict(zip(SHOWN, (text for _, text in running.host.logs), strict=True)) == SHOWN


async def test_the_console_shows_an_error_s_cause(engine: Engine) -> None:
    script = "console.log(new Error('no leaf', { cause: new TypeError('no fern', { cause: { code: 7 } }) }));"
    async with web(engine, script) as running:
        await running.until(lambda: running.host.logs)
        ((_, text),) = running.host.logs
    told = [line for line in text.splitlines() if line and "@" not in line]
    assert told == ["Error: no leaf", "[cause]: TypeError: no fern", "[cause]: { code: 7 }"]


async def test_what_a_script_does_to_its_globals_does_not_break_the_platform(engine: Engine) -> None:
    script = """
    for (const name of ["Uint8Array", "Promise", "Map", "Set", "Symbol", "TypeError", "Error", "WeakMap", "RegExp", "Array", "Function"]) {
      globalThis[name] = function () { throw new Error("replaced"); };
    }
    say(new URLPattern({ pathname: "/:a" }).exec("https://x.y/z").pathname.groups.a);
    Object.prototype.polluted = "yes";
    say([String(new URL("/a?b", "https://x.y")), atob(btoa("z"))].join());
    say(await new Response("body").text());
    say([...new Headers({ a: "1" })].join());
    say(new URL("https://b\u00fccher.example").host);
    say((await new ReadableStream({ start(to) { to.enqueue("chunk"); } }).getReader().read()).value);
    """
    async with web(engine, script) as running:
        assert await running.until_said(6) == [
            "z",
            "https://x.y/a?b,z",
            "body",
            "a,1",
            "xn--bcher-kva.example",
            "chunk",
        ]


async def test_what_is_compiled_late_shows_as_flora_s_in_a_stack(engine: Engine) -> None:
    script = """
    try { new URLPattern("("); } catch (error) { say(error.stack); }
    """
    async with web(engine, script) as running:
        (stack,) = await running.until_said(1)
    frames = [line for line in stack.splitlines() if "flora:sdk/pattern:" in line]
    assert frames
    assert all(map(is_internal, frames))


@pytest.mark.parametrize("name", ["fetch", "URL", "crypto", "ReadableStream", "structuredClone"])
async def test_a_script_may_put_its_own_in_a_global_s_place(engine: Engine, name: str) -> None:
    expression = (
        f"(() => {{ globalThis.{name} = 5; return [globalThis.{name}, delete globalThis.{name}]; }})()"
    )
    assert await values(engine, [expression]) == [[5, True]]
