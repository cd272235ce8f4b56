// Runs every client for Node in every way that it is told: `main.mjs ORIGIN KEY [TOKEN KIND…]`, as main.py does.
import * as anthropic from "./anthropic.mjs";
import * as google from "./google.mjs";
import * as media from "./media.mjs";
import * as openai from "./openai.mjs";
import * as realtime from "./realtime.mjs";
import * as videos from "./videos.mjs";
import { Way } from "./way.mjs";

const [origin, key, token, ...kinds] = process.argv.slice(2);
// What only some upstreams have.
const speaksOpenAI = [undefined, "openai", "responses", "azure", "compatible", "gateway"];
const only = { media: speaksOpenAI, realtime: speaksOpenAI, videos: speaksOpenAI.filter((kind) => kind !== "compatible") };
let failed = 0;
for (const kind of token ? kinds : [undefined]) {
  const way = new Way(origin, key, kind, token);
  for (const [name, { cases }] of Object.entries({ openai, media, realtime, videos, anthropic, google })) {
    if (only[name] && !only[name].includes(kind)) continue;
    const begun = performance.now();
    for (const [title, run] of Object.entries(cases)) {
      try {
        await run(way);
      } catch (error) {
        failed += 1;
        console.log(`FAILED ${name} for Node ${title} ${way}: ${error.stack ?? error}`);
      }
    }
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    console.log(`${name} for Node ${way}: ${Object.keys(cases).length} cases, ${seconds} s`);
  }
}
process.exit(failed ? 1 : 0);
