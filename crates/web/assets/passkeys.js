// Passkeys: asks the browser's authenticators, and puts what they say into the fields of a form.
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) => {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
};

/** What each form asks for, and which fields hold the answer. */
const ways = {
  create: async (options) => {
    const publicKey = {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: options.excludeCredentials.map((known) => ({ ...known, id: bytes(known.id) })),
    };
    const { response } = await navigator.credentials.create({ publicKey });
    return { client: response.clientDataJSON, object: response.attestationObject };
  },
  get: async (options) => {
    const publicKey = { ...options, challenge: bytes(options.challenge) };
    const { rawId, response } = await navigator.credentials.get({ publicKey });
    return {
      credential: rawId,
      client: response.clientDataJSON,
      data: response.authenticatorData,
      signature: response.signature,
      user: response.userHandle ?? new ArrayBuffer(0),
    };
  },
};

const say = (message) => {
  const place = document.getElementById("passkey-error");
  place.textContent = message;
  place.hidden = false;
};

const run = async (form) => {
  const answer = await fetch(form.dataset.options, { method: "POST", body: new URLSearchParams({ csrf: form.elements.csrf.value }) });
  // A session or a form that has ended answers with a page.
  if (!answer.headers.get("content-type")?.includes("json")) return location.reload();
  const options = await answer.json();
  if (!answer.ok) return say(options.message);
  const said = await ways[form.dataset.passkey](options);
  for (const [name, value] of Object.entries(said)) form.elements[name].value = text(value);
  form.submit();
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button");
  if (!window.PublicKeyCredential) {
    if (form.dataset.passkey === "create") say(form.dataset.unsupported);
    continue;
  }
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await run(form);
    } catch {
      say(form.dataset.failed);
    } finally {
      button.disabled = false;
    }
  });
}
