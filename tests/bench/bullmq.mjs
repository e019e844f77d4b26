// The peer: a BullMQ worker that does the same job with undici, as its documentation shows.
// usage: bullmq.mjs worker|load …   env: REDIS_PORT URL CONCURRENCY RESULTS JOBS(count) ORDER(file) FIRST
import { readFileSync } from 'node:fs';
import { Queue, Worker } from 'bullmq';
import IORedis from 'ioredis';
import { Pool } from 'undici';

const env = process.env;
const connection = { host: '127.0.0.1', port: Number(env.REDIS_PORT), maxRetriesPerRequest: null };

if (process.argv[2] === 'load') {
  const [before, after] = readFileSync(env.ORDER, 'utf8').split('"KA-1"');
  const queue = new Queue('bench', { connection });
  const first = Number(env.FIRST ?? 1), count = Number(env.JOBS);
  for (let at = first; at < first + count; at += 500) {
    const jobs = [];
    for (let i = at; i < Math.min(at + 500, first + count); i++)
      jobs.push({ name: 'order', data: { id: `job-${i}`, order: JSON.parse(`${before}"KA-${i}"${after}`) },
                  opts: { removeOnComplete: true, removeOnFail: true } });
    await queue.addBulk(jobs);
  }
  await queue.close();
  process.exit(0);
}

const url = new URL(env.URL);
const pool = new Pool(url.origin, { connections: Number(env.CONCURRENCY) });
const redis = new IORedis({ ...connection, enableAutoPipelining: true });
new Worker('bench', async (job) => {
  const { statusCode, body } = await pool.request({
    method: 'POST', path: url.pathname, headers: { 'content-type': 'application/json' },
    body: JSON.stringify(job.data.order) });
  const answer = await body.json();
  if (statusCode !== 200 || answer.code !== 10000) throw new Error(`status ${statusCode}`);
  await redis.lpush(env.RESULTS, JSON.stringify({ id: job.data.id, order_id: String(answer.data), status: 'created' }));
}, { connection, concurrency: Number(env.CONCURRENCY) });
process.on('SIGTERM', () => process.exit(0));
