// Jobs where they are: a page of one place, and one order wherever it is. What is shown stands in the address (#…), so that it
// can be sent to somebody.
const jobs = { list: [], cursor: null, run: 0 };
const placeWords = { queued: "queued", in_flight: "in flight", delayed: "delayed", waiting: "waiting for its account", dead: "dead letter", result: "result" };
const nextWords = { to_send: "to be sent", to_look_up: "to be looked up", recovered: "to be looked up: its worker died" };
const ledgerWords = { sending: "being sent", looked_up: "being looked up", created: "created", unknown: "unknown: to be resolved" };
const ledgerKind = { created: "ok", unknown: "bad", looked_up: "warn", sending: "" };

// ---- the address ----

function address() {
  const [what, query] = location.hash.slice(1).split("?");
  return { what, query: new URLSearchParams(query || "") };
}

function setAddress(what, query) {
  const text = what ? `#${what}?${new URLSearchParams(query)}` : "";
  if (text !== location.hash) history.replaceState(null, "", text || location.pathname);
}

// Shows what the address says, once the queues are known.
function followAddress() {
  const { what, query } = address();
  if (what === "order" && query.get("q")) openOrder(query.get("queue"), query.get("q"));
  else if (what === "letter" && query.get("id")) { chooseDead(query); openLetter(query.get("id")); }
  else if (what === "dead") chooseDead(query);
  else if (what === "jobs") {
    for (const name of ["queue", "place"]) if (query.get(name)) $(`jobs-${name}`).value = query.get(name);
    searchJobs();
  }
}

function chooseDead(query) {
  for (const field of $("dead-form").elements)
    if (field.name && query.has(field.name)) field.value = query.get(field.name);
  search();
}

// ---- a page of a place ----

function jobQueues(names) {
  for (const id of ["jobs-queue", "find-queue"]) {
    const select = $(id), chosen = select.value;
    select.replaceChildren(...names.map((n) => el("option", { value: n }, n)));
    if (names.includes(chosen)) select.value = chosen;
  }
}

function searchJobs() {
  Object.assign(jobs, { list: [], cursor: null, fresh: true, queue: $("jobs-queue").value, place: $("jobs-place").value });
  setAddress("jobs", { queue: jobs.queue, place: jobs.place });
  if (jobs.queue) moreJobs();
}

// The first page follows what happens, as long as no more was asked for.
function refreshJobs() {
  if (!jobs.queue || jobs.list.length > 50 || $("order").open || $("ask").open) return;
  Object.assign(jobs, { cursor: null, fresh: true });
  moreJobs();
}

async function moreJobs() {
  const run = ++jobs.run;
  const query = new URLSearchParams({ place: jobs.place, limit: 50 });
  if (jobs.cursor) query.set("cursor", jobs.cursor);
  try {
    const page = await api(`/api/v1/queues/${part(jobs.queue)}/jobs?${query}`);
    if (run !== jobs.run) return;
    jobs.list = jobs.fresh ? page.jobs : [...jobs.list, ...page.jobs];
    jobs.fresh = false;
    jobs.cursor = page.cursor;
    drawJobs();
    $("jobs-note").textContent = jobs.list.length ? `${count(jobs.list.length)} shown${page.cursor ? "" : ", that is all"}` : "";
  } catch (error) {
    if (run === jobs.run) $("jobs-note").textContent = shown(explain(error));
  }
  $("jobs-more").hidden = !jobs.cursor;
}

function drawJobs() {
  const when_name = { queued: "Pushed", delayed: "Due", waiting: "First attempt", in_flight: "First attempt" }[jobs.place];
  const columns = [{ name: "Job" }, { name: "Account" }, { name: "What is next", kind: "wide" }, { name: when_name }, { name: "Attempts", kind: "n" }, { name: "", kind: "act" }];
  fill($("jobs"), columns, jobs.list.map((j) => [
    [j.order_key || j.id ? button(j.id || j.order_key, `job ${j.id}`, () => openOrder(jobs.queue, j.id || j.order_key), "link") : "(no readable job)",
      j.order_key && j.order_key !== j.id ? el("span", { className: "sub cut" }, j.order_key) : null],
    j.account || "–",
    [j.doing ? j.doing.replace("_", " ") : nextWords[j.next] || "to be taken", j.worker ? el("span", { className: "sub cut" }, j.worker) : null],
    jobTime(j), j.attempts === undefined ? "–" : count(j.attempts),
    j.place === "delayed" ? button("Run now", `run ${j.ticket}`, () => runDialog(jobs.queue, j)) : null]), "No job is there.");
}

