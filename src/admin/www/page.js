// The page above the dead letters: what is wrong, rates, queues, accounts, workers.
const POLL_MS = 2000, KEEP = 40;
const samples = []; // states of the counters, the newest last
const charts = {};
const accounts = { offset: 0, limit: matchMedia("(max-width: 720px)").matches ? 5 : 10 };

function sum(list, get) { return list.reduce((n, x) => n + get(x), 0); }

function addHist(queues, which) {
  const total = [];
  for (const q of queues) q.here[which].counts.forEach((n, i) => { total[i] = (total[i] || 0) + n; });
  return total;
}

function sampleOf(s) {
  const totals = (name) => sum(s.queues, (q) => q.totals[name]);
  return {
    at: s.at, created: totals("created") + totals("duplicate"), settled: totals("settled") + totals("died"),
    died: totals("died"), taken: totals("taken"), jobs: sum(s.queues, (q) => q.jobs),
    http: addHist(s.queues, "http"), pickup: addHist(s.queues, "pickup"),
    queues: Object.fromEntries(s.queues.map((q) => [q.queue, { taken: q.totals.taken, out: q.totals.settled + q.totals.died, jobs: q.jobs }])),
  };
}

// The sample some ten seconds old: figures over two seconds would jump about.
function before(n) { return samples[Math.max(0, samples.length - 1 - n)]; }

function perSecond(a, b, get) {
  const s = (b.at - a.at) / 1000;
  return s > 0 ? Math.max(0, (get(b) - get(a)) / s) : 0;
}

function drawCharts(s) {
  const now = sampleOf(s);
  if (samples.length > 0 && now.created < samples[samples.length - 1].created) samples.length = 0;
  samples.push(now);
  if (samples.length > KEEP) samples.shift();
  const last = before(1), ten = before(5), minute = before(30);
  if (!charts.created) {
    const box = $("charts");
    charts.created = new Chart(box, "Orders created", "per second", rate);
    charts.dead = new Chart(box, "Dead letters", "per minute", rate);
    charts.inflight = new Chart(box, "In flight", "orders", count);
    charts.http = new Chart(box, "Provider latency", "median", seconds);
    charts.pickup = new Chart(box, "Time to first attempt", "median", seconds);
  }
  charts.created.add(perSecond(ten, now, (x) => x.created));
  charts.dead.add(perSecond(ten, now, (x) => x.died) * 60);
  charts.inflight.add(sum(s.queues, (q) => q.inflight), sum(s.queues, (q) => q.queued),
    `${count(sum(s.queues, (q) => q.queued))} queued`);
  for (const which of ["http", "pickup"]) {
    const bounds = s.bounds_us[which];
    const p95 = quantile(minute[which], now[which], bounds, 0.95);
    charts[which].add(quantile(minute[which], now[which], bounds, 0.5), p95, p95 === null ? "none in the last minute" : `95 %: ${seconds(p95)}`);
  }
  return { ten, now, last };
}

const stateWords = { ok: "ok", limited: "limited", held: "held", breaker_open: "breaker open",
  paused_by_provider: "paused by the provider", paused_by_operator: "paused by an operator" };
const stateKind = { ok: "ok", limited: "", held: "bad", breaker_open: "bad", paused_by_provider: "warn", paused_by_operator: "warn" };

function drawAttention(s) {
  const items = [];
  const add = (kind, text) => items.push(el("li", { className: kind }, text));
  if (!s.redis.up) add("bad", `Redis is away: ${s.redis.error}. The figures are from ${span(s.at - s.redis.read_at)} ago.`);
  else if (s.worker.not_ready) add("warn", `This worker is not ready: ${s.worker.not_ready}.`);
  for (const q of s.queues) {
    if (q.workers === 0 && s.redis.up) add("bad", `Queue ${q.queue}: no worker has a lease.`);
    if (q.here.redis_full) add("bad", `Queue ${q.queue}: Redis is full; nothing is pushed or claimed.`);
    if (q.results_full) add("bad", `Queue ${q.queue}: ${count(q.results)} results are not consumed; nothing more is claimed.`);
    if (q.paused) add("warn", `Queue ${q.queue} is paused${q.paused.until ? ` for ${span(q.paused.until - s.at)} more` : ""}${q.paused.reason ? `: ${q.paused.reason}` : ""}.`);
    if (q.queued > 0 && q.oldest_age_ms > 60000 && !q.paused) add("warn", `Queue ${q.queue}: the oldest job has waited for ${span(q.oldest_age_ms)}.`);
    if (q.dead > 0) add("warn", `Queue ${q.queue}: ${count(q.dead)} dead letter${q.dead === 1 ? "" : "s"}.`);
  }
  const bad = s.accounts.list.filter((a) => a.state !== "ok" && a.state !== "limited");
  for (const a of bad.slice(0, 6))
    add(stateKind[a.state], `Account ${a.account} is ${stateWords[a.state]}${a.reason ? ` (${a.reason})` : ""}${a.waiting ? `; ${count(a.waiting)} job${a.waiting === 1 ? " waits" : "s wait"}` : ""}.`);
  if (bad.length > 6) add("warn", `And ${bad.length - 6}${bad.length === s.accounts.list.length ? " or more" : ""} more accounts.`);
  $("attention").classList.toggle("calm", items.length === 0);
  if (items.length === 0) add("ok", "Nothing needs attention.");
  items.sort((a, b) => (b.className === "bad") - (a.className === "bad"));
  $("attention-list").replaceChildren(...items);
  document.title = bad.length || !s.redis.up ? "(!) dray" : "dray";
}

