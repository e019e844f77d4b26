<?php

declare(strict_types=1);

/** Redis did not take the job, or did not say so. Keep it and push it again. */
final class DrayNotPushed extends RuntimeException
{
}

/**
 * dray for PHP producers (8.1 or later): push an order, wait for its result. One file to copy; needs the extension `redis`
 * (php-redis) and Redis 6.2.
 *
 *     $dray = new Dray($redis, 'orders');
 *     $result = $dray->place('shop-7/1001', $order, 60);
 *
 * A result goes to a list of its own job (`reply_to`), and stays there when it is read: whoever waits for it may die, and
 * wait again. It expires `keep` seconds after it was first read.
 *
 * Pushing the same `id` with the same order again is always safe: its order key makes it one order, and the second result
 * is `duplicate` with the same order id. So `push` tries again by itself while it does not know whether Redis took the job,
 * and what it could not push (DrayNotPushed) is pushed again later, as it is. A corrected order gets an `id` of its own.
 *
 * @phpstan-type Error array{reason: string, code: string, message: string, dead_id: string, faults?: list<array{path: string, rule: string}>}
 * @phpstan-type Result array{id: string, status: 'created'|'duplicate'|'failed', provider: ?string, account: ?string,
 *     queue: string, order_key: ?string, order_id: ?string, order_ids: list<string>, order: ?array<string, mixed>,
 *     parts: list<array{order_id: string, order: array<string, mixed>}>, error: ?Error,
 *     warnings: list<array{path: string, rule: string}>, attempts: int, http_status: ?int, enqueued_at: ?int, finished_at: int, duration_ms: int, meta: mixed}
 *     as docs/schema/result.schema.json says; there may be further fields
 */
final class Dray
{
    private const FIELDS = ['account', 'order_key', 'not_before', 'expires_at', 'max_attempts', 'enqueued_at', 'traceparent', 'meta'];
    private const JSON = JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE;

    private readonly string $jobs;
    private readonly string $results;

    /**
     * Of one queue.
     *
     * @param string $prefix as in [redis]
     * @param int $keep seconds for which a result that was read stays
     * @param float $retryFor seconds for which `push` tries
     */
    public function __construct(
        private readonly Redis $redis,
        string $queue,
        string $prefix = 'dray',
        private readonly int $keep = 86400,
        private readonly float $retryFor = 30.0,
    ) {
        $this->jobs = "{$prefix}:{{$queue}}:jobs";
        $this->results = "{$prefix}:{{$queue}}:results:of:";
    }

    /**
     * The text of a job, checked. An order given as text is kept to the byte: a price stays 9.990. An empty object in an
     * array is `(object) []`.
     *
     * @param array<string, mixed>|object|string $order
     * @param array{account?: string, order_key?: string, not_before?: int|string, expires_at?: int|string, max_attempts?: int,
     *     enqueued_at?: int|string, traceparent?: string, meta?: mixed} $fields
     * @throws InvalidArgumentException|JsonException it is none
     */
    public function job(string $id, array|object|string $order, array $fields = []): string
    {
        if (preg_match('/^[^\x{00}-\x{1f}\x{7f}-\x{9f}]{1,128}$/uD', $id) !== 1) {
            throw new InvalidArgumentException('id: 1 to 128 characters, no control characters');
        }
        if (strlen($this->results . $id) > 512) {
            throw new InvalidArgumentException('id: too long in UTF-8 for the name of a list');
        }
        $unknown = array_diff(array_keys($fields), self::FIELDS);
        if ($unknown !== []) {
            throw new InvalidArgumentException('no field of a job: ' . implode(', ', $unknown));
        }
        $text = is_string($order) ? $order : json_encode($order, self::JSON);
        if (!is_object(json_decode($text, false, 512, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING))) {
            throw new InvalidArgumentException('order: must be a JSON object');
        }
        $fields += ['enqueued_at' => (int) (microtime(true) * 1000), 'reply_to' => $this->results . $id];

        return '{"id":' . json_encode($id, self::JSON) . ',"order":' . $text . ',' . substr(json_encode($fields, self::JSON), 1);
    }

