// Shows the questions that apply as answers change, and keeps the draft. Without it the page has buttons for both.
const form = document.querySelector("form[data-refer]");
const left = document.querySelector("[data-left]");
const saved = document.querySelector("[data-saved]");
let waiting = 0;
let asking = null;

function show(asked) {
  const wanted = new Set(asked);
  for (const cell of form.querySelectorAll("[data-item]")) {
    const keep = wanted.has(cell.dataset.item) || cell.querySelector(".nhsuk-error-message");
    if (!keep && cell.contains(document.activeElement)) continue;
    cell.hidden = !keep;
  }
}

async function check() {
  if (asking) asking.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(form.dataset.check, { method: "POST", body: new FormData(form), signal: asking.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    const said = await answer.json();
    show(said.asked);
    left.textContent = said.left === 0 ? "Nothing left to answer." : said.left === 1 ? "1 answer left." : `${said.left} answers left.`;
    saved.textContent = `Draft saved at ${said.saved}.`;
  } catch (error) {
    if (error.name !== "AbortError") saved.textContent = "NOT SAVED: no answer from Gantry. Go on typing; it tries again.";
  }
}

function soon(delay) {
  clearTimeout(waiting);
  waiting = setTimeout(check, delay);
}

if (form) {
  for (const button of form.querySelectorAll("[data-without-script]")) button.hidden = true;
  form.addEventListener("input", () => soon(1500));
  form.addEventListener("change", () => soon(150));
  form.addEventListener("submit", () => clearTimeout(waiting));
}