function jobTime(j) {
  const ms = { queued: j.enqueued_at, delayed: j.due_at }[j.place] || j.first_attempt_at || j.enqueued_at;
  return ms ? when(ms) : "–";
}

function runDialog(queue, j) {
  if (!mayAct()) return;
  ask({ title: `Run ${j.id || j.order_key} now?`, text: "It goes at once, if its account may. Its attempts count on.", yes: "Run now",
    act: async () => {
      const done = await post(`/api/v1/queues/${part(queue)}/run`, { tickets: [j.ticket] });
      if ($("order").open) openOrder(queue, j.id || j.order_key); else searchJobs();
      return done.count ? `${j.id || j.order_key} runs` : "It was not delayed any more";
    } });
}

// ---- one order ----

function place(queue, f) {
  const rows = [["Where", chip(f.place === "dead" ? "bad" : f.place === "result" ? "ok" : "", placeWords[f.place])], ["Id", f.id], ["Order key", f.order_key],
    ["Account", f.account], ["What is done", f.doing?.replace("_", " ")], ["What is next", f.place === "delayed" || f.place === "waiting" ? nextWords[f.next] : null],
    ["By worker", f.worker], ["Due", f.due_at ? when(f.due_at) : null], ["Not before", f.not_before ? when(f.not_before) : null],
    ["Pushed", f.enqueued_at ? when(f.enqueued_at) : null], ["First attempt", f.first_attempt_at ? when(f.first_attempt_at) : null],
    ["Attempts", f.attempts], ["Reason", f.reason && reasonWords(f.reason)], ["Code", f.code], ["What was said", f.message], ["Died", f.died_at ? when(f.died_at) : null],
    ["Status", f.status], ["Order id", f.order_id], ["Finished", f.finished_at ? when(f.finished_at) : null]];
  const acts = [
    f.place === "delayed" ? button("Run now", "order-run", () => runDialog(queue, f)) : null,
    f.dead_id ? button("Open the dead letter", "order-letter", () => { $("order").close(); $("dead-queue").value = queue; dead.queue = queue; openLetter(f.dead_id); }, "link") : null];
  return [facts(rows), ...acts.filter(Boolean),
    ...(f.history?.length ? [el("ol", { className: "history" }, ...f.history.map(attempt))] : [])];
}

async function openOrder(queue, wanted) {
  $("order-title").textContent = shown(wanted);
  $("order-body").replaceChildren(el("p", {}, "Looking…"));
  if (!$("order").open) $("order").showModal();
  setAddress("order", { queue, q: wanted });
  const found = [], ledger = [];
  try {
    for (let cursor = ""; cursor !== null && $("order").open;) {
      const query = new URLSearchParams({ q: wanted, ...(cursor && { cursor }) });
      const page = await api(`/api/v1/queues/${part(queue)}/find?${query}`);
      found.push(...page.found);
      ledger.push(...page.ledger);
      cursor = page.cursor;
    }
  } catch (error) {
    $("order-body").replaceChildren(el("p", { className: "error" }, explain(error)));
    return;
  }
  const entries = ledger.map((e) => facts([["Ledger", chip(ledgerKind[e.state], ledgerWords[e.state])], ["Account", e.account], ["Order key", e.key],
    ["Order ids", e.order_ids?.join(", ")], ["Since", e.at ? when(e.at) : null], ["Dead letter", e.dead_id], ["By worker", e.worker]]));
  $("order-body").replaceChildren(...found.flatMap((f) => place(queue, f)), ...entries,
    ...(found.length + ledger.length ? [] : [el("p", {}, `Queue ${queue} has nothing of it: it was never pushed, or its result was taken and the ledger has forgotten the key.`)]));
}

for (const id of ["order", "letter"]) $(id).addEventListener("close", () => setAddress("", {}));
$("find-form").addEventListener("submit", (e) => {
  e.preventDefault();
  const wanted = $("find-text").value.trim();
  if (wanted) openOrder($("find-queue").value, wanted);
});
$("jobs-form").addEventListener("submit", (e) => { e.preventDefault(); searchJobs(); });
$("jobs-more").addEventListener("click", moreJobs);
addEventListener("hashchange", followAddress);
