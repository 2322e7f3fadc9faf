import { constants, expose, isRecord, needs, showing } from "./platform";

/** Events and cancellation (DOM Standard), DOMException (Web IDL). There is no tree: a target is its whole path. */

const CODES: Readonly<Record<string, number>> = {
  IndexSizeError: 1,
  HierarchyRequestError: 3,
  WrongDocumentError: 4,
  InvalidCharacterError: 5,
  NoModificationAllowedError: 7,
  NotFoundError: 8,
  NotSupportedError: 9,
  InUseAttributeError: 10,
  InvalidStateError: 11,
  SyntaxError: 12,
  InvalidModificationError: 13,
  NamespaceError: 14,
  InvalidAccessError: 15,
  TypeMismatchError: 17,
  SecurityError: 18,
  NetworkError: 19,
  AbortError: 20,
  URLMismatchError: 21,
  QuotaExceededError: 22,
  TimeoutError: 23,
  InvalidNodeTypeError: 24,
  DataCloneError: 25,
};

export class DOMException extends Error {
  readonly #name: string;

  constructor(message: unknown = "", name: unknown = "Error") {
    super(`${message as string}`);
    this.#name = `${name as string}`;
  }

  override get name(): string {
    return this.#name;
  }

  get code(): number {
    return Object.hasOwn(CODES, this.#name) ? CODES[this.#name]! : 0;
  }
}
expose(DOMException, "DOMException");
constants(
  DOMException,
  Object.fromEntries(
    Object.entries(CODES).map(([name, code]) => [
      name === "URLMismatchError" ? "URL_MISMATCH_ERR" : `${name.replace(/Error$/, "").replace(/(?<=[a-z])[A-Z]/g, "_$&").toUpperCase()}_ERR`,
      code,
    ]),
  ),
);

const internals = new WeakMap<Event, { target: EventTarget | null; stopped: boolean; canceled: boolean; passive: boolean; phase: number }>();

export class Event {
  readonly #type: string;
  readonly #bubbles: boolean;
  readonly #cancelable: boolean;
  readonly #composed: boolean;
  readonly #timeStamp = Date.now();

  constructor(type: unknown, options: unknown = {}) {
    needs(1, arguments.length, "Event");
    const given = isRecord(options) ? options : {};
    this.#type = `${type as string}`;
    this.#bubbles = !!given.bubbles;
    this.#cancelable = !!given.cancelable;
    this.#composed = !!given.composed;
    internals.set(this, { target: null, stopped: false, canceled: false, passive: false, phase: 0 });
  }

  get type(): string {
    return this.#type;
  }

  get target(): EventTarget | null {
    return internals.get(this)!.target;
  }

  get srcElement(): EventTarget | null {
    return internals.get(this)!.target;
  }

  get currentTarget(): EventTarget | null {
    const state = internals.get(this)!;
    return state.phase === 0 ? null : state.target;
  }

  get eventPhase(): number {
    return internals.get(this)!.phase;
  }

  get bubbles(): boolean {
    return this.#bubbles;
  }

  get cancelable(): boolean {
    return this.#cancelable;
  }

  get composed(): boolean {
    return this.#composed;
  }

  get defaultPrevented(): boolean {
    return internals.get(this)!.canceled;
  }

  get returnValue(): boolean {
    return !internals.get(this)!.canceled;
  }

  get isTrusted(): boolean {
    return false;
  }

  get timeStamp(): number {
    return this.#timeStamp;
  }

  composedPath(): EventTarget[] {
    const target = this.currentTarget;
    return target === null ? [] : [target];
  }

  /** One target is the whole path, so there is nothing to propagate to. */
  stopPropagation(): void {}

  stopImmediatePropagation(): void {
    internals.get(this)!.stopped = true;
  }

  preventDefault(): void {
    const state = internals.get(this)!;
    if (this.#cancelable && !state.passive) state.canceled = true;
  }
}
expose(Event, "Event", showing("type"));
constants(Event, { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 });

export class CustomEvent extends Event {
  readonly #detail: unknown;

  constructor(type: unknown, options: unknown = {}) {
    super(type, options);
    this.#detail = isRecord(options) && options.detail !== undefined ? options.detail : null;
  }

  get detail(): unknown {
    return this.#detail;
  }
}
expose(CustomEvent, "CustomEvent", showing("type", "detail"));

interface Listener {
  readonly type: string;
  readonly callback: unknown;
  readonly capture: boolean;
  readonly once: boolean;
  readonly passive: boolean;
  removed: boolean;
}

export class EventTarget {
  #listeners: Listener[] = [];

