// One run of a real browser: the first start, a request, every page at three widths, in two themes and two languages.
//   node console.mjs SET-UP-LINK PROVIDER-URL PROVIDER-KEY DIRECTORY-FOR-SCREENSHOTS
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [link, provider, providerKey, shots] = process.argv.slice(2);
const base = new URL(link).origin;
const axe = readFileSync(new URL("./node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const password = "a horse, a battery";
const hostile = `<img src=x onerror=alert(1)>"'\`{{7*7}}`;

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const faults = [];

// Whatever a page does that none should: an error, a report, a dialog, a request to another host.
const watch = (page) => {
  page.setDefaultTimeout(10_000);
  // A form that is refused answers 4xx, which the browser writes down as an error of its own.
  page.on("console", (message) => {
    const expected = /status of 4(22|03|04)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !expected) faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error}`));
  page.on("dialog", (dialog) => { faults.push(`${page.url()}: dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith("data:")) faults.push(`went to ${request.url()}`);
  });
  return page;
};

const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "light", locale: "en-US" });
const page = watch(await context.newPage());

const checked = async (name) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, impact, nodes } of violations) {
    if (["serious", "critical"].includes(impact)) faults.push(`${name}: axe ${id}: ${nodes.map((node) => node.html).slice(0, 3).join(" | ")}`);
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) faults.push(`${name}: the page is ${wide} px wider than the window`);
};

// The first run.
await page.goto(link);
assert.equal(page.url(), `${base}/console/set-up`, "the token does not stay in the address bar");
await checked("set-up");
await page.screenshot({ path: `${shots}/set-up.png` });
await page.fill("#password", password);
await page.fill("#again", password);
await page.click("form.card button");
await page.waitForURL(/set-up\/channel/);
await page.fill("#base_url", provider);
await page.fill("#model", "apsis-demo");
await page.fill("#key", "sk-wrong-key-of-the-provider");
await page.click("button.primary");
await page.waitForSelector(".error");
await checked("set-up: channel");
await page.fill("#base_url", provider);
await page.fill("#key", providerKey);
await page.fill("#max_output", "4096");
await page.click("button.primary");
await page.waitForURL(/set-up\/key/);
await page.click("button.primary");
const key = (await page.textContent("#secret")).trim();
assert.match(key, /^sk-[A-Za-z0-9]{48}$/);
await checked("set-up: key");
await page.screenshot({ path: `${shots}/set-up-key.png`, fullPage: true });

// The request to copy works.
const shown = await page.textContent("#request");
assert.ok(shown.includes(`${base}/v1/chat/completions`) && shown.includes('"model":"apsis-demo"'));
const ask = async () => {
  const answer = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "apsis-demo", messages: [{ role: "user", content: "Hello" }] }),
  });
  assert.equal(answer.status, 200, await answer.text());
};
for (let number = 0; number < 3; number += 1) await ask();
await page.click("a.primary");
await page.waitForSelector("text=apsis-demo");
await page.waitForSelector(".cards .card:nth-child(3) .value:text-is('3')");

// A key with a hostile name; reveal, disable, search, several at once.
await page.goto(`${base}/console/keys/new`);
await page.fill("#name", hostile);
await page.fill("#quota", "2.50");
await page.fill("#addresses", "no address");
await page.click("button.primary");
assert.match(await page.textContent(".error"), /is not an IP address/);
assert.equal(await page.inputValue("#quota"), "2.50");
await page.fill("#addresses", "192.0.2.0/24");
await page.click("button.primary");
await page.waitForURL(/keys\/\d+\?done=created/);
const keyPage = page.url().split("?")[0];
assert.ok(!(await page.content()).includes("sk-") || (await page.textContent(".secret")).includes("•"));
await page.click("#secret-card button");
await page.waitForFunction(() => /^sk-[A-Za-z0-9]{48}$/.test(document.querySelector("#secret")?.textContent ?? ""));
await checked("key, revealed");
await page.click("button[value='2']");
await page.waitForSelector(".badge.off");
await page.goto(`${base}/console/keys`);
await page.fill("#search", "onerror");
await page.waitForFunction(() => document.querySelectorAll("#list tbody tr").length === 1);
await page.goto(`${base}/console/keys`);
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement?.className), "skip", "the first stop is the skip link");

