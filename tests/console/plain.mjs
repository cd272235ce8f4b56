// One run of a real browser without scripts, moved by the keyboard alone: the first start, a key that is made, used, exhausted
// and topped up, and from each refusal to the page that says cause and cure.
//   node plain.mjs SET-UP-LINK PROVIDER-URL PROVIDER-KEY DIRECTORY-FOR-SCREENSHOTS
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [link, provider, providerKey, shots] = process.argv.slice(2);
const { origin: base, hash } = new URL(link);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1440, height: 900 }, locale: "en-US" });
const page = await context.newPage();
page.setDefaultTimeout(10_000);

const isFocused = (selector) => page.locator(selector).first().evaluate((element) => element === document.activeElement);
// To an element by Tab alone, as far as the end of the page.
const to = async (selector) => {
  await page.waitForSelector(selector);
  for (let step = 0; step < 120; step += 1) {
    if (await isFocused(selector)) {
      const outlined = await page.locator(selector).first().evaluate((element) => getComputedStyle(element).outlineStyle !== "none");
      assert.ok(outlined, `one sees that the focus is on ${selector}`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  throw new Error(`${page.url()}: the keyboard does not reach ${selector}`);
};
const type = async (selector, text) => {
  await to(selector);
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(text);
};
const press = async (selector, url) => {
  await to(selector);
  await Promise.all([page.waitForURL(url), page.keyboard.press("Enter")]);
};

// The first run: without scripts the token is typed.
await page.goto(`${base}/console/set-up`);
await type("#token", hash.slice(1));
await type("#password", "a horse, a battery");
await type("#again", "a horse, a battery");
await press("form.card button", /set-up\/channel/);
await type("#base_url", provider);
await type("#key", providerKey);
await type("#model", "apsis-demo");
await type("#max_output", "4096");
await press("button.primary", /set-up\/key/);
await press("button.primary", /set-up\/key/);
const first = (await page.textContent("#secret")).trim();
assert.match(first, /^sk-[A-Za-z0-9]{48}$/);
await page.screenshot({ path: `${shots}/plain-set-up-key.png`, fullPage: true });

const ask = async (key, body = {}, headers = {}) => {
  const answer = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify({ model: "apsis-demo", messages: [{ role: "user", content: "Hello" }], ...body }),
  });
  return { status: answer.status, link: answer.headers.get("link"), ...(await answer.json()) };
};
assert.equal((await ask(first)).status, 200, "the first request is answered");

// A key is made with the keyboard, and its text is shown.
const make = async (name, fill) => {
  await page.goto(`${base}/console/keys`);
  await press("a[href='/console/keys/new']", /keys\/new/);
  await type("#name", name);
  await fill();
  await press("main form button.primary", /keys\/\d+\?done=created/);
  const at = page.url().split("?")[0];
  await press("#secret-card button", /reveal/);
  return [at, (await page.textContent("#secret")).trim()];
};
const [small, smallKey] = await make("small", () => type("#quota", "0.001"));
// An answer costs 0.000056: what is left in the end does not cover another.
let answered = 0;
let refused;
while ((refused = await ask(smallKey, { max_tokens: 30 })).status === 200) answered += 1;
assert.ok(answered > 0, "it is used before it is exhausted");
assert.equal(refused.error.code, "quota_exhausted");

// The refusal leads to its page, and the page says what to do.
const explained = async (refusal, code) => {
  assert.equal(refusal.error.code, code);
  const help = /<([^>]+)>; rel="help"/.exec(refusal.link ?? "");
  assert.ok(help, `${code}: no link`);
  const answer = await page.goto(new URL(help[1], base).href);
  assert.equal(answer.status(), 200, code);
  assert.equal((await page.textContent("h1")).trim(), code);
  for (const heading of ["Cause", "Cure"]) assert.equal(await page.locator(`h2:text-is('${heading}')`).count(), 1, `${code}: ${heading}`);
};
await explained(refused, "quota_exhausted");
await page.screenshot({ path: `${shots}/plain-quota-exhausted.png`, fullPage: true });

// The dashboard names the key, and from there it is topped up.
await page.goto(`${base}/console`);
await press("section:has(#attention-title) tbody a", /console\/keys\/\d+/);
assert.equal(page.url(), small);
await press("a[href$='/edit']", /edit/);
await type("#quota", "1.00");
await press("main form button.primary", /done=saved/);
assert.equal((await ask(smallKey, { max_tokens: 30 })).status, 200, "it works again");

// What else is refused.
await explained(await ask(null), "missing_api_key");
await explained(await ask("sk-nothing"), "invalid_api_key");
await explained(await ask(first, { model: "" }), "model_required");
await explained(await ask(first, "{"), "invalid_request");
await explained(await ask(first, { model: "nowhere" }), "model_not_found");
const [, elsewhere] = await make("elsewhere", () => type("#addresses", "192.0.2.0/24"));
await explained(await ask(elsewhere), "ip_not_allowed");
const [, narrow] = await make("narrow", async () => { await to("#limited"); await page.keyboard.press("Space"); });
await explained(await ask(narrow), "model_not_allowed");
const [off, offKey] = await make("off", async () => {});
await page.goto(off);
await to("form[action$='/status'] button");
await page.keyboard.press("Enter");
await page.waitForSelector(".badge.off");
await explained(await ask(offKey), "key_disabled");

// Deleting asks once more, without a dialog.
await page.goto(off);
await to("details.confirm summary");
await page.keyboard.press("Enter");
await press("details.confirm button", /done=deleted/);
assert.equal(await page.locator("tbody tr").count(), 4);
await explained(await ask(offKey), "invalid_api_key");

await browser.close();
console.log("console: first run, a key made, used, exhausted and topped up, 10 refusals explained, all without scripts by keyboard: no fault");
