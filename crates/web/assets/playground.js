// The playground: what is asked, what comes, what it costs, and the same call as code. Texts are set as text, never as HTML.
const root = document.getElementById("playground");
const words = root?.dataset ?? {};
const field = (id) => document.getElementById(id);
const messages = [];
let pictures = [];
let running = null;

/** The most that pictures of a question may weigh together, in bytes. */
const HEAVIEST = 8 << 20;

const number = (id) => {
  const text = field(id).value.trim();
  return text === "" || Number.isNaN(Number(text)) ? undefined : Number(text);
};

/** Whether the model makes pictures: the list of models says so. */
const draws = () => [...field("models").options].some((model) => model.value === field("model").value.trim() && model.dataset.images !== undefined);

/** A question with what is attached to it. */
const asked = (text) => ({
  role: "user",
  content: pictures.length === 0 ? text : [
    { type: "text", text },
    ...pictures.map(({ url }) => ({ type: "image_url", image_url: { url } })),
  ],
});

/** The body of the request, as any client would send it. */
const body = (turns) => {
  if (draws()) {
    const { content } = turns.at(-1);
    return { model: field("model").value.trim(), prompt: typeof content === "string" ? content : content[0].text, n: 1 };
  }
  const system = field("system").value.trim();
  const request = {
    model: field("model").value.trim(),
    messages: [...(system ? [{ role: "system", content: system }] : []), ...turns],
    temperature: number("temperature"),
    max_tokens: number("max_tokens"),
  };
  return field("stream").checked ? { ...request, stream: true } : request;
};

// JSON is a literal of JavaScript; Python has other words for three values.
const python = (value) => JSON.stringify(value).replace(/"(?:[^"\\]|\\.)*"|true|false|null/g,
  (part) => ({ true: "True", false: "False", null: "None" })[part] ?? part);
// A picture is too long to be read.
const short = (value) => JSON.parse(JSON.stringify(value), (_, part) =>
  (typeof part === "string" && part.startsWith("data:") ? `${part.slice(0, part.indexOf(",") + 1)}…` : part));
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

const show = () => {
  const typed = field("message").value.trim();
  const images = draws();
  const request = short(body([...messages, ...(typed || messages.length === 0 ? [asked(typed || "Hello")] : [])]));
  for (const part of root.querySelectorAll("[data-chat]")) part.hidden = images;
  const named = Object.entries(request).filter(([, value]) => value !== undefined);
  field("code-curl").textContent = `curl ${shell(`${words.base}${images ? "/v1/images/generations" : "/v1/chat/completions"}`)} \\\n  -H "Authorization: Bearer $APSIS_API_KEY" \\\n  -H 'content-type: application/json' \\\n  -d ${shell(JSON.stringify(request))}`;
  const call = images ? "images.generate" : "chat.completions.create";
  const read = images
    ? ["print(answer.data[0].url or answer.data[0].b64_json)", "console.log(answer.data[0].url ?? answer.data[0].b64_json);"]
    : request.stream
    ? ["for part in answer:\n    if part.choices:\n        print(part.choices[0].delta.content or \"\", end=\"\")", "for await (const part of answer) process.stdout.write(part.choices[0]?.delta?.content ?? \"\");"]
    : ["print(answer.choices[0].message.content)", "console.log(answer.choices[0].message.content);"];
  field("code-python").textContent = `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${JSON.stringify(`${words.base}/v1`)}, api_key=os.environ["APSIS_API_KEY"])\nanswer = client.${call}(\n${named.map(([name, value]) => `    ${name}=${python(value)},\n`).join("")})\n${read[0]}`;
  field("code-node").textContent = `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: ${JSON.stringify(`${words.base}/v1`)}, apiKey: process.env.APSIS_API_KEY });\nconst answer = await client.${call}({\n${named.map(([name, value]) => `  ${name}: ${JSON.stringify(value)},\n`).join("")}});\n${read[1]}`;
};

const element = (name, className, text = "") => {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
};

const turn = (who, text, className) => {
  field("no-turns")?.remove();
  const made = element("article", `turn ${className}`);
  const said = element("div", "said", text);
  const facts = element("p", "facts-line small muted");
  made.append(element("p", "who-said small muted", who), said, facts);
  field("turns").append(made);
  made.scrollIntoView({ block: "nearest" });
  return { made, said, facts };
};

const picture = (url, name) => {
  const made = element("img", "picture");
  made.src = url;
  made.alt = name;
  return made;
};

/** What is attached to the next question. */
const attached = () => {
  field("attached").replaceChildren(...pictures.map((one) => {
    const away = element("button", "compact", "×");
    away.type = "button";
    away.setAttribute("aria-label", `${words.detach} ${one.name}`);
    away.addEventListener("click", () => {
      pictures = pictures.filter((other) => other !== one);
      attached();
      show();
    });
    const made = element("span", "attached");
    made.append(picture(one.url, one.name), away);
    return made;
  }));
};

const opened = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve({ name: file.name, url: reader.result, size: file.size });
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** Takes pictures in, as far as they are not too heavy. */
const attach = async (files) => {
  const taken = [...files].filter((file) => /^image\/(png|jpeg|webp|gif)$/.test(file.type));
  const all = [...pictures, ...await Promise.all(taken.map(opened))];
  const heavy = all.reduce((sum, { size }) => sum + size, 0) > HEAVIEST;
  field("attach-problem").textContent = heavy ? words.heavy : "";
  if (!heavy) pictures = all;
  attached();
  show();
};

