# ruff: noqa: E501 - one script, one line
"""Hostile scripts, and what may come of each: see `outcome_of` in crowd.py."""

from __future__ import annotations

CPU = {"cpu", "wall"}  # on a busy machine the wall clock may run out first
DEAD = {"out_of_memory", "killed", "crashed"}
# A script at its memory limit may catch the error, die of it, or run into its CPU limit first.
MEMORY = {"out_of_memory", "failed", "cpu", "killed", "ok", "wall"}
HARMLESS = {"ok", "failed"}

HOSTILE: dict[str, tuple[str, set[str]]] = {
    # --- endless loops
    "for": ("on('A', () => { for (;;); })", CPU),
    "while with try": (
        "on('A', () => { while (true) { try { throw 1 } catch {} finally { continue } } })",
        CPU,
    ),
    "do in an async function": ("on('A', async () => { await null; do {} while (true) })", CPU),
    "generator": ("on('A', () => { function* g() { for (;;) yield 1 } for (const x of g()); })", CPU),
    "recursion caught again and again": (
        "on('A', () => { const f = () => { try { f() } catch { f() } }; f() })",
        CPU | {"failed", "killed"},
    ),
    "proxy traps": (
        "on('A', () => { const p = new Proxy({}, { get: (t, k, r) => { for (;;); } }); p.x })",
        CPU,
    ),
    "getter while it is logged": ("on('A', () => { console.log({ toString() { for (;;); } } + '') })", CPU),
    "error with an endless stack": (
        "on('A', () => { throw { get message() { for (;;); } } })",
        CPU,
    ),
    "toJSON": ("on('A', () => op('x', { toJSON() { for (;;); } }))", CPU),
    "at load": ("for (;;);", {"load_failed"}),
    "at load after await": ("await null; for (;;);", {"load_failed"}),
    # --- native code that is slow
    "catastrophic regular expression": ("on('A', () => /(a*)*b/.test('a'.repeat(40)))", CPU),
    "sort": (
        "on('A', () => { const a = Array.from({ length: 3e6 }, () => Math.random()); for (;;) a.sort((x, y) => y - x) })",
        CPU | MEMORY,
    ),
    "fill": ("on('A', () => { for (;;) new Array(2 ** 32 - 1).fill(0) })", CPU | MEMORY),
    "big powers": ("on('A', () => { let x = 3n; for (;;) x = x ** 3n })", CPU | MEMORY | {"failed"}),
    "JSON": (
        "on('A', () => { const a = Array(1e5).fill('x'); for (;;) JSON.parse(JSON.stringify(a)) })",
        CPU | MEMORY,
    ),
    # --- promise jobs
    "microtask loop": ("on('A', async () => { for (;;) await null })", CPU | DEAD),
    "microtask bomb": (
        "on('A', () => { const f = () => { Promise.resolve().then(f); Promise.resolve().then(f) }; f() })",
        DEAD | CPU,
    ),
    "rejections without end": (
        "on('A', () => { const f = () => { Promise.reject(1); queueMicrotask(f); queueMicrotask(f) }; f() })",
        DEAD | CPU,
    ),
    "thenables": (
        "on('A', () => new Promise((r) => { const t = { then(f) { f(t) } }; r(t) }))",
        CPU | DEAD,
    ),
    # --- memory
    "strings": (
        "on('A', () => { let s = 'x'; const a = []; for (;;) { s += s.slice(0, 1e6); a.push(s + 1) } })",
        MEMORY,
    ),
    "flat strings": ("on('A', () => { const a = []; for (;;) a.push('q'.repeat(1e6) + a.length) })", MEMORY),
    "arrays": ("on('A', () => { const a = []; for (;;) a.push(new Array(1000).fill(a.length)) })", MEMORY),
    "objects": ("on('A', () => { let o = null; for (;;) o = { o, x: Math.random() } })", MEMORY),
    "array buffers": ("on('A', () => { const a = []; for (;;) a.push(new ArrayBuffer(1e6)) })", MEMORY),
    "touched buffers": (
        "on('A', () => { const a = []; for (;;) a.push(new Uint8Array(1e6).fill(7)) })",
        MEMORY,
    ),
    "maps": ("on('A', () => { const m = new Map(); for (;;) m.set(m.size, [m.size]) })", MEMORY),
    "closures": ("on('A', () => { let f = () => 1; for (;;) { const g = f; f = () => g } })", MEMORY),
    "typed arrays in a map": (
        "on('A', () => { const m = new Map(); for (;;) m.set({}, new Float64Array(999)) })",
        MEMORY,
    ),
    "symbols": ("on('A', () => { const a = []; for (;;) a.push(Symbol.for('s' + a.length)) })", MEMORY),
    "functions": ("on('A', () => { const a = []; for (;;) a.push(Function('return ' + a.length)) })", MEMORY),
    "wasm memory": (
        "on('A', () => { const a = []; for (;;) a.push(new WebAssembly.Memory({ initial: 1000, maximum: 1000 })) })",
        MEMORY,
    ),
    "wasm loop": (
        "on('A', () => { const b = new Uint8Array([0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,7,5,1,1,102,0,0,"
        "10,9,1,7,0,3,64,12,0,11,11]); new WebAssembly.Instance(new WebAssembly.Module(b)).exports.f() })",
        CPU,
    ),
    "at load, memory": ("const a = []; for (;;) a.push(new Uint8Array(1e6).fill(1))", {"load_failed", *DEAD}),
    # --- recursion
    "deep recursion": ("on('A', () => { const f = () => f() + 1; return f() })", {"failed"}),
    "deep JSON": ("on('A', () => op('x', JSON.parse('['.repeat(1e5) + ']'.repeat(1e5))))", HARMLESS),
    "deep console": (
        "on('A', () => { let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; console.log(o) })",
        HARMLESS,
    ),
    "deep regular expression": ("on('A', () => new RegExp('('.repeat(1e5) + ')'.repeat(1e5)))", HARMLESS),
    # --- floods
    "console flood": ("on('A', () => { for (;;) console.log('x'.repeat(1000)) })", CPU | MEMORY),
    "endless console lines": (
        "setInterval(() => { for (let i = 0; i < 300; i++) console.log(i) }); on('A', () => {})",
        HARMLESS,
    ),
    "op flood": ("on('A', () => { for (;;) op('x', 'y'.repeat(1000)) })", CPU | MEMORY),
    "op ping-pong": ("on('A', async () => { for (;;) await op('x') })", {"wall"}),
    "declarations": ("on('A', () => { for (let i = 0; ; i++) on('E' + i, () => {}) })", CPU | MEMORY),
    "timer flood": ("on('A', () => { for (;;) setTimeout(() => {}, 0) })", {"failed"}),
    "busy timers": (
        "setInterval(() => { const t = Date.now(); while (Date.now() - t < 100); }); on('A', () => {})",
        HARMLESS,
    ),
    "timers that never stop": (
        "setInterval(() => { for (;;); }, 1); on('A', () => {})",
        HARMLESS | DEAD | {"wall"},
    ),
    # --- meddling
    "prototype pollution": (
        "for (const p of [Object.prototype, Array.prototype, Promise.prototype, Function.prototype]) {"
        " for (const k of ['then', 'id', 'open', 'value', 'get', 'set', 'toJSON', '0', 'constructor', 'event'])"
        " try { Object.defineProperty(p, k, { get() { throw 1 }, set() { throw 2 }, configurable: true }) } catch {} }"
        " on('A', () => op('x'))",
        HARMLESS | {"load_failed", "wall"},
    ),
    "patched intrinsics": (
        "JSON.stringify = JSON.parse = () => '{}'; Map.prototype.get = Map.prototype.set = () => { throw 1 };"
        " String.prototype.slice = String.prototype.charCodeAt = () => 'x'; Promise.prototype.then = () => {};"
        " Array.prototype[Symbol.iterator] = null; Reflect.apply = null; Object.defineProperty = null;"
        " Function.prototype.call = null; Function.prototype.bind = null;"
        " globalThis.Promise = globalThis.Error = undefined;"
        " op('x').finally; console.log({ a: [1] });",
        {"ok", "failed", "load_failed"},
    ),
    "species": (
        "Object.defineProperty(Promise, Symbol.species, { get() { throw 1 } });"
        " Object.defineProperty(Promise.prototype, 'constructor', { get() { throw 2 } });"
        " on('A', async () => { await op('x') })",
        HARMLESS | {"load_failed"},
    ),
    "prepareStackTrace": (
        "Error.prepareStackTrace = () => { for (;;); }; Error.stackTraceLimit = Infinity;"
        " on('A', () => { throw new Error('x') })",
        {"failed"},
    ),
    "debugger global": (
        "const d = debuggerGlobal; const F = Object.getPrototypeOf(function () {}).constructor;"
        " let found = typeof d.Debugger; try { found += typeof new d.Debugger() } catch {}"
        " try { found += typeof F('return this')().Debugger } catch {}"
        " if (/object|function/.test(found)) await new Promise(() => {}); on('A', () => {})",
        {"ok"},
    ),
    "finalization registry": (
        "FinalizationRegistry.prototype.register = function (...a) { for (const x of a) if (typeof x === 'number')"
        " throw new Error('an address') }; const r = new FinalizationRegistry(() => { for (;;); });"
        " on('A', () => { for (let i = 0; i < 1e5; i++) { try { r.register({}, i) } catch {} } })",
        HARMLESS | CPU,
    ),
    "constructors": (
        "const seen = new Set(); const walk = (o) => { if (!o || (typeof o !== 'object' && typeof o !== 'function')"
        " || seen.has(o)) return; seen.add(o); for (const k of Reflect.ownKeys(o)) { let v; try { v = o[k] } catch"
        " { continue } walk(v) } walk(Object.getPrototypeOf(o)) }; walk(globalThis);"
        " for (const o of seen) if (/python|subclasses|builtin_module/i.test(Reflect.ownKeys(o).map(String).join()))"
        " await new Promise(() => {}); on('A', () => {})",
        {"ok"},
    ),
    "its own globals": (
        "for (const k of Reflect.ownKeys(globalThis)) try { delete globalThis[k] } catch {}",
        {"ok"},
    ),
    "an answer to somebody else": (
        'on(\'A\', () => { console.log(\'\\n{"t":"done","id":1}\\nT1 0\') })',
        {"ok"},
    ),
    "brackets": ("}); globalThis.x = 1; (async () => {", {"ok", "load_failed"}),
    "a handler that never answers": ("on('A', () => new Promise(() => {}))", {"wall"}),
}
