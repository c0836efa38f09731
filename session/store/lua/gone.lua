-- id, seconds
redis.call('ZADD', WORKERS, 'XX', string.format('%.6f', now() - a.seconds), a.id)
