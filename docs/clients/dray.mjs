/**
 * dray for Node producers: push an order, wait for its result. One file to copy; needs a client of the package `redis`
 * (node-redis, 4 or later) and Redis 6.2.
 *
 *     const dray = new Dray(client, "orders");
 *     const result = await dray.place("shop-7/1001", order, 60);
 *
 * A result goes to a list of its own job (`reply_to`), and stays there when it is read: whoever waits for it may die, and
 * wait again. It expires `keep` seconds after it was first read.
 *
 * Pushing the same `id` with the same order again is always safe: its order key makes it one order, and the second result
 * is `duplicate` with the same order id. So `push` tries again by itself while it does not know whether Redis took the
 * job, and what it could not push (NotPushed) is pushed again later, as it is. A corrected order gets an `id` of its own.
 */

/**
 * As docs/schema/result.schema.json says; there may be further fields. Numbers inside `order` go through JSON.parse: ids
 * above 2^53 stand safely in `order_id` only.
 * @typedef {object} Result
 * @property {string} id
 * @property {"created"|"duplicate"|"failed"} status
 * @property {string|null} provider
 * @property {string|null} account
 * @property {string} queue
 * @property {string|null} order_key
 * @property {string|null} order_id
 * @property {string[]} order_ids
 * @property {object|null} order
 * @property {{order_id: string, order: object}[]} parts
 * @property {{order_id: string, order: object}[]} parts
 * @property {{reason: string, code: string, message: string, dead_id: string, faults?: {path: string, rule: string}[]}|null} error
 * @property {{path: string, rule: string}[]} warnings
 * @property {{path: string, rule: string}[]} warnings
 * @property {number} attempts
 * @property {number|null} http_status
 * @property {number|null} enqueued_at
 * @property {number} finished_at
 * @property {number} duration_ms
 * @property {unknown} meta
 */

/**
 * @typedef {object} Fields
 * @property {string} [account]
 * @property {string} [order_key]
 * @property {number|string} [not_before]
 * @property {number|string} [expires_at]
 * @property {number} [max_attempts]
 * @property {number|string} [enqueued_at]
 * @property {string} [traceparent]
 * @property {unknown} [meta]
 */

const FIELDS = new Set(["account", "order_key", "not_before", "expires_at", "max_attempts", "enqueued_at", "traceparent", "meta"]);
// What Redis says while it is full, starts or fails over passes, as a lost connection does; another refusal of its does not.
const passes = (e) => !/^[A-Z]{3,} /.test(e.message) ||
  /^(OOM|READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|TRYAGAIN|UNBLOCKED) /.test(e.message);
const SLICE = 5; // seconds of one blocking wait
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Redis did not take the job, or did not say so. Keep it and push it again. */
export class NotPushed extends Error {
  name = "NotPushed";
}

/** Of one queue. */
export class Dray {
  /**
   * @param {any} client a connected client of node-redis; listen to its "error" events, or Node ends at the first
   * @param {string} queue
   * @param {{prefix?: string, keep?: number, retryFor?: number}} [options] `prefix` as in [redis]; `keep`: seconds for which a
   *   result that was read stays; `retryFor`: seconds for which `push` tries
   */
  constructor(client, queue, { prefix = "dray", keep = 86400, retryFor = 30 } = {}) {
    Object.assign(this, { client, queue, keep, retryFor });
    this.jobs = `${prefix}:{${queue}}:jobs`;
    this.results = `${prefix}:{${queue}}:results:of:`;
  }

  /**
   * The text of a job, checked. An order given as text is kept to the byte: a 19-digit id stays one.
   * @param {string} id
   * @param {object|string} order
   * @param {Fields} [fields]
   * @returns {string}
   */
  job(id, order, fields = {}) {
    if (typeof id !== "string" || !/^[^\u0000-\u001f\u007f-\u009f\ud800-\udfff]{1,128}$/u.test(id))
      throw new TypeError("id: 1 to 128 characters, no control characters");
    if (Buffer.byteLength(this.results + id) > 512) throw new TypeError("id: too long in UTF-8 for the name of a list");
    const unknown = Object.keys(fields).filter((name) => !FIELDS.has(name));
    if (unknown.length > 0) throw new TypeError(`no field of a job: ${unknown.join(", ")}`);
    const text = typeof order === "string" ? order : JSON.stringify(order);
    const value = JSON.parse(text ?? "null");
    if (value === null || typeof value !== "object" || Array.isArray(value)) throw new TypeError("order: must be a JSON object");
    const rest = JSON.stringify({ enqueued_at: Date.now(), reply_to: this.results + id, ...fields });
    return `{"id":${JSON.stringify(id)},"order":${text},${rest.slice(1)}`;
  }

