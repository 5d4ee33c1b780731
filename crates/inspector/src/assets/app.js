// What makes the inspector's pages live. Every page works without it: this only saves people a reload.

const part = "[data-part]";

// Pages by the letter after `g`.
const pages = { e: "executions", w: "workflows", s: "schedules", h: "webhooks", c: "callbacks", a: "approvals", n: "connections" };

// --- Times: how long ago, beside the exact time in the title ------------------------------------------------

const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function relative(then) {
  const seconds = Math.round((Date.now() - then) / 1000);
  const size = Math.abs(seconds);
  if (size < 2) return "now";
  const [name, length] = units.find(([, length]) => size >= length);
  const amount = `${Math.floor(size / length)} ${name}`;
  return seconds > 0 ? `${amount} ago` : `in ${amount}`;
}

function times(root) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const then = Date.parse(time.dateTime);
    if (Number.isNaN(then)) continue;
    time.title ||= time.textContent;
    time.textContent = relative(then);
  }
}

// --- Fresh parts of the page ---------------------------------------------------------------------------------

function replace(old, fresh) {
  const focus = document.activeElement;
  const inside = old.contains(focus);
  // Nobody loses what they are typing.
  if (inside && focus.matches("input, textarea, select")) return;
  if (old.querySelector("details.action[open]")) return;
  for (const open of old.querySelectorAll("details[id][open]")) {
    const again = fresh.querySelector(`#${CSS.escape(open.id)}`);
    if (!again) continue;
    again.open = true;
    const body = open.querySelector("[data-loaded]");
    const place = again.querySelector("[data-load]");
    // What was loaded is kept as long as the step stands where it stood.
    if (body && place && open.dataset.stands === again.dataset.stands) place.replaceWith(body);
  }
  const scrolled = [...old.querySelectorAll(".canvas")].map((canvas) => [canvas.scrollLeft, canvas.scrollTop]);
  const way = inside && focus.getAttribute("href");
  const id = inside && focus.id;
  old.replaceWith(fresh);
  fresh.querySelectorAll(".canvas").forEach((canvas, at) => {
    if (scrolled[at]) [canvas.scrollLeft, canvas.scrollTop] = scrolled[at];
  });
  const again = (id && document.getElementById(id)) || (way && fresh.querySelector(`[href="${CSS.escape(way)}"]`));
  if (again) again.focus({ preventScroll: true });
  prepare(fresh);
}

let busy = false;
let more = false;
let last = 0;

async function refresh() {
  if (busy) {
    more = true;
    return;
  }
  busy = true;
  try {
    do {
      more = false;
      const rest = last + 250 - Date.now();
      if (rest > 0) await new Promise((done) => setTimeout(done, rest));
      const response = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
      last = Date.now();
      // The session has ended: loading the page leads to where to log in.
      if (response.type === "opaqueredirect") return location.reload();
      if (!response.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      // Another tab has gone to another organization: this one must not show half of each.
      if (page.body.dataset.organization !== document.body.dataset.organization) return location.reload();
      for (const old of document.querySelectorAll(part)) {
        const fresh = page.getElementById(old.id);
        if (fresh && fresh.dataset.part !== old.dataset.part) replace(old, document.importNode(fresh, true));
      }
      if (!page.body.dataset.live) leave();
    } while (more);
  } catch {
    // The server is away for a moment; the next event comes when it is back.
  } finally {
    busy = false;
  }
}

let events;
let clock;

function say(state, text) {
  const sign = document.querySelector(".live");
  sign.dataset.state = state;
  if (sign.textContent !== text) sign.textContent = text;
}

// What has come to its end does not change any more.
function leave() {
  events?.close();
  clearInterval(clock);
  say("", "");
}

function listen() {
  const from = document.body.dataset.live;
  if (!from) return;
  events = new EventSource(from);
  // Bars grow, and some things change without an event.
  clock = setInterval(() => document.visibilityState === "visible" && refresh(), 5_000);
  events.addEventListener("changed", refresh);
  let away = false;
  events.onopen = () => {
    say("on", "Live");
    if (away) refresh();
    away = false;
  };
  events.onerror = () => {
    away = true;
    say("off", "Reconnecting");
  };
  addEventListener("pagehide", () => events.close());
}

// --- What is loaded when it is opened ------------------------------------------------------------------------

async function load(place) {
  const response = await fetch(place.dataset.load, { headers: { accept: "text/html" } });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const body = page.querySelector("[data-loaded]");
  if (body) place.replaceWith(document.importNode(body, true));
}

function prepare(root) {
  times(root);
  for (const details of root.querySelectorAll("details")) {
    details.addEventListener("toggle", () => {
      const place = details.open && details.querySelector("[data-load]");
      if (place) load(place);
    });
    const place = details.open && details.querySelector("[data-load]");
    if (place) load(place);
  }
  for (const area of root.querySelectorAll("textarea[data-json]")) {
    area.addEventListener("input", () => {
      let problem = "";
      try {
        if (area.value.trim()) JSON.parse(area.value);
      } catch (error) {
        problem = `This is not JSON: ${error.message}`;
      }
      area.setCustomValidity(problem);
    });
  }
}

// --- Forms ---------------------------------------------------------------------------------------------------

// A file becomes text in the form, where it can be read before it is sent.
function uploads() {
  for (const input of document.querySelectorAll("input[type=file][data-into]")) {
    input.closest("[hidden]").hidden = false;
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (!file) return;
      const { form } = input;
      form.elements[input.dataset.into].value = await file.text();
      form.elements[input.dataset.name].value = file.name;
      form.elements[input.dataset.into].focus();
    });
  }
}

// The address of a search has what was asked for, and nothing else.
function searches() {
  for (const form of document.querySelectorAll("form[role=search]")) {
    form.addEventListener("formdata", ({ formData }) => {
      for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
    });
  }
}

// --- Links into the page open what they point at -------------------------------------------------------------

function reveal() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.querySelector(":scope > details");
  if (details) {
    details.open = true;
    details.querySelector("summary").focus({ preventScroll: true });
  }
}

// --- The keyboard --------------------------------------------------------------------------------------------

function move(by) {
  const rows = [...document.querySelectorAll(".rows tbody tr")].filter((row) => row.querySelector("a"));
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.classList.contains("here"));
  const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  for (const row of rows) row.classList.toggle("here", row === next);
  next.querySelector("a").focus();
  next.scrollIntoView({ block: "nearest" });
}

let goes = false;

function keys(event) {
  const going = goes;
  goes = false;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const help = document.getElementById("help");
  if (event.key === "Escape") {
    const open = document.querySelector("details.action[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
    return;
  }
  if (event.target.matches("input, textarea, select") || help.open) return;
  const search = document.querySelector("[data-search]");
  if (event.key === "/" && search) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (going && pages[event.key]) location.href = `/ui/${pages[event.key]}`;
  else if (event.key === "g") goes = true;
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "?") help.showModal();
}

// One sheet at a time.
function only(event) {
  for (const open of document.querySelectorAll("details.action[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
}

prepare(document);
uploads();
searches();
listen();
reveal();
addEventListener("hashchange", reveal);
document.addEventListener("keydown", keys);
document.addEventListener("click", only);
document.querySelector("[data-help]")?.addEventListener("click", () => document.getElementById("help").showModal());
setInterval(() => times(document), 10_000);
