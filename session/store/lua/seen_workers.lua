-- seen_within (seconds) -> id, JSON and seen_at of each worker in turn
local time, answer = now(), {}
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', time - WORKER_MS / 1e3)
local seen = redis.call('ZRANGE', WORKERS, time - a.seen_within, '+inf', 'BYSCORE', 'WITHSCORES')
for i = 1, #seen, 2 do
  local worker = redis.pcall('GET', WORKER .. seen[i])
  if worker then
    if type(worker) == 'table' then worker = '' end  -- it is of another type
    answer[#answer + 1] = seen[i]
    answer[#answer + 1] = worker
    answer[#answer + 1] = seen[i + 1]
  end
end
return answer
