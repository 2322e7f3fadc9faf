// The engine's half of the realm: frames, ops, timers, console, dispatch. Evaluated once in the fork server, before
// the SDK and long before any script, so everything it needs of the language is captured here and nothing
// it does later can be changed by a script: own variables instead of globals, bound functions instead of methods,
// strings instead of arrays, `await` instead of `.then`, null prototypes, no iteration protocol.
//
// The value is a function (bytes) => hooks. `bytes` is the one object shared with the other side:
//   Uint32 0: bytes in the window, which whoever takes them sets back to 0; 1: frames wait for room there (`more`);
//   2: rejections to report (`reportRejections`); 3: something to do at the end of the turn (`endTurn`, `orders`)
//   from byte 16: the window, with frames as they go to the host: u32 length, then JSON in UTF-8
((bytes) => {
  'use strict';
  const uncurry = (method) => Function.prototype.call.bind(method);
  const { apply, ownKeys, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
  const { parse, stringify: nativeStringify } = JSON;
  const { create, defineProperty, freeze, keys } = Object;
  const isArray = Array.isArray;
  const NativePromise = Promise;
  const NativeError = Error;
  const NativeTypeError = TypeError;
  const NativeRangeError = RangeError;
  const NativeMap = Map;
  const NativeSet = Set;
  const now = Date.now;
  const toText = String;
  const toNumber = Number;
  const charCodeAt = uncurry(String.prototype.charCodeAt);
  const charAt = uncurry(String.prototype.charAt);
  const sliceText = uncurry(String.prototype.slice);
  const indexOf = uncurry(String.prototype.indexOf);
  const padEnd = uncurry(String.prototype.padEnd);
  const mapGet = uncurry(Map.prototype.get);
  const mapSet = uncurry(Map.prototype.set);
  const mapHas = uncurry(Map.prototype.has);
  const mapDelete = uncurry(Map.prototype.delete);
  const mapForEach = uncurry(Map.prototype.forEach);
  const mapSize = uncurry(getOwnPropertyDescriptor(Map.prototype, 'size').get);
  const setForEach = uncurry(Set.prototype.forEach);
  const setSize = uncurry(getOwnPropertyDescriptor(Set.prototype, 'size').get);
  const stackOf = uncurry(getOwnPropertyDescriptor(Error.prototype, 'stack').get);
  const dateText = uncurry(Date.prototype.toISOString);
  const regExpText = uncurry(RegExp.prototype.toString);
  const symbolText = uncurry(Symbol.prototype.toString);
  const header = new Uint32Array(bytes.buffer, bytes.byteOffset, 4);
  const typedArray = getPrototypeOf(Uint8Array.prototype);
  const typedName = uncurry(getOwnPropertyDescriptor(typedArray, Symbol.toStringTag).get);
  const typedLength = uncurry(getOwnPropertyDescriptor(typedArray, 'length').get);
  const bufferSize = uncurry(getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength').get);
  const window = new Uint8Array(bytes.buffer, bytes.byteOffset + 16);
  const capacity = window.length;

  const MAX_LINE = 16384; // characters of one console line; the host cuts there too
  const MAX_LOG_PER_TURN = 262144; // characters of console output of one turn
  const MAX_STACK = 16384;
  const MAX_MESSAGE = 8192;
  const MAX_TIMERS = 10000;
  const MAX_DELAY = 2147483647; // milliseconds, as in browsers
  const MAX_LISTENS = 256;
  const MAX_PREFIX = 64;

  // --- frames ---------------------------------------------------------------------------------------------
  const NO_ROOM = -1;
  const AT_END_OF_TURN = 1; // bits of header[3]
  const ORDERS = 2;
  const LENGTH_BYTES = 4;

  // Where `text` from `start` on ends in the window, when written from `at` on; stops before the first character
  // that has no room and leaves it in `written`.
  let written = 0;
  const encode = (text, start, at) => {
    const length = text.length;
    let i = start;
    for (; i < length; i++) {
      const unit = charCodeAt(text, i);
      if (unit < 0x80) {
        if (at >= capacity) break;
        window[at++] = unit;
        continue;
      }
      if (at + 4 > capacity) break;
      if (unit < 0x800) {
        window[at++] = 0xc0 | (unit >> 6);
      } else {
        let point = unit;
        if (unit >= 0xd800 && unit <= 0xdfff) {
          const next = unit < 0xdc00 && i + 1 < length ? charCodeAt(text, i + 1) : 0;
          point = next >= 0xdc00 && next <= 0xdfff ? 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00) : 0xfffd;
        }
        if (point > 0xffff) {
          window[at++] = 0xf0 | (point >> 18);
          window[at++] = 0x80 | ((point >> 12) & 0x3f);
          i++;
        } else {
          window[at++] = 0xe0 | (point >> 12);
        }
        window[at++] = 0x80 | ((point >> 6) & 0x3f);
        window[at++] = 0x80 | (point & 0x3f);
        continue;
      }
      window[at++] = 0x80 | (unit & 0x3f);
    }
    written = i;
    return at;
  };
  const encodedLength = (text) => {
    const length = text.length;
    let bytes = length;
    for (let i = 0; i < length; i++) {
      const unit = charCodeAt(text, i);
      if (unit < 0x80) continue;
      bytes += unit < 0x800 ? 1 : 2;
      if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < length) {
        const next = charCodeAt(text, i + 1);
        // Two units of four bytes together; each alone counts three.
        if (next >= 0xdc00 && next <= 0xdfff) i++;
      }
    }
    return bytes;
  };
  const putLength = (at, value) => {
    window[at] = value;
    window[at + 1] = value >> 8;
    window[at + 2] = value >> 16;
    window[at + 3] = value >> 24;
  };

  // Frames for which the window had no room, oldest first.
  let waiting = null;
  let lastWaiting = null;
  let begun = NO_ROOM; // how far the first of them is written, NO_ROOM before its length is

  const emit = (text) => {
    if (waiting === null) {
      const at = header[0];
      if (at + LENGTH_BYTES + text.length <= capacity) {
        const end = encode(text, 0, at + LENGTH_BYTES);
        if (written === text.length) {
          putLength(at, end - at - LENGTH_BYTES);
          header[0] = end; // the last step: a turn that is ended before it has written nothing
          return;
        }
      }
    }
    const entry = { __proto__: null, text, next: null };
    if (waiting === null) waiting = entry;
    else lastWaiting.next = entry;
    lastWaiting = entry;
    header[1] = 1;
  };

  // What the other side does for timers: "T<id> <ms>" start one, "C<id>" cancel one; a line each.
  let orders = '';
  const order = (line) => {
    orders += line + '\n';
    header[3] |= ORDERS;
  };

  const cut = (value, limit) => {
    if (typeof value !== 'string') return '';
    return value.length > limit ? sliceText(value, 0, limit) + '…' : value;
  };

  // SpiderMonkey reserves up to eight times the memory that the result may need at its longest, without touching
  // it; the kernel counts it all the same, so that 2 MiB of text need 128 MiB for a moment. A text that long is written
  // in pieces: a mark stands for it in the JSON, a lone U+0001 between quotes. Between quotes of its own, that is:
  // a quote within text comes after a backslash, which the one that opens a text never does, and the name
  // of a property has a colon behind it.
  const LONG_TEXT = 65536; // characters
  const MARK = '"\\u0001"';
  const quoteLong = (text) => {
    const length = text.length;
    let quoted = '"';
    for (let from = 0; from < length;) {
      let to = from + LONG_TEXT;
      // No surrogate pair is cut in two.
      if (to < length && charCodeAt(text, to - 1) >= 0xd800 && charCodeAt(text, to - 1) < 0xdc00) to--;
      quoted += sliceText(nativeStringify(sliceText(text, from, to)), 1, -1);
      from = to;
    }
    return quoted + '"';
  };
  const stringifyInPieces = (value, replacer, space) => {
    let longTexts = null;
    let last = null;
    const marked = nativeStringify(value, function (key, item) {
      const shown = replacer === undefined ? item : apply(replacer, this, [key, item]);
      if (typeof shown !== 'string' || (shown.length < LONG_TEXT && shown !== '\u0001')) return shown;
      const entry = { __proto__: null, text: shown, next: null };
      if (longTexts === null) longTexts = entry;
      else last.next = entry;
      last = entry;
      return '\u0001';
    }, space);
    if (longTexts === null) return marked;
    let text = '';
    let from = 0;
    for (let at = indexOf(marked, MARK); at >= 0 && longTexts !== null; at = indexOf(marked, MARK, at + 1)) {
      if (at > 0 && charAt(marked, at - 1) === '\\') continue;
      if (charAt(marked, at + MARK.length) === ':') continue;
      text += sliceText(marked, from, at) + quoteLong(longTexts.text);
      from = at + MARK.length;
      longTexts = longTexts.next;
    }
    return text + sliceText(marked, from);
  };
  const stringify = (value, replacer, space) => {
    try {
      return nativeStringify(value, replacer, space);
    } catch (thrown) {
      if (thrown !== 'out of memory' || typeof space === 'string') throw thrown;
      if (replacer !== undefined && replacer !== null && typeof replacer !== 'function') throw thrown;
      return stringifyInPieces(value, replacer === null ? undefined : replacer, space);
    }
  };

  // JSON as every reader takes it: half a surrogate pair, which JavaScript allows, becomes U+FFFD.
  const json = (value) => {
    const text = stringify(value);
    if (text === undefined) return 'null';
    if (indexOf(text, '\\ud') < 0) return text;
    let clean = '';
    let from = 0;
    for (let at = indexOf(text, '\\'); at >= 0; at = indexOf(text, '\\', at + 2)) {
      if (charAt(text, at + 1) === 'u' && charAt(text, at + 2) === 'd') {
        clean += sliceText(text, from, at) + '\\ufffd';
        from = at + 6;
      }
    }
    return clean + sliceText(text, from);
  };

  // What a thrown value says about itself, as JSON. Any property of it may be a trap of the script's.
  const describe = (thrown) => {
    let name = 'Error';
    let message = '';
    let stack = '';
    let code = '';
    try {
      if ((typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function') {
        name = cut(thrown.name, 256) || 'Error';
        message = cut(thrown.message, MAX_MESSAGE);
        stack = cut(thrown.stack, MAX_STACK);
        const given = thrown.code;
        if (typeof given === 'string' || typeof given === 'number') code = cut('' + given, 256);
        if (message === '' && stack === '') message = cut(inspect(thrown), MAX_MESSAGE);
      } else {
        message = cut(inspect(thrown), MAX_MESSAGE);
      }
    } catch {
      // a trap threw: what was read so far stands
    }
    return `{"name":${json(name)},"message":${json(message)},"stack":${json(stack)},"code":${json(code)}}`;
  };

  // --- turns and events -----------------------------------------------------------------------------------
  // A turn is one frame or timer and all promise jobs that follow from it. Since each turn runs until no job
  // is left, whatever runs in it was caused by what began it: `turn` is the event to which ops, timers
  // and log lines belong. (Exception: an event that settles a promise on which another event's handler waits.)
  const NONE = freeze({ __proto__: null, id: 0, open: false });
  let turn = NONE;
  let origin = 'timer';
  let loggedThisTurn = 0;
  let droppedLines = 0;
  const events = new NativeMap();

  const begin = (event, from) => {
    turn = event;
    origin = from;
    loggedThisTurn = 0;
  };
  const fault = (from, thrown) => { emit(`{"t":"fault","origin":"${from}","error":${describe(thrown)}}`); };

  // --- ops ------------------------------------------------------------------------------------------------
  let lastOp = 0;
  const ops = new NativeMap();
  const errorClasses = new NativeMap();

  const op = (name, args) => new NativePromise((resolve, reject) => {
    const text = json(args);
    const id = ++lastOp;
    // The answer comes from nowhere: what a refused op says about its place in the script is known only here.
    mapSet(ops, id, { __proto__: null, resolve, reject, event: turn, asked: new NativeError() });
    emit(`{"t":"op","id":${id},"d":${turn.id},"name":${json(cut(toText(name), 256))},"args":${text}}`);
  });

  const takeOp = (id) => {
    const call = mapGet(ops, id);
    if (call !== undefined) {
      mapDelete(ops, id);
      begin(call.event, 'op');
    }
    return call;
  };

  const makeError = (failure, asked) => {
    const known = mapGet(errorClasses, failure.name);
    const error = known === undefined ? new NativeError(failure.message) : new known(failure.message);
    const define = (key, value) =>
      defineProperty(error, key, { __proto__: null, value, writable: true, configurable: true, enumerable: key !== 'name' });
    if (known === undefined && failure.name !== 'Error') define('name', failure.name);
    const extra = failure.extra;
    const names = keys(extra);
    for (let i = 0; i < names.length; i++) define(names[i], extra[names[i]]);
    define('code', failure.code);
    defineProperty(error, 'stack', { __proto__: null, value: stackOf(asked), writable: true, configurable: true });
    return error;
  };

  // --- declarations ---------------------------------------------------------------------------------------
  let declared = '"listens":[],"prefix":null,"commands":null,"crons":null';
  let sentDeclaration = '';
  let loaded = false;

  const declare = (manifest) => {
    const listens = manifest.listens;
    const count = listens.length > MAX_LISTENS ? MAX_LISTENS : listens.length;
    let names = '';
    for (let i = 0; i < count; i++) names += (i === 0 ? '' : ',') + json(cut(toText(listens[i]), 64));
    // One that is too long is not told: every message is better than the wrong ones.
    const { prefix: asked } = manifest;
    const prefix = typeof asked === 'string' && asked.length > 0 && asked.length <= MAX_PREFIX ? json(asked) : 'null';
    declared = `"listens":[${names}],"prefix":${prefix},"commands":${json(manifest.commands)},"crons":${json(manifest.crons)}`;
    header[3] |= AT_END_OF_TURN;
  };

  // --- console --------------------------------------------------------------------------------------------
  const isIdentifier = (key) => {
    if (key.length === 0 || key.length > 64) return false;
    for (let i = 0; i < key.length; i++) {
      const c = charCodeAt(key, i);
      const letter = (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95 || c === 36;
      if (!letter && (i === 0 || c < 48 || c > 57)) return false;
    }
    return true;
  };

  const attempt = (action, otherwise) => { try { return action(); } catch { return otherwise; } };

  // The SDK's: what to show of an object of the web platform, `{ name, value }`; undefined for any other.
  let showPlatform = () => undefined;
  const inspectAt = (value, depth, above) => {
    switch (typeof value) {
      case 'string': return depth === 0 ? value : stringify(cut(value, 2048));
      case 'bigint': return toText(value) + 'n';
      case 'symbol': return symbolText(value);
      case 'function': {
        const name = attempt(() => value.name, '');
        return typeof name === 'string' && name !== '' ? `[Function: ${cut(name, 128)}]` : '[Function]';
      }
      case 'object': break;
      default: return toText(value);
    }
    if (value === null) return 'null';
    for (let seen = above; seen !== null; seen = seen.next) if (seen.value === value) return '[Circular]';
    const chain = { __proto__: null, value, next: above };
    if (value instanceof NativeError) {
      const head = `${cut(value.name, 128) || 'Error'}: ${cut(value.message, MAX_MESSAGE)}`;
      const stack = cut(value.stack, MAX_STACK);
      const whole = stack === '' ? head : `${head}\n${stack}`;
      const cause = getOwnPropertyDescriptor(value, 'cause');
      if (cause === undefined || cause.get !== undefined || depth > 4) return whole;
      return `${whole}\n[cause]: ${inspectAt(cause.value, depth + 1, chain)}`;
    }
    const asDate = attempt(() => dateText(value), '');
    if (asDate !== '') return asDate;
    if (depth > 4) return isArray(value) ? '[Array]' : '[Object]';
    let text = '';
    let count = 0;
    const add = (part) => {
      count++;
      if (count <= 100 && text.length < MAX_LINE) text += (text === '' ? '' : ', ') + part;
    };
    const rest = () => (count > 100 ? `, … ${count - 100} more` : '');
    if (isArray(value)) {
      const length = value.length;
      for (let i = 0; i < length && i < 100; i++) add(inspectAt(value[i], depth + 1, chain));
      count = length;
      return `[${text}${rest()}]`;
    }
    const typed = typedName(value);
    if (typed !== undefined) {
      const length = typedLength(value);
      for (let i = 0; i < length && i < 100; i++) add(inspectAt(value[i], depth + 1, chain));
      count = length;
      return `${typed}(${length}) [${text}${rest()}]`;
    }
    const size = attempt(() => bufferSize(value), -1);
    if (size >= 0) return `ArrayBuffer { byteLength: ${size} }`;
    const mapCount = attempt(() => mapSize(value), -1);
    if (mapCount >= 0) {
      mapForEach(value, (item, key) => {
        if (count < 100) add(`${inspectAt(key, depth + 1, chain)} => ${inspectAt(item, depth + 1, chain)}`);
        else count++;
      });
      return `Map(${mapCount}) {${text}${rest()}}`;
    }
    const setCount = attempt(() => setSize(value), -1);
    if (setCount >= 0) {
      setForEach(value, (item) => { if (count < 100) add(inspectAt(item, depth + 1, chain)); else count++; });
      return `Set(${setCount}) {${text}${rest()}}`;
    }
    if (value instanceof RegExp) return attempt(() => regExpText(value), '[RegExp]');
    if (value instanceof NativePromise) return 'Promise {}';
    const platform = attempt(() => showPlatform(value), undefined);
    if (platform !== undefined) {
      const shown = platform.value;
      return `${platform.name} ${typeof shown === 'string' ? cut(shown, 2048) : inspectAt(shown, depth, chain)}`;
    }
    const names = keys(value);
    for (let i = 0; i < names.length; i++) {
      if (count >= 100) { count = names.length; break; }
      const key = names[i];
      const slot = getOwnPropertyDescriptor(value, key);
      if (slot === undefined) continue;
      const shown = slot.get === undefined && slot.set === undefined ? inspectAt(slot.value, depth + 1, chain) : '[Getter]';
      add(`${isIdentifier(key) ? key : stringify(key)}: ${shown}`);
    }
    const prototype = getPrototypeOf(value);
    const maker = prototype === null ? null : attempt(() => prototype.constructor, null);
    const kind = typeof maker === 'function' && maker !== Object ? attempt(() => maker.name, '') : '';
    const prefix = prototype === null ? '[null] ' : typeof kind === 'string' && kind !== '' && kind !== 'Object' ? `${cut(kind, 64)} ` : '';
    return text === '' ? `${prefix}{}` : `${prefix}{ ${text}${rest()} }`;
  };
  const inspect = (value) => attempt(() => inspectAt(value, 0, null), '[a value that cannot be shown]');

  const log = (level, text) => {
    const line = cut(text, MAX_LINE);
    loggedThisTurn += line.length + 64;
    if (loggedThisTurn > MAX_LOG_PER_TURN) {
      droppedLines++;
      header[3] |= AT_END_OF_TURN;
      return;
    }
    emit(`{"t":"log","level":"${level}","d":${turn.id},"text":${json(line)}}`);
  };
  const logger = (level) => (...values) => {
    let text = '';
    for (let i = 0; i < values.length && text.length < MAX_LINE; i++) text += (i === 0 ? '' : ' ') + inspect(values[i]);
    log(level, text);
  };

  const table = (data) => {
    if (typeof data !== 'object' || data === null) { log('info', inspect(data)); return; }
    const rows = keys(data);
    const columns = create(null);
    const order = [];
    const cells = create(null);
    const rowCount = rows.length > 100 ? 100 : rows.length;
    let columnCount = 0;
    const cell = (row, column, text) => {
      if (columns[column] === undefined) {
        if (columnCount === 32) return;
        columns[column] = column.length;
        defineProperty(order, columnCount++, { __proto__: null, value: column });
      }
      cells[row + '\n' + column] = text;
      if (text.length > columns[column]) columns[column] = text.length > 60 ? 60 : text.length;
    };
    for (let i = 0; i < rowCount; i++) {
      const row = data[rows[i]];
      cell(i, '(index)', rows[i]);
      if (typeof row === 'object' && row !== null) {
        const names = keys(row);
        for (let j = 0; j < names.length; j++) cell(i, names[j], cut(inspectAt(row[names[j]], 1, null), 60));
      } else {
        cell(i, 'value', cut(inspectAt(row, 1, null), 60));
      }
    }
    let text = '';
    for (let i = -1; i < rowCount; i++) {
      let line = '';
      for (let j = 0; j < columnCount; j++) {
        const content = i < 0 ? order[j] : cells[i + '\n' + order[j]];
        line += (j === 0 ? '' : ' | ') + padEnd(content === undefined ? '' : content, columns[order[j]]);
      }
      text += (i < 0 ? '' : '\n') + line;
    }
    log('info', text);
  };

  // --- timers ---------------------------------------------------------------------------------------------
  let lastTimer = 0;
  const timers = new NativeMap();

  const startTimer = (callback, delay, args, repeats) => {
    if (typeof callback !== 'function') throw new NativeTypeError('a timer needs a function');
    if (mapSize(timers) >= MAX_TIMERS) throw new NativeRangeError(`more than ${MAX_TIMERS} timers`);
    let milliseconds = toNumber(delay);
    if (!(milliseconds >= 1)) milliseconds = 1;
    if (milliseconds > MAX_DELAY) milliseconds = 1;
    const id = ++lastTimer;
    mapSet(timers, id, { __proto__: null, callback, args, event: turn, milliseconds: repeats ? milliseconds : 0 });
    order(`T${id} ${milliseconds}`);
    return id;
  };
  const stopTimer = (given) => {
    const id = typeof given === 'number' ? given : 0;
    if (mapHas(timers, id)) {
      mapDelete(timers, id);
      order(`C${id}`);
    }
  };
  const callLater = async (callback) => {
    await undefined;
    try { callback(); } catch (thrown) { fault('microtask', thrown); }
  };

  // --- rejections without a handler -----------------------------------------------------------------------
  const rejected = new NativeMap();
  const reportRejection = async (promise) => {
    try { await promise; } catch (thrown) { fault('unhandled rejection', thrown); }
  };

  // --- the script's globals -------------------------------------------------------------------------------
  const define = (name, value) => {
    defineProperty(globalThis, name, { __proto__: null, value, writable: true, configurable: true, enumerable: false });
  };
  define('console', {
    log: logger('info'), info: logger('info'), warn: logger('warn'), error: logger('error'),
    debug: logger('debug'), trace: logger('trace'), table,
  });
  define('setTimeout', (callback, delay = 0, ...args) => startTimer(callback, delay, args, false));
  define('setInterval', (callback, delay = 0, ...args) => startTimer(callback, delay, args, true));
  define('clearTimeout', stopTimer);
  define('clearInterval', stopTimer);
  defineProperty(JSON, 'stringify', { __proto__: null, value: stringify });
  define('queueMicrotask', (callback) => {
    if (typeof callback !== 'function') throw new NativeTypeError('queueMicrotask needs a function');
    callLater(callback);
  });

  // --- the SDK's host -------------------------------------------------------------------------------------
  let guildId = '';
  let startedAt = 0; // milliseconds since 1970
  let entropy = ''; // hexadecimal digits
  let sdk = { __proto__: null, dispatch() {} };
  const LEVELS = freeze({ __proto__: null, trace: true, debug: true, info: true, warn: true, error: true });
  const host = freeze({
    __proto__: null,
    get guildId() { return guildId; },
    get startedAt() { return startedAt; },
    takeEntropy: () => {
      const taken = entropy;
      entropy = '';
      return taken;
    },
    op,
    log: (level, text) => { log(LEVELS[level] === true ? level : 'info', toText(text)); },
    declare,
    showWith: (show) => { showPlatform = show; },
    defineError: (name, constructor) => { mapSet(errorClasses, toText(name), constructor); },
  });

  let received = '';

  // --- what the other side calls --------------------------------------------------------------------------
  const finish = (event, line) => {
    if (!event.open) return;
    emit(line); // first: a turn that is ended after it tells the host of the limit once more, which does no harm
    event.open = false;
    mapDelete(events, event.id);
  };
  const succeed = (event) => finish(event, `{"t":"done","id":${event.id}}`);
  const fail = (event, thrown) => finish(event, `{"t":"failed","id":${event.id},"error":${describe(thrown)}}`);
  const settle = async (event, pending) => {
    try { await pending; } catch (thrown) { fail(event, thrown); return; }
    succeed(event);
  };
  // A promise costs the engine a record of the stack; what needs none gets none.
  const run = (event, name, payload, id, attempt) => {
    let pending;
    try { pending = sdk.dispatch(name, parse(payload), { __proto__: null, id, attempt }); } catch (thrown) { fail(event, thrown); return; }
    if (pending === undefined) succeed(event);
    else settle(event, pending);
  };
  const runLoad = async (script) => {
    try {
      await script();
      loaded = true;
      sentDeclaration = declared;
      emit(`{"t":"loaded",${declared}}`);
    } catch (thrown) {
      emit(`{"t":"load_failed","error":${describe(thrown)}}`);
    }
  };

  return {
    useSdk(factory) {
      sdk = factory(host);
    },

    // The guild's id, a line break, random bytes as hexadecimal digits; none in the fork server.
    enter(padded) {
      const breakAt = indexOf(padded, '\n');
      guildId = sliceText(padded, 0, breakAt);
      entropy = sliceText(padded, breakAt + 1, -2);
      startedAt = now();
    },

    load(script) {
      begin(NONE, 'load');
      runLoad(script);
    },

    // The beginning of a long frame.
    receive(padded) { received += sliceText(padded, 0, -2); },

    // A frame of the host's: a letter, a header up to the first line break, a payload. The last two code units of
    // all text from there are padding: they make PythonMonkey copy the text instead of sharing it.
    deliver(padded) {
      const frame = received + padded;
      received = '';
      const breakAt = indexOf(frame, '\n');
      const head = sliceText(frame, 1, breakAt);
      const payload = sliceText(frame, breakAt + 1, -2);
      switch (charAt(frame, 0)) {
        case 'D': {
          const { id, name, event_id, attempt: number } = parse(head);
          const event = { __proto__: null, id, open: true };
          mapSet(events, id, event);
          begin(event, 'dispatch');
          run(event, name, payload, event_id, number);
          return;
        }
        case 'R': {
          const call = takeOp(toNumber(head));
          if (call !== undefined) call.resolve(parse(payload));
          return;
        }
        case 'X': {
          const call = takeOp(toNumber(head));
          if (call !== undefined) call.reject(makeError(parse(payload), call.asked));
          return;
        }
        case 'A': {
          const event = mapGet(events, toNumber(head));
          if (event !== undefined) {
            event.open = false;
            mapDelete(events, event.id);
          }
          return;
        }
      }
    },

    // What was run in the fork server never happened; what it left open ends for nobody.
    forget() {
      mapForEach(events, (event) => {
        event.open = false;
        mapDelete(events, event.id);
      });
      loaded = false;
      sentDeclaration = '';
      lastOp = 0;
      lastTimer = 0;
    },

    fire(id) {
      const timer = mapGet(timers, id);
      if (timer === undefined) return;
      begin(timer.event, 'timer');
      if (timer.milliseconds > 0) order(`T${id} ${timer.milliseconds}`);
      else mapDelete(timers, id);
      try { apply(timer.callback, undefined, timer.args); } catch (thrown) { fault('timer', thrown); }
    },

    // The watchdog ended this turn.
    interrupted(milliseconds) {
      const event = turn;
      received = '';
      if (event.open) {
        finish(event, `{"t":"cpu","id":${event.id}}`);
        return;
      }
      const error = new NativeError(`JavaScript ran for more than ${milliseconds} ms without a pause and was stopped`);
      defineProperty(error, 'name', { __proto__: null, value: 'TimeoutError' });
      defineProperty(error, 'stack', { __proto__: null, value: '' });
      if (origin === 'load' && !loaded) emit(`{"t":"load_failed","error":${describe(error)}}`);
      else fault(origin, error);
    },

    // The engine's rejection tracker: state 0 is "rejected without a handler", 1 is "got one after all".
    track(promise, state) {
      if (state === 0) mapSet(rejected, promise, turn);
      else mapDelete(rejected, promise);
      header[2] = mapSize(rejected) > 0 ? 1 : 0;
    },

    reportRejections() {
      mapForEach(rejected, (_event, promise) => {
        mapDelete(rejected, promise);
        reportRejection(promise);
      });
      header[2] = 0;
    },

    // Says what is said once per turn, and leaves the timers' orders waiting.
    endTurn() {
      header[3] &= ORDERS;
      if (droppedLines > 0) {
        emit(`{"t":"log","level":"warn","d":${turn.id},"text":"${droppedLines} console lines were dropped: too much output at once"}`);
        droppedLines = 0;
      }
      if (loaded && declared !== sentDeclaration) {
        sentDeclaration = declared;
        emit(`{"t":"declare",${declared}}`);
      }
    },

    // Fills the window, which is empty, with frames that wait for it.
    more() {
      let at = 0;
      while (waiting !== null) {
        if (begun === NO_ROOM) {
          if (at + LENGTH_BYTES > capacity) break;
          putLength(at, encodedLength(waiting.text));
          at += LENGTH_BYTES;
          begun = 0;
        }
        at = encode(waiting.text, begun, at);
        begun = written;
        if (begun < waiting.text.length) break;
        begun = NO_ROOM;
        waiting = waiting.next;
      }
      header[0] = at;
      header[1] = waiting === null ? 0 : 1;
    },

    // Fills the window, which is empty, with orders; they are plain ASCII.
    orders() {
      const count = orders.length < capacity ? orders.length : capacity;
      for (let i = 0; i < count; i++) window[i] = charCodeAt(orders, i);
      orders = sliceText(orders, count);
      header[0] = count;
      if (orders === '') header[3] &= ~ORDERS;
    },
  };
})