  /**
   * Pushes a job. TypeError, SyntaxError: it is none. NotPushed: Redis did not take it within `retryFor`.
   * @param {string} id
   * @param {object|string} order
   * @param {Fields} [fields]
   * @returns {Promise<void>}
   */
  async push(id, order, fields = {}) {
    const job = this.job(id, order, fields);
    const until = Date.now() + this.retryFor * 1000;
    for (let pause = 100; ; pause = Math.min(2 * pause, 5000)) {
      try {
        await this.before(until, this.client.sendCommand(["LPUSH", this.jobs, job]));
        return;
      } catch (e) {
        if (!passes(e) || Date.now() + pause > until) throw new NotPushed(`${id}: ${e.message}`, { cause: e });
      }
      await sleep(pause);
    }
  }

  /** The client itself waits without an end while Redis is away. */
  async before(until, promise) {
    let timer;
    promise.catch(() => {});
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("Redis does not answer")), Math.max(0, until - Date.now()));
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  /**
   * The job's result; null: not within `timeout` seconds, so wait again later. A result is not an order: look at `status`. Each
   * wait has a connection of its own.
   * @param {string} id
   * @param {number} timeout seconds
   * @returns {Promise<Result|null>}
   */
  async wait(id, timeout) {
    const key = this.results + id;
    const until = Date.now() + timeout * 1000;
    const client = this.client.duplicate();
    client.on("error", () => {}); // it connects again by itself
    try {
      await this.before(until, client.connect());
      for (let left; (left = (until - Date.now()) / 1000) > 0;) {
        const slice = String(Math.max(0.01, Math.min(left, SLICE)));
        try { // From the list onto itself: nothing is taken away.
          const text = await this.before(until + 1000, client.sendCommand(["BLMOVE", key, key, "LEFT", "LEFT", slice]));
          if (text === null) continue;
          await client.sendCommand(["EXPIRE", key, String(this.keep)]);
          return best(await client.sendCommand(["LRANGE", key, "0", "-1"]));
        } catch (e) {
          if (!passes(e)) throw e;
          await sleep(Math.min(500, Math.max(0, until - Date.now())));
        }
      }
      return null;
    } catch (e) {
      if (e.message === "Redis does not answer") return null;
      throw e;
    } finally {
      await client.disconnect().catch(() => {});
    }
  }

  /**
   * Pushes and waits. After null, or a crash, `wait` again, or `place` the same again: it stays one order.
   * @param {string} id
   * @param {object|string} order
   * @param {number} timeout seconds
   * @param {Fields} [fields]
   * @returns {Promise<Result|null>}
   */
  async place(id, order, timeout, fields = {}) {
    await this.push(id, order, fields);
    return this.wait(id, timeout);
  }

  /** Deletes a job's result before it expires. @param {string} id */
  async forget(id) {
    await this.client.sendCommand(["DEL", this.results + id]);
  }

  /**
   * Lets expire what nobody ever waited for, `keep` seconds from now. Once a day.
   * @returns {Promise<number>} how many there were
   */
  async tidy() {
    const pattern = `${this.results.replace(/[[\]*?\\]/g, "\\$&")}*`;
    let cursor = "0", count = 0;
    do {
      const [next, keys] = await this.client.sendCommand(["SCAN", cursor, "MATCH", pattern, "COUNT", "1000"]);
      cursor = String(next);
      for (const key of keys)
        if (Number(await this.client.sendCommand(["TTL", key])) === -1)
          count += Number(await this.client.sendCommand(["EXPIRE", key, String(this.keep)]));
    } while (cursor !== "0");
    return count;
  }
}

/** Of several (a job that was pushed twice, or retried by an operator): the one that made the order, else the newest. */
function best(texts) {
  const found = texts.map((text) => JSON.parse(text));
  return found.find((r) => r.status === "created") ?? found.find((r) => r.status === "duplicate") ?? found[0] ?? null;
}