function pauseDialog(what, path) {
  if (!mayAct()) return;
  ask({
    title: `Pause ${what}?`, text: "Within a second nothing new is begun; what is under way ends.", yes: "Pause", danger: true,
    fields: [
      el("label", {}, "For how long", el("select", { name: "length" },
        ...[["", "until it is resumed"], ["10m", "10 minutes"], ["1h", "an hour"], ["8h", "8 hours"]].map(([v, t]) => el("option", { value: v }, t)))),
      el("label", {}, "Why (all operators see it)", el("input", { name: "reason", maxLength: 90, autocomplete: "off" })),
    ],
    act: async ({ length, reason }) => {
      await post(`${path}/pause`, { ...(length && { for: length }), ...(reason && { reason }) });
      poll();
      return `${what} is paused`;
    },
  });
}

function resumeDialog(what, path) {
  if (!mayAct()) return;
  ask({ title: `Resume ${what}?`, text: "Its jobs go on at once.", yes: "Resume",
    act: async () => { await post(`${path}/resume`); poll(); return `${what} goes on`; } });
}

function pauseButton(what, name, path, paused) {
  const b = paused ? button("Resume", `resume ${what} ${name}`, () => resumeDialog(`${what} ${name}`, path))
    : button("Pause", `pause ${what} ${name}`, () => pauseDialog(`${what} ${name}`, path));
  b.setAttribute("aria-label", `${paused ? "Resume" : "Pause"} ${what} ${name}`);
  return b;
}

function drawQueues(s, { ten, now }) {
  const columns = [{ name: "Queue" }, { name: "Queued", kind: "n" }, { name: "In flight", kind: "n" }, { name: "Retry later", kind: "n" },
    { name: "Wait for account", kind: "n" }, { name: "Dead", kind: "n" }, { name: "Results", kind: "n" }, { name: "Oldest", kind: "n" },
    { name: "In / out per second", kind: "n" }, { name: "", kind: "act" }];
  fill($("queues"), columns, s.queues.map((q) => {
    const b = ten.queues[q.queue] || now.queues[q.queue], n = now.queues[q.queue], dt = (now.at - ten.at) / 1000 || 1;
    const into = Math.max(0, (n.taken + n.jobs - b.taken - b.jobs) / dt), out = Math.max(0, (n.out - b.out) / dt);
    return [[q.queue, q.paused ? el("span", { className: "sub" }, chip("warn", "paused")) : null],
      count(q.jobs), count(q.inflight), count(q.delayed), count(q.waiting),
      el("span", { className: q.dead > 0 ? "hot" : "" }, count(q.dead)), count(q.results),
      q.queued > 0 ? span(q.oldest_age_ms) : "–", `${rate(into)} / ${rate(out)}`,
      pauseButton("queue", q.queue, `/api/v1/queues/${part(q.queue)}`, q.paused)];
  }), "This worker has no queue.");
}

