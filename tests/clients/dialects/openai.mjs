// The official OpenAI client for Node on chat completions, responses and embeddings.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { ANSWER, ARGUMENTS, PARAMETERS, QUESTION, collect } from "./way.mjs";

const messages = [{ role: "user", content: QUESTION }];
const client = (way) => new OpenAI({ baseURL: `${way.origin}/v1`, apiKey: way.key, maxRetries: 0 });

export const cases = {
  async chat(way) {
    const model = way.model("plain");
    const whole = await client(way).chat.completions.create({ model, messages });
    assert.equal(whole.choices[0].message.content, ANSWER);
    assert.deepEqual([whole.usage.prompt_tokens, whole.usage.completion_tokens], [3, 5]);
    await way.books(3, 5);
    const options = { model, messages, stream: true, stream_options: { include_usage: true } };
    const chunks = await collect(await client(way).chat.completions.create(options));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), ANSWER);
    assert.equal(chunks.at(-1).usage.completion_tokens, 5);
    await way.books(3, 5);
  },

  // The client's own loop: it runs functions of the program until there are no more calls.
  async agent(way) {
    const asked = [];
    const weather = (given) => { asked.push(given); return "It rains."; };
    const tool = { type: "function", function: { name: "weather", parameters: PARAMETERS, parse: JSON.parse, function: weather } };
    const runner = client(way).chat.completions.runTools({ model: way.model("caller"), messages, tools: [tool], stream: true });
    assert.match(await runner.finalContent(), /^Hello from Apsis!/);
    assert.deepEqual(asked, [ARGUMENTS]);
  },

  async structured(way) {
    const schema = { name: "place", strict: true, schema: PARAMETERS };
    const format = { type: "json_schema", json_schema: schema };
    const answer = await client(way).chat.completions.parse({ model: way.model("plain"), messages, response_format: format });
    assert.deepEqual(answer.choices[0].message.parsed, ARGUMENTS);
  },

  async responses(way) {
    const model = way.model("plain");
    const whole = await client(way).responses.create({ model, input: QUESTION, store: false });
    assert.equal(whole.output_text, ANSWER);
    await way.books(whole.usage.input_tokens, whole.usage.output_tokens);
    const stream = client(way).responses.stream({ model, input: QUESTION, store: false });
    assert.equal((await stream.finalResponse()).output_text, ANSWER);
    await way.books(3, 5);
  },

  async errors(way) {
    const ask = (model) => collectChat(way, model);
    await assert.rejects(ask(way.model("bad")), (error) => error instanceof OpenAI.BadRequestError && /one thing is wrong/.test(error.message));
    await assert.rejects(ask(way.failing("broken", "chat")), OpenAI.InternalServerError);
    await assert.rejects(ask(way.failing("busy", "chat")), OpenAI.RateLimitError);
    await assert.rejects(ask(way.model("torn")), OpenAI.APIError);
  },
};

async function collectChat(way, model) {
  return collect(await client(way).chat.completions.create({ model, messages, stream: true }));
}
