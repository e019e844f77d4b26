// What a search of dead letters found, all of it: retried, dropped or exported, some at a time, with progress, and to be stopped.
const bulk = { stop: false, running: false };
const BULK_STEP = 100;
const stayWords = { unknown_outcome: "nobody knows whether the order exists: resolve it", created: "the ledger knows the order as created",
  busy: "another job with its key is under way", unreadable: "its job is no text", no_such_letter: "gone meanwhile" };

// Calls `step` with the ids of all letters that the search finds, BULK_STEP at a time. What a step moves away is not there for the
// next page; what stays is passed by the cursor.
async function eachFound(queue, query, step) {
  let cursor = null, scanned = 0;
  do {
    const q = new URLSearchParams(query);
    q.set("limit", BULK_STEP);
    if (cursor) q.set("cursor", cursor);
    const page = await api(`/api/v1/dead/${part(queue)}?${q}`);
    scanned += page.scanned;
    if (page.letters.length) await step(page.letters.map((l) => l.dead_id));
    cursor = page.cursor;
    bulkNote(`Looked at ${count(scanned)}`);
  } while (cursor && !bulk.stop);
}

function bulkNote(text) { $("bulk-note").textContent = text; }

function bulkBusy(on) {
  bulk.running = on;
  $("bulk-stop").hidden = !on;
  for (const id of ["bulk-retry", "bulk-drop", "bulk-export"]) $(id).disabled = on;
}

async function moveAll(verb, word) {
  const queue = dead.queue, query = dead.query;
  let done = 0;
  const left = {};
  bulkBusy(true);
  bulk.stop = false;
  try {
    await eachFound(queue, query, async (ids) => {
      const answer = await post(`/api/v1/queues/${part(queue)}/dead/${verb}`, { ids });
      done += answer.count;
      for (const l of answer.left) left[l.code] = (left[l.code] || 0) + 1;
      $("bulk-bar").value = done;
    });
  } catch (error) {
    left[explain(error)] = 1;
  }
  bulkBusy(false);
  const stays = Object.entries(left).map(([code, n]) => `${count(n)} stay${n === 1 ? "s" : ""}: ${stayWords[code] || code}`);
  bulkNote(shown([`${count(done)} ${word}${bulk.stop ? ", stopped" : ""}`, ...stays].join("; ")));
  search();
  poll();
}

function bulkDialog(verb, word, text, danger) {
  if (!mayAct() || bulk.running) return;
  const filtered = [...dead.query.keys()].length > 1;
  ask({ title: `${verb === "retry" ? "Retry" : "Drop"} ${filtered ? "all that this search finds" : `all ${count(dead.total)} dead letters`} of ${dead.queue}?`,
    text, yes: verb === "retry" ? "Retry all" : "Drop all", danger,
    act: async () => {
      $("bulk-bar").max = filtered ? Math.max(dead.letters.length, 1) : dead.total;
      $("bulk-bar").value = 0;
      $("bulk-bar").hidden = filtered && dead.cursor !== null;
      $("bulk").hidden = false;
      moveAll(verb, word);
    } });
}

// The lines are never parsed: their numbers stay as they are.
async function exportAll() {
  if (bulk.running) return;
  if (!state.status?.access.may_act) { mayAct(); return; }
  const queue = dead.queue, parts = [];
  let n = 0;
  bulkBusy(true);
  bulk.stop = false;
  $("bulk").hidden = false;
  $("bulk-bar").hidden = true;
  try {
    await eachFound(queue, dead.query, async (ids) => {
      const answer = await fetch(`/api/v1/queues/${part(queue)}/dead/export`, { method: "POST", body: JSON.stringify({ ids }),
        headers: { Authorization: `Bearer ${state.token}` }, cache: "no-store" });
      if (!answer.ok) throw new ApiError(answer.status, "export", `HTTP ${answer.status}`);
      parts.push(await answer.blob());
      n += ids.length;
    });
    const link = el("a", { href: URL.createObjectURL(new Blob(parts, { type: "application/x-ndjson" })), download: `${queue}-dead.ndjson` }, `Save ${count(n)} letters`);
    $("bulk-note").replaceChildren(link);
    link.click();
  } catch (error) {
    bulkNote(shown(explain(error)));
  }
  bulkBusy(false);
}

$("bulk-retry").addEventListener("click", () => bulkDialog("retry", "retried", "They go back into their queue, with their history; attempts are counted anew. Letters whose outcome is unknown stay.", false));
$("bulk-drop").addEventListener("click", () => bulkDialog("drop", "dropped", "The letters and their histories are deleted. This can't be undone: export them first.", true));
$("bulk-export").addEventListener("click", exportAll);
$("bulk-stop").addEventListener("click", () => { bulk.stop = true; });
