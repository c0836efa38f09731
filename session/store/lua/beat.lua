-- id, worker
redis.call('SET', WORKER .. a.id, a.worker, 'PX', WORKER_MS)
redis.call('ZADD', WORKERS, now(), a.id)
