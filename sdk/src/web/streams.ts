import { TextDecoder, TextEncoder } from "./encoding";
import { LATE } from "./late";
import { expose, showAs, showing } from "./platform";

/** Streams (Streams Standard), from npm, and the ones that the Encoding Standard makes of them. */
const streams = LATE.streams();

export const {
  ReadableStream,
  ReadableStreamDefaultReader,
  ReadableStreamBYOBReader,
  ReadableStreamDefaultController,
  ReadableByteStreamController,
  ReadableStreamBYOBRequest,
  WritableStream,
  WritableStreamDefaultWriter,
  WritableStreamDefaultController,
  TransformStream,
  TransformStreamDefaultController,
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
} = streams;

showAs(ReadableStream, "ReadableStream", showing("locked"));
showAs(WritableStream, "WritableStream", showing("locked"));

export class TextEncoderStream {
  #lead = "";
  readonly #encoder = new TextEncoder();
  readonly #transform = new TransformStream({
    transform: (chunk: unknown, controller: { enqueue(chunk: unknown): void }) => {
      let text = this.#lead + `${chunk as string}`;
      const half = /[\ud800-\udbff]$/.test(text);
      this.#lead = half ? text.slice(-1) : "";
      if (half) text = text.slice(0, -1);
      if (text !== "") controller.enqueue(this.#encoder.encode(text));
    },
    flush: (controller: { enqueue(chunk: unknown): void }) => {
      if (this.#lead !== "") controller.enqueue(this.#encoder.encode(this.#lead));
    },
  });

  get encoding(): string {
    return "utf-8";
  }

  get readable(): unknown {
    return this.#transform.readable;
  }

  get writable(): unknown {
    return this.#transform.writable;
  }
}
expose(TextEncoderStream, "TextEncoderStream");

export class TextDecoderStream {
  readonly #decoder: TextDecoder;
  readonly #transform: any;

  constructor(label: unknown = "utf-8", options: unknown = {}) {
    const decoder = (this.#decoder = new TextDecoder(label, options));
    this.#transform = new TransformStream({
      transform(chunk: unknown, controller: { enqueue(chunk: unknown): void }) {
        const text = decoder.decode(chunk, { stream: true });
        if (text !== "") controller.enqueue(text);
      },
      flush(controller: { enqueue(chunk: unknown): void }) {
        const text = decoder.decode();
        if (text !== "") controller.enqueue(text);
      },
    });
  }

  get encoding(): string {
    return this.#decoder.encoding;
  }

  get fatal(): boolean {
    return this.#decoder.fatal;
  }

  get ignoreBOM(): boolean {
    return this.#decoder.ignoreBOM;
  }

  get readable(): unknown {
    return this.#transform.readable;
  }

  get writable(): unknown {
    return this.#transform.writable;
  }
}
expose(TextDecoderStream, "TextDecoderStream");
