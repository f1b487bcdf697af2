// What the viewer does beyond links and forms: panes without a reload, the slider, keys, dialogs. Reading works without it.
"use strict";

const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
document.documentElement.classList.add("scripted");

// ---------------------------------------------------------------- pieces of pages

// For each kind of piece the one request whose answer is still wanted. An answer that comes late must never stand under the
// heading of another turn, so whoever opens something else lets go of what was asked before.
const asking = new Map();
const MOMENT = "One moment…";

function letGo(...names) {
  for (const name of names) {
    asking.get(name)?.abort();
    asking.delete(name);
  }
}

async function piece(address, name) {
  letGo(name);
  const mine = new AbortController();
  asking.set(name, mine);
  const patience = setTimeout(() => tell(MOMENT), 600);
  try {
    const answer = await fetch(address, { headers: { "optical-pane": name }, signal: mine.signal });
    return { ok: answer.ok, html: await answer.text() };
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address); // the browser says best what is wrong
    return null;
  } finally {
    clearTimeout(patience);
    if (asking.get(name) === mine) asking.delete(name);
    if (!asking.size && byId("said").textContent === MOMENT) tell("");
  }
}

function put(element, html) {
  // Stored text was escaped by the server, and the policy lets nothing in it run.
  const [focus, key] = [document.activeElement, element.contains(document.activeElement) && nameOf(document.activeElement)];
  element.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  if (key && !focus.isConnected) {
    // whoever has tabbed on while the answer was on its way keeps the focus
    [...element.querySelectorAll(focus.tagName)].find((e) => nameOf(e) === key)?.focus({ preventScroll: true });
  }
}

function nameOf(element) {
  return ["id", "href", "name", "value", "data-ask"].map((a) => element.getAttribute(a) ?? "").join("\n").trim();
}

async function show(address, into, name) {
  into.classList.add("busy");
  const got = await piece(address, name);
  if (got) put(into, got.html);
  if (!asking.has(name)) into.classList.remove("busy");
  return got?.ok;
}

// ---------------------------------------------------------------- turns

let here = location.pathname + location.search; // without the place within the page

async function openTurn(address) {
  clearTimeout(resting); // the slider of the turn before has no more to say
  letGo("look", "ask");
  here = location.pathname + location.search;
  mark(); // at once, so that the next key goes on from here
  await show(address, byId("detail"), "detail");
}

function choose(address) {
  if (!byId("detail")) { location.assign(address); return; }
  // what nobody waited for is no way back
  if (asking.has("detail")) history.replaceState(null, "", address);
  else if (address !== location.href) history.pushState(null, "", address);
  openTurn(address);
}

function pointAt(turn) {
  const [arrow, length] = [byId("here"), Number(document.querySelector(".ticks")?.dataset.length)];
  if (!arrow || !turn || !length) return;
  const place = (n) => 100 * (1 - Math.log1p(length - n) / Math.log1p(length)); // as the server draws the river
  arrow.setAttribute("x", `${(place(turn - 1) + place(turn)) / 2}%`);
  arrow.removeAttribute("visibility");
}

function mark() {
  pointAt(Number(location.pathname.split("/turn/")[1]));
  for (const row of all(".turn")) {
    const link = row.querySelector("a");
    const on = link.pathname === location.pathname;
    row.classList.toggle("chosen", on);
    current(link, on);
  }
}

addEventListener("popstate", () => {
  if (location.pathname + location.search === here) return; // a place within the page
  if (byId("detail") && location.pathname.includes("/turn/")) openTurn(location.href);
  else location.reload();
});

addEventListener("beforeunload", () => letGo("detail", "look", "ask")); // a request that fails by leaving is no failure

// ---------------------------------------------------------------- the slider and the zoom

let resting = 0; // the timer of a slider that was moved

function slide(input) {
  byId("after-out").textContent = Number(input.value).toLocaleString("en");
  clearTimeout(resting);
  const turn = input.form.getAttribute("action");
  if (turn !== location.pathname) return; // another turn is on its way, and brings a slider of its own
  letGo("detail");
  resting = setTimeout(async () => {
    if (await show(`${turn}?after=${input.value}`, byId("look"), "look")) follow();
  }, 80);
}

function follow() {
  // the tier that the slider reached is the one that the row of tiers marks
  const tier = document.querySelector("#look [data-tier]").dataset.tier;
  for (const link of all(".tiers a")) current(link, new URL(link.href).searchParams.get("tier") === tier);
  const below = byId("below");
  below.hidden = below.dataset.says !== "source" && below.dataset.tier !== tier; // it was said of another tier
  for (const link of all(".tabs.small a")) {
    current(link, !below.hidden && link.dataset.show === below.dataset.says);
    const to = new URL(link.href);
    to.searchParams.set("tier", tier);
    link.href = to.pathname + to.search;
  }
}