  addEventListener(type: unknown, callback: unknown, options: unknown = {}): void {
    needs(2, arguments.length, "addEventListener");
    const given = isRecord(options) ? options : { capture: options };
    const signal: unknown = given.signal;
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("signal must be an AbortSignal");
    if (callback === null || callback === undefined) return;
    if (!isRecord(callback)) throw new TypeError("a listener is a function or an object with handleEvent");
    if (signal?.aborted) return;
    const name = `${type as string}`;
    const capture = !!given.capture;
    if (this.#listeners.some((each) => each.type === name && each.callback === callback && each.capture === capture)) return;
    const listener = { type: name, callback, capture, once: !!given.once, passive: !!given.passive, removed: false };
    this.#listeners = [...this.#listeners, listener];
    if (signal !== undefined) onAbort(signal, () => this.#remove(listener));
  }

  removeEventListener(type: unknown, callback: unknown, options: unknown = {}): void {
    needs(2, arguments.length, "removeEventListener");
    const capture = isRecord(options) ? !!options.capture : !!options;
    const listener = this.#listeners.find(
      (each) => each.type === `${type as string}` && each.callback === callback && each.capture === capture,
    );
    if (listener !== undefined) this.#remove(listener);
  }

  dispatchEvent(event: unknown): boolean {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent takes an Event");
    const state = internals.get(event)!;
    if (state.phase !== 0) throw new DOMException("the event is being dispatched", "InvalidStateError");
    state.target = this;
    state.phase = 2;
    for (const listener of this.#listeners) {
      if (listener.type !== event.type || listener.removed) continue;
      if (listener.once) this.#remove(listener);
      state.passive = listener.passive;
      try {
        const { callback } = listener;
        if (typeof callback === "function") callback.call(this, event);
        else (callback as { handleEvent(event: Event): void }).handleEvent(event);
      } catch (error) {
        report(error);
      }
      state.passive = false;
      if (state.stopped) break;
    }
    state.phase = 0;
    state.stopped = false;
    return !state.canceled;
  }

  #remove(listener: Listener): void {
    listener.removed = true;
    this.#listeners = this.#listeners.filter((each) => each !== listener);
  }
}
expose(EventTarget, "EventTarget");

/** As an error that nobody caught: it is logged, and the others go on. */
function report(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** The `on…` attribute of a target. */
class Handler {
  #callback: unknown = null;
  #listening = false;

  get value(): unknown {
    return this.#callback;
  }

  set(target: EventTarget, type: string, callback: unknown): void {
    this.#callback = typeof callback === "function" ? callback : null;
    if (this.#listening || this.#callback === null) return;
    this.#listening = true;
    target.addEventListener(type, (event: unknown) => {
      if (typeof this.#callback === "function") this.#callback.call(target, event);
    });
  }
}

const MAKE = Symbol("make");
let abortSignal: (signal: AbortSignal, reason: unknown) => void;
let whenAborted: (signal: AbortSignal, action: () => void) => () => void;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown = undefined;
  readonly #actions = new Set<() => void>();
  readonly #handler = new Handler();

  static {
    abortSignal = (signal, reason) => signal.#abort(reason);
    whenAborted = (signal, action) => {
      if (signal.#aborted) return () => {};
      signal.#actions.add(action);
      return () => signal.#actions.delete(action);
    };
  }

  constructor(key?: unknown) {
    if (key !== MAKE) throw new TypeError("an AbortSignal is made by an AbortController");
    super();
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(MAKE);
    signal.#abort(reason);
    return signal;
  }

  static timeout(milliseconds: unknown): AbortSignal {
    needs(1, arguments.length, "AbortSignal.timeout");
    const delay = Number(milliseconds);
    if (!(delay >= 0) || delay > Number.MAX_SAFE_INTEGER) throw new TypeError("timeout takes milliseconds");
    const signal = new AbortSignal(MAKE);
    setTimeout(() => signal.#abort(new DOMException("the time is over", "TimeoutError")), Math.min(delay, 0x7fffffff));
    return signal;
  }

  static any(signals: Iterable<unknown>): AbortSignal {
    const sources = [...signals].map((each) => {
      if (!(each instanceof AbortSignal)) throw new TypeError("any takes AbortSignals");
      return each;
    });
    const signal = new AbortSignal(MAKE);
    const first = sources.find((each) => each.#aborted);
    if (first !== undefined) signal.#abort(first.#reason);
    else for (const each of sources) onAbort(each, () => signal.#abort(each.#reason));
    return signal;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  get onabort(): unknown {
    return this.#handler.value;
  }

  set onabort(callback: unknown) {
    this.#handler.set(this, "abort", callback);
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  #abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason === undefined ? new DOMException("this was aborted", "AbortError") : reason;
    for (const action of this.#actions) action();
    this.#actions.clear();
    this.dispatchEvent(new Event("abort"));
  }
}
expose(AbortSignal, "AbortSignal", showing("aborted", "reason"));

/** Runs `action` before the listeners when `signal` is aborted; returns what takes that back. */
export function onAbort(signal: AbortSignal, action: () => void): () => void {
  return whenAborted(signal, action);
}

export class AbortController {
  readonly #signal = new AbortSignal(MAKE);

  get signal(): AbortSignal {
    return this.#signal;
  }

  abort(reason?: unknown): void {
    abortSignal(this.#signal, reason);
  }
}
expose(AbortController, "AbortController", showing("signal"));
