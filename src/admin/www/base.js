// What every part uses: elements, texts, requests, dialogs. Nothing is ever set as HTML.
const $ = (id) => document.getElementById(id);
const state = { status: null, token: sessionStorage.getItem("dray-token") || "", asked: false };

// What turns text around or hides in it is shown, as on a terminal: U+202E lets an id read as another.
const shown = (text) => text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
  (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key === "on") for (const [event, fn] of Object.entries(value)) node.addEventListener(event, fn);
    else if (key in node && key !== "list") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== "").map((c) => (typeof c === "string" ? shown(c) : c)));
  return node;
}

const whole = new Intl.NumberFormat("en");
const count = (n) => whole.format(n);
const rate = (n) => (n >= 100 ? whole.format(Math.round(n)) : n >= 10 ? n.toFixed(1) : n.toFixed(n > 0 && n < 1 ? 2 : 1));
const seconds = (s) => (s < 0.9995 ? `${Math.round(s * 1000)} ms` : s < 99.5 ? `${s.toFixed(s < 9.95 ? 1 : 0)} s` : span(s * 1000));

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

function when(ms) {
  const d = new Date(ms);
  return el("time", { dateTime: d.toISOString(), title: d.toISOString() },
    d.toDateString() === new Date().toDateString() ? d.toLocaleTimeString() : d.toLocaleString());
}

let toastTimer;
function toast(text) {
  $("toast").textContent = shown(text);
  $("toast").classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("on"), 5000);
}

class ApiError extends Error {
  constructor(status, code, message) { super(message); Object.assign(this, { status, code }); }
}

async function api(path, options = {}) {
  const headers = state.token ? { Authorization: `Bearer ${state.token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { method: options.method || "GET", body: options.body, headers, cache: "no-store",
      signal: AbortSignal.timeout(12000) });
  } catch (e) {
    throw new ApiError(0, "no_answer", "the worker does not answer");
  }
  let data = null;
  try { data = await answer.json(); } catch (e) { /* below */ }
  if (answer.ok && data) return data;
  const error = (data && data.error) || { code: "bad_answer", message: `HTTP ${answer.status}` };
  throw new ApiError(answer.status, error.code, error.message);
}

const post = (path, body) => api(path, { method: "POST", body: JSON.stringify(body || {}) });
const part = (text) => encodeURIComponent(text);

// Replaces the rows of a table, each an array of cells; keeps the focus where it was.
function fill(table, columns, rows, none) {
  const focused = table.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  table.className = "cards";
  const head = el("thead", {}, el("tr", {}, ...columns.map((c) =>
    el("th", { scope: "col", className: c.kind === "n" ? "n" : "" },
      c.kind === "act" ? el("span", { className: "sr" }, "Actions") : c.name))));
  const body = el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((cell, i) => {
    const c = columns[i];
    if (i === 0) return el("th", { scope: "row", className: c.kind || "" }, ...[cell].flat());
    const td = el("td", { className: c.kind || "" }, ...[cell].flat());
    if (c.kind !== "act") td.dataset.label = c.name;
    return td;
  }))));
  if (rows.length === 0) body.append(el("tr", {}, el("td", { className: "none", colSpan: columns.length }, none)));
  table.replaceChildren(head, body);
  if (focused) table.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

const chip = (kind, text) => el("span", { className: `chip ${kind}` }, text);

function button(text, key, fn, kind = "") {
  const b = el("button", { type: "button", className: kind, on: { click: fn } }, text);
  b.dataset.key = key;
  return b;
}

document.addEventListener("click", (e) => {
  if (e.target.closest("[data-close]")) e.target.closest("dialog").close();
});

// Asks before anything is changed. `act` gets the fields' values; what it throws is shown, and the
// dialog stays. `fields` are elements that hold named inputs.
function ask({ title, text, yes, danger = false, fields = [], act }) {
  $("ask-title").textContent = shown(title);
  $("ask-text").textContent = text ? shown(text) : "";
  $("ask-text").hidden = !text;
  $("ask-error").textContent = "";
  $("ask-fields").replaceChildren(...fields);
  $("ask-yes").textContent = yes;
  $("ask-yes").className = danger ? "main danger" : "main";
  $("ask-yes").disabled = false;
  $("ask-form").onsubmit = async (e) => {
    e.preventDefault();
    $("ask-yes").disabled = true;
    $("ask-error").textContent = "";
    try {
      const done = await act(Object.fromEntries(new FormData($("ask-form"))));
      $("ask").close();
      if (done) toast(done);
    } catch (error) {
      $("ask-error").textContent = shown(explain(error));
    }
    $("ask-yes").disabled = false;
  };
  $("ask").showModal();
  (fields[0]?.querySelector("input, select, textarea") || $("ask-yes")).focus();
}

function explain(error) {
  if (error.code === "no_token_configured") return `${error.message}; then restart the worker.`;
  if (error.status === 401) return "The token is missing or wrong: press Token, at the top.";
  return error.message.charAt(0).toUpperCase() + error.message.slice(1) + ".";
}

function askToken(text) {
  ask({
    title: "Token", text, yes: "Use it",
    fields: [el("label", {}, "The token of [admin] in the worker's configuration; kept until this tab is closed",
      el("input", { type: "password", name: "token", autocomplete: "current-password" }))],
    act: async ({ token }) => {
      const before = state.token;
      state.token = token.trim();
      try {
        await api("/api/v1/workers");
      } catch (error) {
        state.token = before;
        throw error.status === 401 ? new ApiError(0, "wrong", "that is not the token") : error;
      }
      sessionStorage.setItem("dray-token", state.token);
      poll();
      return "Signed in";
    },
  });
}

// What changes something needs a token; says so before a form is filled in.
function mayAct() {
  if (state.status?.access.may_act) return true;
  if (state.status && !state.status.access.token_configured)
    toast("No token is configured: set `token` in [admin] to change anything from here.");
  else askToken("This needs the admin token.");
  return false;
}
