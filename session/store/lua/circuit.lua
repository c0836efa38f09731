-- Included by the scripts of circuits: what is kept of this one.
local key, time = CIRCUIT .. a.circuit, now()
local opened = redis.call('ZSCORE', key, 'opened')

local function note(what)
  redis.call('ZADD', key, string.format('%.6f', time), what)
  redis.call('EXPIRE', key, CIRCUIT_KEPT_SECONDS)
end
