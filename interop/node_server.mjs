// A server on `ws` that obeys the commands of `examples/echo_server/commands.rs`.
//
// node_server.mjs [CERT KEY]

import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";

// `ws` is installed elsewhere, in NODE_PATH, where `import` does not look.
const { WebSocketServer } = createRequire(import.meta.url)("ws");

const [cert, key] = process.argv.slice(2).map((file) => readFileSync(file));
const server = cert ? https.createServer({ cert, key }) : http.createServer();
const sockets = new WebSocketServer({
  server,
  maxPayload: 0,
  handleProtocols: (offered) => offered.has("chat") && "chat",
});

sockets.on("connection", (ws) => {
  ws.on("error", (error) => console.log(`error: ${error.message}`));
  ws.on("close", (code, reason) => console.log(`closed with code ${code} ("${reason}")`));
  ws.on("message", (data, isBinary) => answer(ws, isBinary ? data : data.toString()));
});

async function answer(ws, message) {
  const [, name, rest] = /^!(\w+) ?(.*)$/su.exec(message) ?? [];
  const [first, second] = rest?.split(/ (.*)/su) ?? [];
  switch (typeof message === "string" ? name : undefined) {
    case "close":
      return ws.close(Number(first), second);
    case "drop":
      return ws.terminate();
    case "push":
      for (let i = 0; i < Number(first); i++) ws.send(Buffer.alloc(Number(second), i & 255));
      return ws.send(`!pushed ${first}`);
    case "ping":
      ws.ping(rest);
      await once(ws, "pong");
      return ws.send(`pong ${rest}`);
    case "proto":
      return ws.send(ws.protocol);
    default:
      return ws.send(message);
  }
}

server.listen(0, "127.0.0.1", () => {
  console.log(`listening on ${cert ? "wss" : "ws"}://127.0.0.1:${server.address().port}`);
});
