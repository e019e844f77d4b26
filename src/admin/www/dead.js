// Dead letters: a list read page by page, and one letter in a dialog with what can be done about it.
const dead = { letters: [], cursor: null, scanned: 0, total: 0, run: 0, queue: "", busy: false };

function deadQueues(s) {
  const names = s.queues.map((q) => q.queue), select = $("dead-queue");
  if (names.join("\n") === [...select.options].map((o) => o.value).join("\n")) {
    const q = s.queues.find((x) => x.queue === dead.queue);
    if (!q || dead.busy) return;
    if (dead.letters.length === 0 && q.dead !== dead.total) search();
    $("dead-fresh").hidden = q.dead === dead.total;
    $("dead-total").textContent = q.dead ? count(q.dead) : "";
    return;
  }
  jobQueues(names);
  const chosen = select.value;
  select.replaceChildren(...names.map((n) => el("option", { value: n }, n)));
  const worst = s.queues.reduce((a, b) => (b.dead > a.dead ? b : a), s.queues[0]);
  select.value = names.includes(chosen) ? chosen : worst ? worst.queue : "";
  search();
  followAddress();
}

function deadTotal(n) {
  dead.total = n;
  $("dead-total").textContent = n ? count(n) : "";
}

function deadQuery() {
  const form = new FormData($("dead-form")), query = new URLSearchParams({ limit: 50 });
  for (const name of ["reason", "account", "code", "http_status", "text"])
    if (form.get(name)?.trim()) query.set(name, form.get(name).trim());
  if (form.get("age")) query.set("since", Date.now() - 1000 * form.get("age"));
  return query;
}

function search() {
  Object.assign(dead, { letters: [], cursor: null, scanned: 0, queue: $("dead-queue").value, query: deadQuery() });
  $("dead-fresh").hidden = true;
  if (dead.queue) more();
}

// Reads on until a page is full, the letters are at their end, or Stop is pressed.
async function more() {
  const run = ++dead.run;
  const full = dead.letters.length + 50;
  dead.busy = true;
  $("dead-more").hidden = true;
  try {
    do {
      const query = new URLSearchParams(dead.query);
      if (dead.cursor) query.set("cursor", dead.cursor);
      const page = await api(`/api/v1/dead/${part(dead.queue)}?${query}`);
      if (run !== dead.run) return;
      const known = new Set(dead.letters.map((l) => l.dead_id));
      dead.letters.push(...page.letters.filter((l) => !known.has(l.dead_id)));
      dead.cursor = page.cursor;
      dead.scanned += page.scanned;
      deadTotal(page.total);
      $("dead-stop").hidden = !dead.cursor || dead.letters.length >= full;
      $("dead-note").textContent = dead.cursor && dead.letters.length < full ? `Looked at ${count(dead.scanned)} of ${count(dead.total)}…` : "";
      drawDead();
    } while (dead.cursor && dead.letters.length < full);
    note();
  } catch (error) {
    if (run === dead.run) $("dead-note").textContent = explain(error);
  }
  if (run === dead.run) { dead.busy = false; $("dead-stop").hidden = true; $("dead-more").hidden = !dead.cursor; }
}

function note() {
  $("bulk-acts").hidden = dead.letters.length === 0;
  const shown = dead.letters.length;
  $("dead-note").textContent = shown === 0 ? "" : dead.cursor ? `${count(shown)} shown` : `${count(shown)} shown, that is all`;
}

const reasonWords = (r) => (r || "unreadable").replace("_", " ");

function drawDead() {
  const columns = [{ name: "Job" }, { name: "Reason" }, { name: "What was said", kind: "wide" }, { name: "Account" }, { name: "Died" }, { name: "Attempts", kind: "n" }];
  const filtered = [...dead.query.keys()].length > 1;
  fill($("dead"), columns, dead.letters.map((l) => [
    [button(l.id || l.dead_id, `letter ${l.dead_id}`, () => openLetter(l.dead_id), "link"), l.order_key && l.order_key !== l.id ? el("span", { className: "sub cut" }, l.order_key) : null],
    chip(l.reason === "unknown_outcome" || l.reason === "poison" ? "bad" : "warn", reasonWords(l.reason)),
    [el("span", { className: "cut" }, l.message || "–"), el("span", { className: "sub" }, [l.code && `code ${l.code}`, l.http_status ? `HTTP ${l.http_status}` : null].filter(Boolean).join(", "))],
    l.account || "–", when(l.died_at), count(l.attempts)]),
    dead.busy && dead.cursor ? "Searching…" : filtered ? "No dead letter fits." : "No dead letters.");
}

function gone(id, text) {
  dead.letters = dead.letters.filter((l) => l.dead_id !== id);
  dead.total--;
  drawDead();
  note();
  $("letter").close();
  $("dead-title").closest("section").querySelector("button, input, select")?.focus();
  poll();
  return text;
}

function attempt(a, i) {
  const facts = [a.control ? "look-up of another order, as a control" : a.lookup ? "look-up" : null, a.times ? `${a.times} times since ${new Date(a.since).toLocaleString()}` : null, a.http_status ? `HTTP ${a.http_status}` : "no answer", a.code && `code ${a.code}`, a.ms !== undefined ? seconds(a.ms / 1000) : null];
  return el("li", {}, el("strong", {}, `${i + 1}. `), a.at ? when(a.at) : "", " ", facts.filter(Boolean).join(", "),
    a.message ? el("div", { className: "cut" }, a.message) : null,
    a.answer ? el("pre", { tabIndex: 0, ariaLabel: `Answer of attempt ${i + 1}` }, prettyJson(a.answer)) : null);
}