// A channel of an operator, tested; a group, an account, a price with hostile texts.
await page.goto(`${base}/console/groups`);
await page.fill("#name", "team");
await page.fill("#description", hostile);
await page.fill("#ratio", "1.5");
await page.click("form.card button");
await page.waitForSelector("text=× 1.5");
await page.goto(`${base}/console/accounts/new`);
await page.fill("#username", "member");
await page.fill("#display_name", hostile);
await page.fill("#password", password);
await page.fill("#quota", "5");
await page.click("button.primary");
await page.waitForSelector("text=member");
await page.fill("#search", "MEMB");
await page.waitForFunction(() => document.querySelectorAll("#list tbody tr").length === 1);
// A price by the second, by size, is read back as it was typed; the list is looked through as one types.
await page.goto(`${base}/console/prices`);
await page.click("#put summary");
for (const [name, value] of Object.entries({ model: "film", input: "0", output: "0", max_output: "1", sizes: "720p=0.10, 1080p=0.35" })) {
  await page.fill(`#${name}`, value);
}
await page.click("#put button.primary");
await page.waitForSelector(".toast");
await page.fill("#search", "FILM");
await page.waitForFunction(() => document.querySelectorAll("#list tbody tr").length === 1);
assert.match(await page.textContent("#list tbody"), /1080p\s+\$0\.35/);
await page.goto(`${base}/console/models`);
await page.check("#served");
await page.waitForFunction(() => document.querySelectorAll("#list tbody tr").length === 1);
await page.goto(`${base}/console/channels`);
await page.click("button:has-text('Test')");
await page.waitForSelector(".toast:has-text('it answers')");
await page.goto(`${base}/console/usage`);
const requestPage = await page.getAttribute("tbody a", "href");

// What the form says while one types.
await page.goto(`${base}/console/keys/new`);
await page.fill("#addresses", "10.0.0.0/33");
await page.waitForSelector("#addresses-check .bad");
await page.fill("#addresses", "10.0.0.0/8");
await page.fill("#quota", "2.50");
await page.waitForSelector("#meaning:has-text('$2.50'):has-text('10.0.0.0/8')");
assert.equal(await page.locator("#addresses-check .bad").count(), 0);

// A question in the playground, its cost, and a refusal that is explained.
await page.goto(`${base}/console/playground`);
await page.selectOption("#key", { label: "first" });
await page.fill("#message", "Hello");
await page.press("#message", "Enter");
await page.waitForSelector(".turn.theirs .facts-line a");
assert.match(await page.textContent(".turn.theirs .facts-line"), /\$0\.0000/);
assert.ok(!(await page.content()).includes(key.slice(3)), "the key's text is in no page");
assert.ok((await page.textContent("#code-python")).includes(`base_url="${base}/v1"`));
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
await page.setInputFiles("#pictures", { name: "dot.png", mimeType: "image/png", buffer: Buffer.from(dot, "base64") });
await page.waitForSelector(".attached img");
assert.ok(!(await page.textContent("#code-curl")).includes(dot), "the code does not show a picture letter by letter");
await page.fill("#message", "And this?");
await page.press("#message", "Enter");
await page.waitForFunction(() => document.querySelectorAll(".turn.theirs .facts-line a").length === 2);
assert.equal(await page.locator(".turn.mine img").count(), 1);
await checked("playground, answered");
await page.screenshot({ path: `${shots}/playground-answered.png`, fullPage: true });

// The books are proved, and the page says so by itself.
await page.goto(`${base}/console/ledger`);
await page.click("#proof button");
await page.waitForSelector("#proof .toast");

// Every page.
const pages = ["", "/keys", "/keys/new", keyPage.split("/console")[1], `${keyPage.split("/console")[1]}/edit`, "/usage",
  requestPage.split("/console")[1], "/models", "/settings", "/channels", "/channels/new", "/accounts", "/accounts/1",
  "/accounts/new", "/groups", "/prices", "/prices?model=film", "/audit", "/ledger", "/system", "/playground", "/settings/second-factor", "/settings/passkeys", "/configuration", "/usage?live=5",
  "/styleguide", "/nowhere", "/../docs", "/../docs/errors", "/../docs/errors/model_not_found", "/../docs/api/API%20keys"];
const choose = async (name, value) => {
  await page.goto(`${base}/console/settings`);
  if (await page.inputValue(`#${name}`) === value) return;
  await Promise.all([page.waitForNavigation(), page.selectOption(`#${name}`, value)]);
};
const looks = [[1440, "light", "en"], [768, "dark", "zh-Hans"], [360, "light", "zh-Hans"], [360, "dark", "en"], [1440, "dark", "zh-Hans"]];
for (const [width, theme, language] of looks) {
  await page.setViewportSize({ width, height: 900 });
  await choose("theme", theme);
  await choose("language", language);
  for (const path of pages) {
    await page.goto(`${base}/console${path}`);
    await page.waitForFunction(() => !document.querySelector("[aria-busy]"));
    const name = `${path === "" ? "dashboard" : path.replace("/..", "").slice(1).replace(/\d+/, "one").replaceAll(/[^a-z_]+/g, "-")}-${width}-${theme}-${language}`;
    assert.equal(await page.getAttribute("html", "lang"), language);
    await checked(name);
    await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  }
}

