// One V8 isolate per guild in one process: Node's worker_threads. Reads {"bundle", "message", "guilds", "dispatches"}
// as JSON from standard input and prints the figures of bench/engine.py as JSON.
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

const { bundle, message, guilds, dispatches } = JSON.parse(readFileSync(0, 'utf8'));
const source = `
  const { parentPort } = require('node:worker_threads');
  const handlers = {};
  globalThis.on = (name, handler) => { handlers[name] = handler; };
  (0, eval)(${JSON.stringify(bundle)});
  parentPort.on('message', async (text) => {
    await handlers.MESSAGE_CREATE(JSON.parse(text));
    parentPort.postMessage('done');
  });
  parentPort.postMessage('ready');
`;
const next = (worker) => new Promise((resolve, reject) => {
  worker.once('message', resolve);
  worker.once('error', reject);
});
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const resident = () => process.memoryUsage().rss;

const before = resident();
const workers = [];
const starts = [];
for (let i = 0; i < guilds; i++) {
  const began = performance.now();
  const worker = new Worker(source, { eval: true });
  await next(worker);
  starts.push(performance.now() - began);
  workers.push(worker);
}
const bytes = (resident() - before) / guilds;

const [worker] = workers;
const text = JSON.stringify(message);
const trips = [];
for (let i = -200; i < dispatches; i++) {
  const began = performance.now();
  worker.postMessage(text);
  await next(worker);
  if (i >= 0) trips.push(performance.now() - began);
}
let answered = 0;
const began = performance.now();
await new Promise((resolve) => {
  worker.on('message', () => { if (++answered === dispatches) resolve(); });
  for (let i = 0; i < dispatches; i++) worker.postMessage(text);
});
const seconds = (performance.now() - began) / 1000;
console.log(JSON.stringify({
  version: process.version,
  ready_ms: median(starts),
  guild_mib: bytes / 2 ** 20,
  trip_us: median(trips) * 1000,
  pipelined: dispatches / seconds,
}));
process.exit(0);
