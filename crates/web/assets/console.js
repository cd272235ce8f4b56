// What pages do beyond plain HTML. Everything works without it but copying.
document.documentElement.classList.add("scripted");

const say = (button, word) => {
  const before = button.textContent;
  button.textContent = button.dataset[word] ?? before;
  setTimeout(() => { button.textContent = before; }, 1600);
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text.trim());
    say(button, "copied");
  } catch {
    // Without leave to write to the clipboard the text is marked, so that one keystroke copies it.
    getSelection()?.selectAllChildren(document.getElementById(button.dataset.copy));
  }
});

document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-all]");
  if (all) {
    for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
  }
  const chosen = event.target.closest("[data-submit]");
  if (chosen) chosen.form.requestSubmit();
});

// On a narrow screen the navigation is one row, which may begin before the page that one is on.
const here = document.querySelector(".rail [aria-current]");
if (here) here.closest("ul").scrollLeft = here.offsetLeft - here.closest("ul").offsetLeft - 48;

// A session that has ended answers a part of a page with the sign-in page; a part that is refused needs a new page.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (new URL(event.detail.xhr.responseURL, location.href).pathname === "/console/sign-in") {
    event.preventDefault();
    location.reload();
  }
});
document.addEventListener("htmx:responseError", () => location.reload());

// The set-up token comes behind the link's `#`, which no browser sends anywhere.
const token = document.querySelector("input[data-fragment]");
if (token && location.hash.length > 1) {
  token.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
