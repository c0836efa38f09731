-- id, worker -> the worker's target and its order, nil for none
redis.call('SET', WORKER .. a.id, a.worker, 'PX', WORKER_MS)
redis.call('ZADD', WORKERS, now(), a.id)
redis.call('PEXPIRE', ORDER .. a.id, ORDER_MS)
local answer = {redis.pcall('HGET', TARGETS, a.id), redis.pcall('GET', ORDER .. a.id)}
for i = 1, 2 do
  if type(answer[i]) == 'table' then answer[i] = false end  -- it is of another type
end
return answer
