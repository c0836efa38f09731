-- What every script begins with. Before it stand the keys and limits of redis/scripts.py.
local a = {}
for i = 1, #ARGV, 2 do a[ARGV[i]] = ARGV[i + 1] end

local function now()  -- Unix seconds; tests move the clock by `clock_offset`
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6 + (tonumber(a.clock_offset) or 0)
end

local function found(outcome, id)
  local kept = redis.call('HMGET', SESSION .. id, 'record', 'last_active')
  return {outcome, kept[1], kept[2] or '0'}
end

local function is_current()  -- the agent a.attempt, a.job of a live session
  local stored = redis.call('HMGET', SESSION .. a.id, 'attempt', 'job', 'state')
  return stored[1] == a.attempt and a.job ~= '' and stored[2] == a.job and not FINAL[stored[3]]
end

local function forget_expired()
  local gone = redis.call('ZRANGE', EXPIRING, '-inf', now(), 'BYSCORE', 'LIMIT', 0, 500)
  for _, id in ipairs(gone) do
    redis.call('ZREM', EXPIRING, id)
    redis.call('ZREM', STATE .. 'reserved', id)
    for state in pairs(FINAL) do redis.call('ZREM', STATE .. state, id) end
  end
end