// A code of an authenticator app is asked for beside the password.
const codeAt = (secret, moment) => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const bytes = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(moment / 30_000)));
  const digest = createHmac("sha1", bytes).update(counter).digest();
  const number = digest.readUInt32BE(digest.at(-1) & 15) & 0x7fff_ffff;
  return String(number % 1_000_000).padStart(6, "0");
};
await page.setViewportSize({ width: 1440, height: 900 });
await choose("theme", "light");
await choose("language", "en");
await page.goto(`${base}/console/settings/second-factor`);
await page.click("main form button");
await page.waitForSelector("svg.qr");
await checked("second factor, being set up");
await page.screenshot({ path: `${shots}/second-factor-set-up.png`, fullPage: true });
const secret = (await page.textContent("#secret")).replaceAll(" ", "");
await page.fill("#code", codeAt(secret, Date.now() - 30_000));
await page.click("form.filters button");
await page.waitForSelector("#codes");
await checked("second factor, turned on");
await page.screenshot({ path: `${shots}/second-factor-codes.png`, fullPage: true });
const twice = await browser.newContext({ locale: "en-US" });
const second = watch(await twice.newPage());
await second.goto(`${base}/console/keys`);
await second.fill("#username", "root");
await second.fill("#password", password);
await second.click("form.card button");
await second.waitForURL(/sign-in\/code/);
await second.screenshot({ path: `${shots}/sign-in-code.png` });
await second.fill("#code", "000000");
await second.click("form.card button");
await second.waitForSelector(".error");
await second.fill("#code", codeAt(secret, Date.now()));
await second.click("form.card button");
await second.waitForURL(/console\/keys/);
await page.goto(`${base}/console/settings/second-factor`);
await page.fill("#end-code", codeAt(secret, Date.now() + 30_000));
await page.click("form:has(#end-code) button");
await page.waitForSelector(".toast");

// A passkey is made, opens the console, and is removed.
const device = await context.newCDPSession(page);
await device.send("WebAuthn.enable");
const { authenticatorId } = await device.send("WebAuthn.addVirtualAuthenticator", {
  options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});
await page.goto(`${base}/console/settings/passkeys`);
await page.fill("#name", hostile);
await page.click("form[data-passkey] button");
await page.waitForSelector(".toast");
await checked("passkeys, one added");
await page.screenshot({ path: `${shots}/passkeys-one.png`, fullPage: true });
await page.fill("#name", "once more");
await page.click("form[data-passkey] button");
await page.waitForSelector("#passkey-error:not([hidden])");
const signOut = async () => {
  await page.click(".who form[action='/console/sign-out'] button");
  await page.waitForURL(/sign-in/);
};
await signOut();
await page.waitForSelector("form[data-passkey]:not([hidden])");
await checked("sign-in, with passkeys");
await page.screenshot({ path: `${shots}/sign-in-passkey.png` });
await device.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
await page.click("form[data-passkey] button");
await page.waitForSelector("#passkey-error:not([hidden])");
await device.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
await page.click("form[data-passkey] button");
await page.waitForURL(/console$/);
await page.goto(`${base}/console/settings/passkeys`);
await page.click("details.confirm summary");
await page.click("details.confirm button");
await page.waitForSelector(".toast");
await signOut();
await page.click("form[data-passkey] button");
await page.waitForSelector("#passkey-error:has-text('does not open')");
await page.fill("#username", "root");
await page.fill("#password", password);
await page.click("form.card button");
await page.waitForURL(/console$/);

// A member sees nothing of administration.
const theirs = await browser.newContext({ locale: "en-US" });
const member = watch(await theirs.newPage());
await member.goto(`${base}/console/keys`);
await member.fill("#username", "member");
await member.fill("#password", password);
await member.click("form.card button");
await member.waitForURL(/console\/keys/);
assert.equal(await member.locator("nav a[href='/console/channels']").count(), 0);
assert.equal((await member.goto(`${base}/console/channels`)).status(), 403);
await member.goto(`${base}/console/settings`);
await member.click(".who form[action='/console/sign-out'] button");
await member.waitForURL(/sign-in/);

// Reading works without scripts, and so does a form.
const plain = await browser.newContext({ javaScriptEnabled: false, locale: "en-US" });
const bare = watch(await plain.newPage());
await bare.goto(`${base}/console/keys`);
await bare.fill("#username", "root");
await bare.fill("#password", password);
await bare.click("form.card button");
await bare.waitForSelector("text=first");
await bare.fill("#search", "onerror");
await bare.click("form.filters button");
assert.equal(await bare.locator("tbody tr").count(), 1);

await browser.close();
if (faults.length > 0) throw new Error(`\n${[...new Set(faults)].join("\n")}`);
console.log(`console: first run, ${pages.length} pages × ${looks.length} looks, roles, no scripts: no fault`);
