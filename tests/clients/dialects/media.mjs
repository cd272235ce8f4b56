// The official OpenAI client for Node on what is no conversation in text: embeddings, moderations, images, sound, videos.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";
import { QUESTION, collect } from "./way.mjs";

const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const HEARD = "Hello from a recording.";
const client = (way) => new OpenAI({ baseURL: `${way.origin}/v1`, apiKey: way.key, maxRetries: 0 });

export const cases = {
  async embeddings(way) {
    const made = await client(way).embeddings.create({ model: way.model("plain"), input: [QUESTION, QUESTION] });
    assert.equal(made.data.length, 2);
    await way.books(6, 0);
  },

  async moderations(way) {
    const told = await client(way).moderations.create({ model: way.model("plain"), input: ["peace", "violence"] });
    assert.deepEqual(told.results.map((result) => result.flagged), [false, true]);
  },

  async images(way) {
    const model = way.model("plain");
    const made = await client(way).images.generate({ model, prompt: QUESTION });
    assert.equal(made.data[0].b64_json, PIXEL);
    await way.books(3, 100);
    const image = await toFile(Buffer.from(PIXEL, "base64"), "pixel.png", { type: "image/png" });
    const edited = await client(way).images.edit({ model, image, prompt: QUESTION });
    assert.equal(edited.usage.input_tokens_details.image_tokens, 50);
    await way.books(53, 100);
  },

  async sound(way) {
    const model = way.model("plain");
    const spoken = await client(way).audio.speech.create({ model, voice: "alloy", input: QUESTION });
    assert.equal(await spoken.text(), "sound 0;sound 1;sound 2;");
    const file = () => toFile(Buffer.from("RIFF"), "sound.wav", { type: "audio/wav" });
    const heard = await client(way).audio.transcriptions.create({ model, file: await file() });
    assert.equal(heard.text, HEARD);
    await way.books(heard.usage.input_tokens, heard.usage.output_tokens);
    const stream = await client(way).audio.transcriptions.create({ model, file: await file(), stream: true });
    assert.equal((await collect(stream)).at(-1).text, HEARD);
    const translated = await client(way).audio.translations.create({ model, file: await file() });
    assert.equal(translated.text, HEARD);
  },
};
