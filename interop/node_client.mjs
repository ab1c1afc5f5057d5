// Lets the client of `ws` talk to a server that obeys the commands of `examples/echo_server/commands.rs`.
//
// node_client.mjs URL [CA]

import assert from "node:assert/strict";
import { on, once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// `ws` is installed elsewhere, in NODE_PATH, where `import` does not look.
const { WebSocket } = createRequire(import.meta.url)("ws");

const [url, ca] = process.argv.slice(2);
const LARGE = 3 * 1024 * 1024 + 1;
// How long a case may take, in milliseconds.
const LIMIT = 20_000;
const signal = () => AbortSignal.timeout(LIMIT);

function connect(subprotocols = [], options = {}) {
  return new WebSocket(url, subprotocols, { ca: ca && readFileSync(ca), maxPayload: 0, ...options });
}

async function open(...options) {
  const ws = connect(...options);
  await once(ws, "open", { signal: signal() });
  return ws;
}

// The next message, a string or a Buffer.
async function receive(ws) {
  const [data, isBinary] = await once(ws, "message", { signal: signal() });
  return isBinary ? data : data.toString();
}

async function closed(ws) {
  const [code, reason] = await once(ws, "close", { signal: signal() });
  return { code, reason: reason.toString() };
}

async function leave(ws) {
  ws.close(1000);
  assert.equal((await closed(ws)).code, 1000);
}

function echoed(message) {
  return async () => {
    const ws = await open();
    ws.send(message);
    assert.deepEqual(await receive(ws), message);
    await leave(ws);
  };
}

async function fragmentsBecomeOneMessage() {
  const ws = await open();
  ws.send("frag", { fin: false });
  ws.send("", { fin: false });
  ws.send("ments", { fin: true });
  assert.equal(await receive(ws), "fragments");
  await leave(ws);
}

async function messagesKeepTheirOrder() {
  const ws = await open();
  const messages = on(ws, "message", { signal: signal() });
  ws.send("!push 300 70000");
  for (let i = 0; i < 300; i++) {
    const [data] = (await messages.next()).value;
    assert.ok(data.equals(Buffer.alloc(70_000, i & 255)), `message ${i}`);
  }
  assert.equal((await messages.next()).value.toString(), "!pushed 300,false");
  await leave(ws);
}

async function ourPingIsAnswered() {
  const ws = await open();
  ws.ping(Buffer.from("\0payload"));
  const [payload] = await once(ws, "pong", { signal: signal() });
  assert.equal(payload.toString(), "\0payload");
  await leave(ws);
}

async function theirPingIsAnswered() {
  const ws = await open();
  ws.send("!ping grüezi");
  assert.equal(await receive(ws), "pong grüezi");
  await leave(ws);
}

async function aSubprotocolIsAgreedOn() {
  const ws = await open(["nothing", "chat"]);
  assert.equal(ws.protocol, "chat");
  ws.send("!proto");
  assert.equal(await receive(ws), "chat");
  await leave(ws);
}

async function weClose() {
  const ws = await open();
  ws.close(4001, "tschüss 👋");
  assert.equal((await closed(ws)).code, 4001);
}

async function theyClose() {
  const ws = await open();
  ws.send("!close 4000 good bye 👋");
  assert.deepEqual(await closed(ws), { code: 4000, reason: "good bye 👋" });
}

async function theyVanish() {
  const ws = await open();
  ws.send("!drop");
  assert.equal((await closed(ws)).code, 1006);
}

async function aForeignOriginIsRefused() {
  const ws = connect([], { origin: "https://elsewhere.example" });
  const [, response] = await once(ws, "unexpected-response", { signal: signal() });
  assert.equal(response.statusCode, 403);
  ws.on("error", () => {}); // the end of an attempt that was given up
  ws.terminate();
}

const cases = {
  text: echoed("grüezi"),
  "empty text": echoed(""),
  emoji: echoed("👩‍👩‍👧‍👦 🦀"),
  "large text": echoed("é".repeat(LARGE)),
  binary: echoed(Buffer.from([...Array(256).keys()])),
  "empty binary": echoed(Buffer.alloc(0)),
  "large binary": echoed(Buffer.alloc(LARGE, "0123456789")),
  fragments: fragmentsBecomeOneMessage,
  order: messagesKeepTheirOrder,
  "our ping": ourPingIsAnswered,
  "their ping": theirPingIsAnswered,
  subprotocol: aSubprotocolIsAgreedOn,
  "our close": weClose,
  "their close": theyClose,
  "their end without a close": theyVanish,
  "foreign origin": aForeignOriginIsRefused,
};

for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    process.exit(1);
  }
  console.log("ok", name);
}