const link = (href, text) => {
  const made = element("a", "", text);
  made.href = href;
  return made;
};

/** What the request has cost: the record is there as soon as the answer has ended. */
const receipt = async (id, facts) => {
  const answer = await fetch(`/console/playground/receipt?request_id=${encodeURIComponent(id)}`);
  if (!answer.ok || !answer.headers.get("content-type")?.includes("json")) return;
  const told = await answer.json();
  if (!told) return;
  const { cost, input, output, first_byte_ms: first, took_ms: took, page } = told;
  const parts = [`${words.tokensIn} ${input}`, `${words.tokensOut} ${output}`, `${words.cost} ${cost}`];
  if (first !== null) parts.push(`${words.first} ${first} ms`);
  parts.push(`${words.took} ${took} ms`);
  facts.replaceChildren(`${parts.join(" · ")} · `, link(page, words.explained), element("span", "mono", ` ${id}`));
};

/** A picture that came, or where it is: no page loads anything from another host. */
const drawn = ({ b64_json: data, url }) => {
  if (!data) return url ? link(url, url) : element("span", "muted", words.lost);
  const kind = data.startsWith("/9j/") ? "jpeg" : data.startsWith("UklG") ? "webp" : "png";
  return picture(`data:image/${kind};base64,${data}`, words.made);
};

const refused = (problem, { made, said, facts }) => {
  made.classList.add("bad");
  said.textContent = problem?.message ?? words.lost;
  if (problem?.code) facts.append(link(`/docs/errors/${encodeURIComponent(problem.code)}`, words.cause));
};

/** Reads server-sent events; `take` gets each one's data. */
const events = async (stream, take) => {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const lines = rest.split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) take(line.slice(5).trim());
  }
};

const ask = async (text) => {
  messages.push(asked(text));
  const { said: question } = turn(words.you, text, "mine");
  question.after(...pictures.map(({ url, name }) => picture(url, name)));
  const request = body(messages);
  const images = draws();
  pictures = [];
  attached();
  const shown = turn(request.model, "", "theirs");
  shown.said.textContent = words.thinking;
  running = new AbortController();
  field("send").disabled = true;
  field("stop").hidden = false;
  let answer = "", thought = "", pieces = 0, problem = null, id = "", made = [];
  const began = performance.now();
  try {
    const form = new URLSearchParams(new FormData(field("ask")));
    form.set("body", JSON.stringify(request));
    if (images) form.set("door", "images");
    const response = await fetch(field("ask").action, { method: "POST", body: form, signal: running.signal });
    if (response.redirected) return location.reload();
    id = response.headers.get("x-request-id") ?? "";
    const kind = response.headers.get("content-type") ?? "";
    if (kind.includes("event-stream")) {
      await events(response.body, (data) => {
        if (data === "[DONE]") return;
        const part = JSON.parse(data);
        if (part.error) { problem = part.error; return; }
        const delta = part.choices?.[0]?.delta ?? {};
        answer += delta.content ?? "";
        thought += delta.reasoning_content ?? "";
        pieces += 1;
        shown.said.textContent = answer || words.thinking;
        shown.facts.textContent = `≈ ${pieces} ${words.tokensOut} · ${Math.round(performance.now() - began)} ms · ${id}`;
        field("turns").scrollTop = field("turns").scrollHeight;
      });
    } else if (kind.includes("json")) {
      const whole = await response.json();
      problem = whole.error ?? null;
      answer = whole.choices?.[0]?.message?.content ?? "";
      made = whole.data ?? [];
    } else {
      problem = { message: words.lost };
    }
  } catch (error) {
    problem = { message: error.name === "AbortError" ? words.stopped : words.lost };
  } finally {
    running = null;
    field("send").disabled = false;
    field("stop").hidden = true;
  }
  if (answer) messages.push({ role: "assistant", content: answer });
  else messages.pop();
  shown.said.textContent = answer || thought;
  shown.said.after(...made.map(drawn));
  shown.facts.textContent = "";
  const failed = problem === null ? shown : answer ? turn(request.model, "", "theirs") : shown;
  if (id) await receipt(id, shown.facts).catch(() => {});
  if (problem) refused(problem, failed);
  field("turns").scrollTop = field("turns").scrollHeight;
  show();
};

if (root) {
  field("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field("message").value.trim();
    if (!text || running) return;
    field("message").value = "";
    ask(text);
  });
  field("message").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      field("ask").requestSubmit();
    }
  });
  field("pictures").addEventListener("change", async (event) => {
    await attach(event.target.files);
    event.target.value = "";
  });
  field("message").addEventListener("paste", (event) => {
    if (event.clipboardData.files.length > 0) attach(event.clipboardData.files);
  });
  field("stop").addEventListener("click", () => running?.abort());
  field("anew").addEventListener("click", () => {
    running?.abort();
    messages.length = 0;
    field("turns").replaceChildren();
    show();
  });
  root.addEventListener("input", show);
  show();
}
