-- circuit, report, id
-- include: circuit
local function open()
  redis.call('DEL', key)
  note('opened')
  redis.call('SADD', OPEN_CIRCUITS, a.circuit)
end
if opened then
  if not redis.call('ZSCORE', key, a.id) then return end  -- not the probe
  if a.report == 'failed' then
    open()
  elseif a.report == 'ready' then
    redis.call('DEL', key)
    redis.call('SREM', OPEN_CIRCUITS, a.circuit)
  else
    redis.call('ZREM', key, a.id)
  end
elseif a.report == 'failed' then
  redis.call('ZREMRANGEBYSCORE', key, '-inf', time - CIRCUIT_SECONDS)
  redis.call('ZADD', key, 'NX', string.format('%.6f', time), a.id)
  redis.call('EXPIRE', key, CIRCUIT_SECONDS)
  if redis.call('ZCARD', key) >= CIRCUIT_FAILURES then open() end
end