    /**
     * Pushes a job.
     *
     * @param array<string, mixed>|object|string $order
     * @param array<string, mixed> $fields as for job()
     * @throws InvalidArgumentException|JsonException it is none
     * @throws DrayNotPushed Redis did not take it within `retryFor`
     */
    public function push(string $id, array|object|string $order, array $fields = []): void
    {
        $job = $this->job($id, $order, $fields);
        $until = microtime(true) + $this->retryFor;
        for ($pause = 0.1;; $pause = min(2 * $pause, 5.0)) {
            try {
                $this->command('LPUSH', $this->jobs, $job);

                return;
            } catch (RedisException $e) {
                if (!self::passes($e) || microtime(true) + $pause > $until) {
                    throw new DrayNotPushed("{$id}: {$e->getMessage()}", 0, $e);
                }
            }
            usleep((int) ($pause * 1e6));
        }
    }

    /**
     * The job's result; null: not within `timeout` seconds, so wait again later. A result is not an order: look at `status`.
     *
     * @return Result|null
     */
    public function wait(string $id, float $timeout): ?array
    {
        $key = $this->results . $id;
        // A blocking wait ends before the client's own patience does.
        $patience = (float) $this->redis->getOption(Redis::OPT_READ_TIMEOUT) ?: (float) ini_get('default_socket_timeout');
        $until = microtime(true) + $timeout;
        while (($left = $until - microtime(true)) > 0) {
            $slice = max(0.01, min($left, 5.0, $patience > 0 ? $patience / 2 : 5.0));
            try {
                // From the list onto itself: nothing is taken away.
                if ($this->command('BLMOVE', $key, $key, 'LEFT', 'LEFT', sprintf('%.3F', $slice))) {
                    $this->command('EXPIRE', $key, (string) $this->keep);

                    return self::best($this->command('LRANGE', $key, '0', '-1'));
                }
            } catch (RedisException $e) {
                if (!self::passes($e)) {
                    throw $e;
                }
                usleep((int) (min(0.5, max(0.0, $until - microtime(true))) * 1e6));
            }
        }

        return null;
    }

    /**
     * Pushes and waits. After null, or a crash, `wait` again, or `place` the same again: it stays one order.
     *
     * @param array<string, mixed>|object|string $order
     * @param array<string, mixed> $fields as for job()
     * @return Result|null
     */
    public function place(string $id, array|object|string $order, float $timeout, array $fields = []): ?array
    {
        $this->push($id, $order, $fields);

        return $this->wait($id, $timeout);
    }

    /** Deletes a job's result before it expires. */
    public function forget(string $id): void
    {
        $this->command('DEL', $this->results . $id);
    }

    /** Lets expire what nobody ever waited for, `keep` seconds from now. Once a day; returns how many there were. */
    public function tidy(): int
    {
        $pattern = preg_replace('/[][*?\\\\]/', '\\\\$0', $this->results) . '*';
        $cursor = '0';
        $count = 0;
        do {
            [$cursor, $keys] = $this->command('SCAN', (string) $cursor, 'MATCH', $pattern, 'COUNT', '1000');
            foreach ($keys as $key) {
                if ($this->command('TTL', $key) === -1) {
                    $count += $this->command('EXPIRE', $key, (string) $this->keep);
                }
            }
        } while ((string) $cursor !== '0');

        return $count;
    }

    /** What Redis says while it is full, starts or fails over passes, as a lost connection does; another refusal of its does not. */
    private static function passes(RedisException $e): bool
    {
        return preg_match('/^[A-Z]{3,} /', $e->getMessage()) !== 1
            || preg_match('/^(OOM|READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|TRYAGAIN|UNBLOCKED) /', $e->getMessage()) === 1;
    }

    /** Raw, so that the client's own prefix and serializer keep out. */
    private function command(string ...$words): mixed
    {
        $this->redis->clearLastError();
        $reply = $this->redis->rawCommand(...$words);
        $error = $this->redis->getLastError();
        if ($error !== null) {
            throw new RedisException($error);
        }

        return $reply;
    }

    /**
     * Of several (a job that was pushed twice, or retried by an operator): the one that made the order, else the newest.
     *
     * @param list<string> $texts
     * @return Result|null
     */
    private static function best(array $texts): ?array
    {
        $found = array_map(static fn (string $t): array => json_decode($t, true, 512, JSON_THROW_ON_ERROR), $texts);
        foreach (['created', 'duplicate'] as $status) {
            foreach ($found as $result) {
                if ($result['status'] === $status) {
                    return $result;
                }
            }
        }

        return $found[0] ?? null;
    }
}
