// A way to the scriptable provider, as way.py has it.
import assert from "node:assert/strict";

export const QUESTION = "one two three";
export const ANSWER = "w0 w1 w2 w3 w4";
export const THOUGHT = "t0 t1 t2";
export const ARGUMENTS = { city: "scripted", days: 7 };
export const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};

export class Way {
  constructor(origin, key, kind, token) {
    Object.assign(this, { origin, key, kind, token });
  }

  toString() {
    return this.kind ? `through ${this.kind}` : "straight";
  }

  model(act) {
    return this.kind ? `${act}-${this.kind}` : act;
  }

  failing(act, client) {
    return this.kind ? `${act}-node-${client}-${this.kind}` : act;
  }

  // Sees to it that the books say the same of the last request as its client was told, and who said so.
  async books(input, output) {
    if (!this.kind) return;
    const answer = await fetch(`${this.origin}/api/log/self?page_size=1`, { headers: { authorization: this.token } });
    const [record] = (await answer.json()).data.items;
    assert.deepEqual([record.prompt_tokens, record.completion_tokens], [input, output], `${this}`);
    assert.equal(record.charge.counted_by, "reported", `${this}`);
    assert.ok(record.quota > 0 && record.charge.not_charged === 0, `${this}`);
  }
}

export async function collect(stream) {
  const all = [];
  for await (const one of stream) all.push(one);
  return all;
}