function facts(pairs) {
  return el("dl", {}, ...pairs.filter(([, v]) => v !== null && v !== undefined && v !== "").flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, ...[v].flat())]));
}

async function openLetter(id) {
  const path = `/api/v1/dead/${part(dead.queue)}/${part(id)}`;
  let got;
  try {
    got = await api(path);
  } catch (error) {
    if (error.status === 401) askToken("A dead letter's contents need the admin token.");
    else toast(explain(error));
    return;
  }
  setAddress("letter", { queue: dead.queue, id });
  const e = got.entry || {}, error = e.error || {}, attempts = e.attempts || [];
  const unknown = e.reason === "unknown_outcome" || e.reason === "poison";
  $("letter-title").textContent = shown(e.id || id);
  const body = [facts([["Reason", chip(unknown ? "bad" : "warn", reasonWords(e.reason))], ["What was said", error.message], ["Code", error.code],
    ["Account", e.account], ["Order key", e.order_key], ["Died", e.died_at ? when(e.died_at) : null], ["Worker", e.worker], ["Dead letter", id]])];
  if (error.faults?.length)
    body.push(el("h3", {}, "Faults"), el("ul", { className: "faults" }, ...error.faults.map((f) => el("li", {}, el("code", {}, f.path || "(the whole text)"), ` ${f.rule}`))));
  body.push(el("h3", {}, attempts.length ? "Attempts" : "No attempt was made"));
  if (attempts.length) body.push(el("ol", { className: "history" }, ...attempts.map(attempt)));
  body.push(el("h3", {}, "The job as it was pushed"),
    el("pre", { tabIndex: 0, ariaLabel: "The job" }, e.job ? prettyJson(e.job) : e.job_base64 ? `no UTF-8; base64: ${e.job_base64}` : got.text || "–"));
  $("letter-body").replaceChildren(...body);
  const name = e.id || id;
  $("letter-actions").replaceChildren(
    button("Drop", "drop", () => dropDialog(path, id, name), "danger"),
    ...(e.job ? [unknown ? button("Resolve…", "resolve", () => resolveDialog(path, id, name), "main") : button("Retry…", "retry", () => retryDialog(path, id, name, e.job), "main")] : []));
  if (!$("letter").open) $("letter").showModal();
  $("letter").scrollTop = 0;
}

function dropDialog(path, id, name) {
  if (!mayAct()) return;
  ask({ title: `Drop ${name}?`, text: "The dead letter and its history are deleted. This can't be undone.", yes: "Drop", danger: true,
    act: async () => { await post(`${path}/drop`); return gone(id, `${name} was dropped`); } });
}

function retryDialog(path, id, name, job) {
  if (!mayAct()) return;
  const text = el("textarea", { name: "job", spellcheck: false, value: job, ariaLabel: "The job, to be corrected" });
  const box = el("div", { hidden: true }, text);
  const change = el("label", { className: "check" }, el("input", { type: "checkbox", name: "edit", on: { change: (e) => { box.hidden = !e.target.checked; if (e.target.checked) text.focus(); } } }), "Correct the job first");
  ask({ title: `Retry ${name}?`, text: "The job goes back into its queue, with its history. Its attempts are counted anew.", yes: "Retry",
    fields: [change, box],
    act: async ({ edit, job: corrected }) => {
      await post(`${path}/retry`, edit && corrected !== job ? { job: corrected } : {});
      return gone(id, `${name} is retried`);
    } });
}

function resolveDialog(path, id, name) {
  if (!mayAct()) return;
  const number = el("input", { name: "created", autocomplete: "off", ariaLabel: "The provider's order id" });
  const choose = (value, text, extra) => el("label", { className: "check" }, el("input", { type: "radio", name: "how", value, checked: value === "created", on: { change: () => { number.disabled = value !== "created"; } } }), text, ...(extra || []));
  ask({ title: `What became of ${name}?`, text: "Nobody knows whether the provider has this order. Look it up there first: sending it again may create it twice.", yes: "Resolve", danger: true,
    fields: [choose("created", "It exists; the provider's order id is"), number, choose("resend", "It surely does not exist: send it again")],
    act: async ({ how, created }) => {
      if (how === "created" && !created?.trim()) throw new ApiError(0, "id", "the provider's order id is missing");
      await post(`${path}/resolve`, how === "created" ? { created: created.trim() } : { resend: true });
      return gone(id, `${name} is resolved`);
    } });
}

$("dead-form").addEventListener("submit", (e) => {
  e.preventDefault();
  search();
  setAddress("dead", [...new FormData(e.target)].filter(([, value]) => value));
});
$("dead-form").addEventListener("reset", () => setTimeout(() => { $("dead-queue").value = dead.queue; search(); }));
$("dead-queue").addEventListener("change", search);
$("dead-more").addEventListener("click", more);
$("dead-fresh").addEventListener("click", search);
$("dead-stop").addEventListener("click", () => { dead.run++; dead.busy = false; $("dead-stop").hidden = true; $("dead-more").hidden = !dead.cursor; note(); });
