// Anthropic's official client for Node on messages and the count of their tokens.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { ANSWER, ARGUMENTS, PARAMETERS, QUESTION, THOUGHT, collect } from "./way.mjs";

const messages = [{ role: "user", content: QUESTION }];
const client = (way) => new Anthropic({ baseURL: way.origin, apiKey: way.key, maxRetries: 0 });
const text = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");

export const cases = {
  async whole(way) {
    const answer = await client(way).messages.create({ model: way.model("plain"), max_tokens: 100, messages });
    assert.deepEqual([text(answer), answer.stop_reason], [ANSWER, "end_turn"]);
    assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [3, 5]);
    await way.books(3, 5);
  },

  async streamed(way) {
    const stream = client(way).messages.stream({ model: way.model("plain"), max_tokens: 100, messages });
    assert.equal(await stream.finalText(), ANSWER);
    await way.books(3, 5);
  },

  async tools(way) {
    const tools = ["weather", "climate"].map((name) => ({ name, input_schema: PARAMETERS }));
    const asked = { model: way.model("twins"), max_tokens: 100, tools };
    const answer = await client(way).messages.stream({ ...asked, messages }).finalMessage();
    const calls = answer.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(calls.map((call) => [call.name, call.input]), [["weather", ARGUMENTS], ["climate", ARGUMENTS]]);
    const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "It rains." }));
    const said = [...messages, { role: "assistant", content: answer.content }, { role: "user", content: results }];
    assert.match(text(await client(way).messages.create({ ...asked, messages: said })), /^Hello from Apsis!/);
  },

  async thinking(way) {
    const thinking = { type: "enabled", budget_tokens: 2000 };
    const asked = { model: way.model("thinker"), max_tokens: 4000, thinking };
    const answer = await client(way).messages.stream({ ...asked, messages }).finalMessage();
    assert.equal(answer.content.map((block) => block.thinking ?? "").join(""), THOUGHT);
    assert.equal(text(answer), ANSWER);
    const said = [...messages, { role: "assistant", content: answer.content }, ...messages];
    await client(way).messages.create({ ...asked, messages: said });
  },

  async counted(way) {
    const counted = await client(way).messages.countTokens({ model: way.model("plain"), messages });
    assert.ok(counted.input_tokens > 0);
  },

  async errors(way) {
    const ask = (model) => client(way).messages.create({ model, max_tokens: 100, messages, stream: true }).then(collect);
    await assert.rejects(ask(way.model("bad")), Anthropic.BadRequestError);
    await assert.rejects(ask(way.failing("broken", "messages")), Anthropic.InternalServerError);
    await assert.rejects(ask(way.failing("busy", "messages")), Anthropic.RateLimitError);
    await assert.rejects(ask(way.model("torn")), Anthropic.APIError);
  },
};
