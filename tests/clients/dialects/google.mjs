// Google's official client for Node on generateContent, whole and streamed, and the count of its tokens.
import assert from "node:assert/strict";
import { ApiError, FinishReason, GoogleGenAI } from "@google/genai";
import { ANSWER, ARGUMENTS, PARAMETERS, QUESTION, THOUGHT, collect } from "./way.mjs";

const models = (way) => new GoogleGenAI({ apiKey: way.key, httpOptions: { baseUrl: way.origin } }).models;

export const cases = {
  async whole(way) {
    const answer = await models(way).generateContent({ model: way.model("plain"), contents: QUESTION });
    assert.deepEqual([answer.text, answer.candidates[0].finishReason], [ANSWER, FinishReason.STOP]);
    assert.equal(answer.usageMetadata.totalTokenCount, 8);
    await way.books(3, 5);
  },

  async streamed(way) {
    const chunks = await collect(await models(way).generateContentStream({ model: way.model("plain"), contents: QUESTION }));
    assert.equal(chunks.map((chunk) => chunk.text ?? "").join(""), ANSWER);
    assert.equal(chunks.at(-1).candidates[0].finishReason, FinishReason.STOP);
    await way.books(3, 5);
  },

  async tools(way) {
    const functionDeclarations = ["weather", "climate"].map((name) => ({ name, parametersJsonSchema: PARAMETERS }));
    const asked = { model: way.model("twins"), config: { tools: [{ functionDeclarations }] } };
    const answer = await models(way).generateContent({ ...asked, contents: QUESTION });
    assert.deepEqual(answer.functionCalls.map((call) => [call.name, call.args]), [["weather", ARGUMENTS], ["climate", ARGUMENTS]]);
    const results = answer.functionCalls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: "It rains." } } }));
    const contents = [{ role: "user", parts: [{ text: QUESTION }] }, answer.candidates[0].content, { role: "user", parts: results }];
    assert.match((await models(way).generateContent({ ...asked, contents })).text, /^Hello from Apsis!/);
  },

  async structured(way) {
    const config = { responseMimeType: "application/json", responseJsonSchema: PARAMETERS };
    const answer = await models(way).generateContent({ model: way.model("plain"), contents: QUESTION, config });
    assert.deepEqual(JSON.parse(answer.text), ARGUMENTS);
  },

  async thinking(way) {
    const config = { thinkingConfig: { includeThoughts: true, thinkingBudget: 2000 }, maxOutputTokens: 4000 };
    const answer = await models(way).generateContent({ model: way.model("thinker"), contents: QUESTION, config });
    const thoughts = answer.candidates[0].content.parts.filter((part) => part.thought);
    assert.equal(thoughts.map((part) => part.text).join(""), THOUGHT);
    assert.equal(answer.usageMetadata.thoughtsTokenCount, 3);
  },

  async counted(way) {
    const counted = await models(way).countTokens({ model: way.model("plain"), contents: QUESTION });
    assert.ok(counted.totalTokens > 0);
  },

  async errors(way) {
    const ask = (model) => models(way).generateContentStream({ model, contents: QUESTION }).then(collect);
    const refused = (status) => (error) => error instanceof ApiError && error.status === status;
    await assert.rejects(ask(way.model("bad")), refused(400));
    await assert.rejects(ask(way.failing("broken", "google")), refused(500));
    await assert.rejects(ask(way.failing("busy", "google")), refused(429));
    await assert.rejects(ask(way.model("torn")));
  },
};
