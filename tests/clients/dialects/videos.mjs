// The official OpenAI client for Node on videos: jobs that go on after their requests.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { QUESTION } from "./way.mjs";

const client = (way) => new OpenAI({ baseURL: `${way.origin}/v1`, apiKey: way.key, maxRetries: 0 });

export const cases = {
  async videos(way) {
    const asked = { model: way.model("filmer"), prompt: QUESTION };
    let job = await client(way).videos.create(asked);
    while (!["completed", "failed"].includes(job.status)) job = await client(way).videos.retrieve(job.id);
    assert.deepEqual([job.status, job.progress], ["completed", 100]);
    const content = await client(way).videos.downloadContent(job.id);
    assert.equal(await content.text(), "moving pictures");
    assert.ok((await client(way).videos.delete(job.id)).deleted);
  },
};
