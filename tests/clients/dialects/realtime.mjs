// The official OpenAI client for Node on realtime: with a header, and as in a browser, where the key is a subprotocol.
import assert from "node:assert/strict";
import net from "node:net";
import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { WebSocket } from "ws";
import { ANSWER, QUESTION } from "./way.mjs";

// The client takes every server for one with TLS, and these have none; and this version of Node has no websocket of its own.
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(String(url).replace(/^wss:/, "ws:"), protocols);
  }
};
const connect = (options) => net.connect({ host: options.host, port: options.port });
const client = (way) => new OpenAI({ baseURL: `${way.origin}/v1`, apiKey: way.key, maxRetries: 0 });

// One question and its answer.
async function converse(way, socket) {
  const said = [];
  const usage = await new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("session.created", () => {
      const content = [{ type: "input_text", text: QUESTION }];
      socket.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
      socket.send({ type: "response.create" });
    });
    socket.on("response.output_text.delta", (event) => said.push(event.delta));
    socket.on("response.done", (event) => resolve(event.response.usage));
  });
  assert.equal(said.join(""), ANSWER);
  assert.deepEqual([usage.input_tokens, usage.output_tokens], [3, 5]);
  const closed = new Promise((resolve) => socket.socket.addEventListener("close", resolve));
  socket.close();
  await closed;
  await way.books(3, 5);
}

export const cases = {
  async header(way) {
    await converse(way, new OpenAIRealtimeWS({ model: way.model("plain"), options: { createConnection: connect } }, client(way)));
  },

  async subprotocol(way) {
    const socket = new OpenAIRealtimeWebSocket({ model: way.model("plain") }, client(way));
    await converse(way, socket);
    assert.equal(socket.socket.protocol, "realtime");
  },
};