function drawAccounts(s, page) {
  const several = s.queues.length > 1;
  const columns = [{ name: "Account" }, { name: "State", kind: "wide" }, { name: "Waiting", kind: "n" }, { name: "Under way", kind: "n" },
    { name: "Rate", kind: "n" }, { name: "Created here", kind: "n" }, { name: "", kind: "act" }];
  fill($("accounts"), columns, page.list.map((a) => [
    [a.account, el("span", { className: "sub" }, several ? `${a.provider}, queue ${a.queue}` : a.provider)],
    [chip(stateKind[a.state], stateWords[a.state]),
      a.reason || a.until ? el("span", { className: "sub cut" }, [a.reason, a.until && a.until > s.at ? `${a.state === "paused_by_operator" || a.state === "paused_by_provider" ? "ends" : "next try"} in ${span(a.until - s.at)}` : null].filter(Boolean).join("; ")) : null],
    count(a.waiting), a.concurrency_limit ? `${count(a.concurrency)} of ${count(a.concurrency_limit)}` : `${count(a.here.inflight)} here`,
    a.rate ? [`${rate(a.rate)}/s`, el("span", { className: "sub" }, `${Math.floor(a.tokens)} of ${count(a.burst)} left`)] : "no limit",
    count(a.here.created), pauseButton("account", a.account, `/api/v1/queues/${part(a.queue)}/accounts/${part(a.account)}`, a.state === "paused_by_operator")]),
    "No account fits.");
  $("accounts-count").textContent = `${count(page.total)}${page.troubled ? `, ${count(page.troubled)} not ok` : ""}`;
  $("accounts-pager").hidden = page.total <= accounts.limit && accounts.offset === 0;
  $("accounts-range").textContent = page.total ? `${accounts.offset + 1}–${Math.min(page.total, accounts.offset + page.list.length)} of ${count(page.total)}` : "0";
  $("accounts-back").disabled = accounts.offset === 0;
  $("accounts-next").disabled = accounts.offset + accounts.limit >= page.total;
}

async function accountsPage() {
  const query = new URLSearchParams({ offset: accounts.offset, limit: accounts.limit });
  if ($("accounts-text").value) query.set("text", $("accounts-text").value);
  if ($("accounts-troubled").checked) query.set("state", "troubled");
  const page = (await api(`/api/v1/accounts?${query}`)).accounts;
  if (state.status) drawAccounts(state.status, page);
}

function drawWorkers(s) {
  const several = s.queues.length > 1;
  const columns = [{ name: "Worker" }, ...(several ? [{ name: "Queue" }] : []), { name: "Host" }, { name: "Version" }, { name: "Mode" },
    { name: "In flight", kind: "n" }, { name: "Lease", kind: "n" }, { name: "Up for", kind: "n" }];
  fill($("workers"), columns, s.workers.map((w) => {
    const i = w.info || {};
    return [[el("span", { className: "cut" }, w.worker), w.this ? el("span", { className: "sub" }, "this one") : null],
      ...(several ? [w.queue] : []), i.host || "–", i.version || "–",
      w.alive ? chip(i.mode === "running" ? "ok" : "warn", i.mode || "starting") : chip("bad", "lease ran out"),
      count(w.inflight), w.alive ? span(w.lease_until - s.at) : "–", i.started_at ? span(s.at - i.started_at) : "–"];
  }), "No worker is known.");
}

function draw(s) {
  state.status = s;
  $("worker").textContent = `${s.worker.id} · ${s.worker.version} · ${s.worker.mode} · up ${span(s.worker.uptime_ms)}`;
  $("token-open").hidden = !s.access.token_configured;
  $("token-open").textContent = s.access.may_act ? `Sign out${s.access.who && s.access.who !== "token" ? ` ${s.access.who}` : ""}` : "Token";
  const rates = drawCharts(s);
  drawAttention(s);
  drawQueues(s, rates);
  drawWorkers(s);
  deadQueues(s);
  refreshJobs();
}

let pollTimer, polling = false;
async function poll() {
  clearTimeout(pollTimer);
  if (!polling) {
    polling = true;
    try {
      draw(await api("/api/v1/status"));
      await accountsPage();
      $("dot").className = `dot ${state.status.redis.up ? "ok" : "bad"}`;
      $("beat-text").textContent = `Live, ${new Date().toLocaleTimeString()}`;
    } catch (error) {
      $("dot").className = "dot bad";
      $("beat-text").textContent = explain(error);
      if (error.status === 401 && !state.asked) { state.asked = true; askToken("This worker asks for its admin token."); }
    }
    polling = false;
  }
  clearTimeout(pollTimer);
  if (!document.hidden) pollTimer = setTimeout(poll, POLL_MS);
}

$("token-open").addEventListener("click", () => {
  if (!state.status?.access.may_act) { askToken(""); return; }
  sessionStorage.removeItem("dray-token");
  location.reload();
});
let typing;
$("accounts-text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { accounts.offset = 0; accountsPage().catch(() => {}); }, 200);
});
$("accounts-troubled").addEventListener("change", () => { accounts.offset = 0; accountsPage().catch(() => {}); });
$("accounts-back").addEventListener("click", () => { accounts.offset = Math.max(0, accounts.offset - accounts.limit); accountsPage().catch(() => {}); });
$("accounts-next").addEventListener("click", () => { accounts.offset += accounts.limit; accountsPage().catch(() => {}); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
document.addEventListener("keydown", (e) => {
  if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.target.closest("input, select, textarea, dialog")) {
    e.preventDefault();
    $("dead-text").focus();
  }
});
poll();