function current(link, on) {
  if (on) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

function zoom(button) {
  const times = Number(button.dataset.zoom);
  for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
  for (const image of button.closest(".look").querySelectorAll("img")) {
    image.classList.toggle("fit", times === 0);
    image.width = image.naturalWidth * (times || 1);
    image.height = image.naturalHeight * (times || 1);
  }
}

// ---------------------------------------------------------------- choosing turns

let lastPicked = null;

function picked() {
  return all(".pick:checked").map((box) => Number(box.value)).sort((a, b) => a - b);
}

function spans(numbers) {
  const out = [];
  for (const n of numbers) {
    if (out.length && out[out.length - 1][1] === n - 1) out[out.length - 1][1] = n;
    else out.push([n, n]);
  }
  return out.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(",");
}

function pick(box, range) {
  if (range && lastPicked) {
    const boxes = all(".pick");
    const [from, to] = [boxes.indexOf(lastPicked), boxes.indexOf(box)].sort((a, b) => a - b);
    for (const other of boxes.slice(from, to + 1)) other.checked = box.checked;
  }
  lastPicked = box;
  showPicked();
}

function showPicked() {
  const numbers = picked();
  const bar = byId("chosen");
  if (!bar) return;
  bar.hidden = numbers.length === 0;
  for (const box of all(".pick")) box.closest(".turn").classList.toggle("picked", box.checked);
  byId("chosen-words").textContent = numbers.length === 1 ? `Turn ${numbers[0]}` : `${numbers.length} turns`;
  const thread = document.querySelector("[data-thread]").dataset.thread;
  for (const action of ["pin", "unpin", "forget"]) {
    byId(`${action}-chosen`).href = `/t/${thread}/ask/${action}?turns=${spans(numbers)}`;
  }
}

function chooseNone() {
  for (const box of all(".pick:checked")) box.checked = false;
  showPicked();
}

addEventListener("pageshow", showPicked); // the browser may have ticked boxes again

// ---------------------------------------------------------------- dialogs and changes

async function ask(address) {
  const got = await piece(address, "ask");
  if (!got) return;
  put(byId("ask-body"), got.html);
  byId("ask").showModal();
}

function leave(form) {
  if (byId("ask").open) byId("ask").close();
  else location.assign(threadOf(form)); // the question is a page of its own
}

function threadOf(form) {
  return form.getAttribute("action").replace(/\/\w+$/, "");
}

function body(form) {
  const found = {};
  for (const [name, value] of new FormData(form)) found[name] = value;
  for (const input of form.querySelectorAll("[data-number]")) found[input.name] = Number(input.value);
  if (form.dataset.turns) found.turns = form.dataset.turns;
  if (form.dataset.whole) found.whole = true;
  return found;
}

async function post(form) {
  try {
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST",
      headers: { "content-type": "application/json", "optical-memory": "viewer" },
      body: JSON.stringify(body(form)),
    });
    if (answer.status === 401) return { error: "The viewer was started anew: open the link that it printed." };
    return await answer.json();
  } catch {
    return { error: "The viewer does not answer: is it still running?" };
  }
}

async function change(form) {
  if (form.ariaBusy === "true") return; // clicked twice
  form.ariaBusy = "true";
  const told = await post(form);
  if (told.error) {
    form.ariaBusy = "false";
    form.querySelector(".wrong").textContent = told.error;
    return;
  }
  sessionStorage.setItem("said", told.done);
  if (told.whole) location.assign("/");
  else if (document.querySelector("[data-thread]")) location.reload();
  else location.assign(threadOf(form));
}

byId("ask").addEventListener("cancel", (event) => {
  if (document.querySelector("#ask [aria-busy=true]")) event.preventDefault(); // what is being done is not hidden
});

function tell(words) {
  byId("said").textContent = words;
}

function said() {
  const words = sessionStorage.getItem("said");
  if (!words) return;
  sessionStorage.removeItem("said");
  tell(words);
  setTimeout(() => { if (byId("said").textContent === words) tell(""); }, 9000);
}

// ---------------------------------------------------------------- keys

function step(by) {
  const links = all(".turn > a, .hits a, .threads a");
  if (!links.length) return;
  const at = links.findIndex((link) => link.getAttribute("aria-current") === "true" || link === document.activeElement);
  const beyond = at >= 0 && !links[at + by] && document.querySelector(`.more a[rel=${by > 0 ? "next" : "prev"}]`);
  if (beyond) { location.assign(beyond.href); return; }
  const to = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))];
  to.focus({ preventScroll: true });
  to.scrollIntoView({ block: "nearest" });
  if (to.dataset.pane) choose(to.href);
}

function goTo(path) {
  const thread = document.querySelector("[data-thread]")?.dataset.thread;
  if (thread !== undefined) location.assign(`/t/${thread}${path}`);
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => byId("q").focus(),
  m: () => goTo("/call"),
  t: () => goTo(""),
  d: () => document.querySelector("[data-show=diff]")?.click(),
  s: () => document.querySelector("[data-show=source]")?.click(),
  x: () => document.querySelector(".turn.chosen .pick")?.click(),
  "?": () => byId("help").showModal(),
  Escape: () => { letGo("ask"); chooseNone(); },
};

addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox], [type=range]), textarea, select");
  if (typing || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

// ---------------------------------------------------------------- what was clicked

addEventListener("click", (event) => {
  const target = event.target;
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  const pane = target.closest("a[data-pane]");
  const question = target.closest("a[data-ask]");
  if (target.closest(".pick")) pick(target, event.shiftKey);
  else if (target.closest("[data-zoom]")) zoom(target);
  else if (target.closest("[data-close]")) leave(target.form);
  else if (target.id === "choose-none") chooseNone();
  else if (plain && target.closest("#help-link")) { event.preventDefault(); byId("help").showModal(); }
  else if (plain && question) { event.preventDefault(); ask(question.href); }
  else if (plain && pane && byId("detail")) { event.preventDefault(); choose(pane.href); }
});

addEventListener("input", (event) => { if (event.target.id === "after") slide(event.target); });

addEventListener("submit", (event) => {
  if (event.target.matches("[data-post]")) { event.preventDefault(); change(event.target); }
  else if (event.target.matches("[data-look]")) event.preventDefault();
});

said();

const chosen = document.querySelector(".turn.chosen");
if (chosen && chosen.getBoundingClientRect().bottom > innerHeight && innerWidth > 860) chosen.scrollIntoView({ block: "center" });
