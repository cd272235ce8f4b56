// The official OpenAI client for Node against a running gateway: whole, streamed, errors as its exceptions.
import assert from "node:assert/strict";
import OpenAI from "openai";

const [base, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];

const whole = await client.chat.completions.create({ model: "apsis-demo", messages });
assert.match(whole.choices[0].message.content, /^Hello from Apsis!/);
assert.equal(whole.usage.completion_tokens, 27);

let text = "";
for await (const chunk of await client.chat.completions.create({ model: "apsis-demo", messages, stream: true })) {
  text += chunk.choices[0].delta.content ?? "";
}
assert.equal(text, whole.choices[0].message.content);

// A caller that leaves is charged for what it got, and the client does not hang.
const stream = await client.chat.completions.create({ model: "apsis-demo", messages, stream: true });
for await (const chunk of stream) break;

const vector = await client.embeddings.create({ model: "apsis-demo-embedding", input: "Hello", encoding_format: "float" });
assert.equal(vector.data[0].embedding.length, 3);

const other = new OpenAI({ baseURL: `${base}/v1`, apiKey: "sk-nonsense" });
await assert.rejects(other.models.list(), (error) => error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key");
await assert.rejects(
  client.chat.completions.create({ model: "", messages }),
  (error) => error instanceof OpenAI.BadRequestError && error.code === "model_required",
);
console.log("openai for Node");

const comet = await import("cometapi");
const Comet = comet.CometAPI ?? comet.default;
const through = await new Comet({ baseURL: `${base}/v1`, apiKey: key }).chat.completions.create({ model: "apsis-demo", messages });
assert.equal(through.choices[0].message.content, text);
console.log("cometapi for Node");
