type Body = () => unknown;

interface Test {
  readonly name: string;
  readonly suite: readonly string[];
  readonly body: Body | undefined;
  readonly mode: "run" | "skip" | "only" | "todo";
  readonly timeout: number | null;
  readonly hooks: Hooks;
}

interface Hooks {
  readonly above: Hooks | undefined;
  readonly before: Body[];
  readonly after: Body[];
}

type Options = { readonly timeout?: number };

/** The tests of a file, in the order in which it declares them. */
export class Registry {
  readonly #tests: Test[] = [];
  #suite: string[] = [];
  #mode: "run" | "skip" | "only" = "run";
  #hooks: Hooks = { above: undefined, before: [], after: [] };

  readonly test = Object.assign(this.#declares("run"), {
    only: this.#declares("only"),
    skip: this.#declares("skip"),
    todo: (name: string) => this.#add(name, undefined, "todo"),
  });

  readonly describe = Object.assign(this.#groups("run"), {
    only: this.#groups("only"),
    skip: this.#groups("skip"),
  });

  readonly beforeEach = (body: Body): void => void this.#hooks.before.push(body);
  readonly afterEach = (body: Body): void => void this.#hooks.after.push(body);

  list(): object[] {
    return this.#tests.map(({ name, suite, mode, timeout }) => ({ name, suite, mode, timeout }));
  }

  /** Runs one test with its hooks, the outer ones first before it and last after it. Rejects with what it throws. */
  async run(index: number): Promise<void> {
    const test = this.#tests[index];
    if (test?.body === undefined) throw new Error(`there is no test ${index}`);
    const levels: Hooks[] = [];
    for (let level: Hooks | undefined = test.hooks; level !== undefined; level = level.above) levels.unshift(level);
    for (const level of levels) for (const hook of level.before) await hook();
    try {
      await test.body();
    } finally {
      for (const level of levels.reverse()) for (const hook of level.after) await hook();
    }
  }

  #declares(mode: "run" | "only" | "skip") {
    return (name: string, body: Body, options?: Options): void => {
      if (typeof body !== "function") throw new TypeError(`the test "${name}" needs a function`);
      this.#add(name, body, mode, options);
    };
  }

  #groups(mode: "run" | "only" | "skip") {
    return (name: string, body: () => void): void => {
      const [suite, above, outer] = [this.#suite, this.#mode, this.#hooks];
      this.#suite = [...suite, String(name)];
      this.#mode = mode === "run" ? above : mode;
      this.#hooks = { above: outer, before: [], after: [] };
      try {
        const made: unknown = body();
        if (made instanceof Promise) throw new TypeError(`describe "${name}" cannot be async: its tests can`);
      } finally {
        [this.#suite, this.#mode, this.#hooks] = [suite, above, outer];
      }
    };
  }

  #add(name: string, body: Body | undefined, mode: Test["mode"], options: Options = {}): void {
    this.#tests.push({
      name: String(name),
      suite: this.#suite,
      body,
      mode: mode === "run" ? this.#mode : mode,
      timeout: options.timeout ?? null,
      hooks: this.#hooks,
    });
  }
}
