// Makes pages better where script runs; every page works without it.

const body = document.body;

import(body.dataset.nhsukModule).then(({ initAll }) => initAll()).catch((error) => console.error("NHS.UK components did not start", error));

// The server's clock decides; the tablet's may be wrong by minutes.
let offset = Date.parse(body.dataset.serverNow) - Date.now();
const now = () => Date.now() + offset;

function minutesSaid(minutes) {
  const whole = Math.abs(minutes);
  const hours = Math.floor(whole / 60);
  return hours ? `${hours} h ${String(whole % 60).padStart(2, "0")} min` : `${whole} min`;
}

function tick() {
  for (const box of document.querySelectorAll("[data-until]")) {
    const left = Math.floor((Date.parse(box.dataset.until) - now()) / 60000);
    const said = left < 0 ? `${box.dataset.over} ${minutesSaid(left)}` : minutesSaid(left);
    const number = box.querySelector("[data-countdown]");
    if (number && number.textContent !== said) number.textContent = said;
    box.classList.toggle("countdown--over", left < 0);
    box.classList.toggle("countdown--soon", left >= 0 && left <= Number(box.dataset.soonMinutes));
    box.classList.toggle("countdown--calm", left > Number(box.dataset.soonMinutes));
  }
  judgeBoard();
}

// A board that is older than three polls says so, loudly, whatever the reason.
function judgeBoard() {
  const live = document.getElementById("board-live");
  if (!live) return;
  const stamp = live.querySelector("[data-drawn-at]");
  const notice = document.querySelector("[data-not-updating]");
  if (!stamp || !notice) return;
  const age = (now() - Date.parse(stamp.dataset.drawnAt)) / 1000;
  const limit = Math.max(15, 3 * Number(live.dataset.pollSeconds));
  const old = age > limit || body.dataset.boardFailing === "true";
  live.classList.toggle("board-live--old", old);
  const since = notice.querySelector("[data-not-updating-since]");
  const said = new Date(Date.parse(stamp.dataset.drawnAt)).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  if (since.textContent !== said) since.textContent = said;
  if (notice.hidden === old) notice.hidden = !old;
}

let failures = 0;
function boardAnswered(ok) {
  failures = ok ? 0 : failures + 1;
  body.dataset.boardFailing = String(failures >= 2);
  judgeBoard();
}
const ofBoard = (event) => event.detail.target && event.detail.target.id === "board-live";
body.addEventListener("htmx:afterSwap", (event) => {
  if (!ofBoard(event)) return;
  const stamp = event.detail.target.querySelector("[data-drawn-at]");
  if (stamp) offset = Date.parse(stamp.dataset.drawnAt) - Date.now();
  boardAnswered(Boolean(stamp));
  tick();
});
for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  body.addEventListener(name, (event) => { if (ofBoard(event)) boardAnswered(false); });
}
// A signed-out board is sent to the sign-in page: do not draw that inside the board.
body.addEventListener("htmx:beforeSwap", (event) => {
  if (ofBoard(event) && !event.detail.xhr.responseText.includes("data-drawn-at")) {
    event.detail.shouldSwap = false;
    boardAnswered(false);
  }
});
// A refresh never takes away what is being typed; a board held still for long says so like any other.
body.addEventListener("htmx:beforeRequest", (event) => {
  if (ofBoard(event) && document.activeElement.matches("#board-live input:not([type=hidden]), #board-live select, #board-live textarea")) event.preventDefault();
});
window.addEventListener("offline", () => { body.dataset.boardFailing = "true"; judgeBoard(); });
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-retry]") && window.htmx) window.htmx.trigger("#board-live", "refresh");
});
setInterval(tick, 1000);

// Lists by keyboard
function rows() { return [...document.querySelectorAll("[data-listing] tbody tr[data-href]")]; }
function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("here"));
  const to = Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + step));
  if (at >= 0) all[at].classList.remove("here");
  all[to].classList.add("here");
  const link = all[to].querySelector("a");
  if (link) link.focus({ preventScroll: true });
  all[to].scrollIntoView({ block: "nearest" });
}

function keysDialog() {
  let dialog = document.querySelector("dialog.keys");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.className = "keys";
    dialog.setAttribute("aria-label", "Keys");
    const own = [...document.querySelectorAll("[data-key]")].map((el) => [el.dataset.key, (el.getAttribute("aria-label") || el.textContent).trim()]);
    const list = document.createElement("dl");
    for (const [key, said] of [["j", "Next line"], ["k", "Line before"], ["Enter", "Open the line"], ["/", "Search"], ...own, ["?", "Show these keys"]]) {
      const dt = document.createElement("dt");
      const kbd = document.createElement("kbd");
      kbd.textContent = key;
      dt.append(kbd);
      const dd = document.createElement("dd");
      dd.textContent = said;
      list.append(dt, dd);
    }
    const close = document.createElement("button");
    close.type = "button";
    close.className = "nhsuk-button nhsuk-button--small";
    close.textContent = "Close";
    close.addEventListener("click", () => dialog.close());
    dialog.append(list, close);
    body.append(dialog);
  }
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input, select, textarea, [contenteditable], dialog")) return;
  const list = document.querySelector("[data-listing]");
  if (event.key === "?") { event.preventDefault(); keysDialog(); return; }
  if (event.key === "/") {
    const box = document.querySelector("[data-search]");
    if (box) { event.preventDefault(); box.focus(); box.select(); }
    return;
  }
  if (list && event.key === "j") { move(1); return; }
  if (list && event.key === "k") { move(-1); return; }
  if (list && event.key === "Enter" && event.target === body) {
    const here = document.querySelector("tr.here[data-href]");
    if (here) location.assign(here.dataset.href);
    return;
  }
  const named = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (named && !named.disabled) { event.preventDefault(); named.click(); }
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys-help]")) keysDialog();
  if (event.target.closest("[data-print]")) window.print();
});
for (const hidden of document.querySelectorAll("[data-keys-help], [data-print]")) hidden.hidden = false;

// What was typed is not lost by a slip; a button is not pressed twice.
const typed = new WeakSet();
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[method=post][data-keep]");
  if (form) typed.add(form);
});
window.addEventListener("beforeunload", (event) => {
  if ([...document.querySelectorAll("form[data-keep]")].some((form) => typed.has(form))) event.preventDefault();
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (button && button.dataset.confirm && !window.confirm(button.dataset.confirm)) { event.preventDefault(); return; }
  typed.delete(form);
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  setTimeout(() => { delete form.dataset.sent; }, 4000);
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
tick();
