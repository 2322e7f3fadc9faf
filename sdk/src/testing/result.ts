/** What the host says of a step. */
export interface RawResult {
  readonly calls: readonly { op: string; args: unknown; result: unknown; error: string | null; timestamp: number }[];
  readonly logs: readonly { line: number; level: string; text: string }[];
  readonly messages: readonly any[];
  readonly modal: any;
  readonly choices: readonly any[] | null;
  readonly failure: { eventId: string | null; name: string; message: string } | null;
}

const REPLIES = ["op_send_message", "op_send_interaction_response"];
const EDITS = [
  "op_edit_message",
  "op_update_interaction_response",
  "op_edit_original_interaction_response",
  "op_edit_followup_message",
];
const DEFERS = ["op_defer_interaction_response", "op_defer_interaction_update"];
const FOLLOWUPS = ["op_create_followup_message"];
const EPHEMERAL = 64;

/** What the bot did about one step of a test. */
export class TestResult {
  readonly calls: RecordedCall[];
  readonly logs: unknown[][];
  readonly lines: { level: string; text: string }[];
  readonly messages: RawMessage[];
  readonly modal: RawJson | undefined;
  readonly choices: { name: string; value: string | number }[];

  constructor(raw: RawResult, line: (number: number) => unknown[] | undefined) {
    this.calls = raw.calls.map((call) => ({ ...call, method: camelCase(call.op.slice(3)) }));
    this.logs = raw.logs.map((each) => line(each.line) ?? [each.text]);
    this.lines = raw.logs.map(({ level, text }) => ({ level, text }));
    this.messages = [...raw.messages];
    this.modal = raw.modal ?? undefined;
    this.choices = [...(raw.choices ?? [])];
  }

  get replies(): RecordedCall[] {
    return this.#of(REPLIES);
  }

  get edits(): RecordedCall[] {
    return this.#of(EDITS);
  }

  get defers(): RecordedCall[] {
    return this.#of(DEFERS);
  }

  get followups(): RecordedCall[] {
    return this.#of(FOLLOWUPS);
  }

  get firstReply(): RawJson | undefined {
    return this.replies[0]?.args;
  }

  get message(): RawMessage | undefined {
    return this.messages[0];
  }

  get text(): string | undefined {
    return this.message?.content ?? this.firstReply?.content;
  }

  get ephemeral(): boolean {
    return this.message === undefined
      ? this.firstReply?.ephemeral === true
      : ((this.message.flags ?? 0) & EPHEMERAL) !== 0;
  }

  #of(ops: readonly string[]): RecordedCall[] {
    return this.calls.filter((call) => ops.includes(call.op));
  }
}

type RecordedCall = import("flora:test").RecordedCall;

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
