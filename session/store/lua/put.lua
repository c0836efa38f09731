-- Included by start and write: takes a record over, with its seat, its indexes and its events.
local key = SESSION .. a.id

local function full()
  return SEATED[a.state] and a.max_seats ~= '' and redis.call('SISMEMBER', SEATS, a.id) == 0
    and redis.call('SCARD', SEATS) >= tonumber(a.max_seats)
end

local function owner_is_full()
  if a.owner == '' or a.max_owned == '' then return false end
  local most = tonumber(a.max_owned)
  if redis.call('SCARD', OWNED .. a.owner) < most then return false end
  for _, id in ipairs(redis.call('SMEMBERS', OWNED .. a.owner)) do
    local state = redis.call('HGET', SESSION .. id, 'state')
    if not state or FINAL[state] then redis.call('SREM', OWNED .. a.owner, id) end
  end
  return redis.call('SCARD', OWNED .. a.owner) >= most
end

local function expire_in(ms)
  local theirs = {key, TRANSCRIPT .. a.id, LOG .. a.id, CHECKPOINT .. a.id, SPOILED .. a.id}
  for _, each in ipairs(theirs) do redis.call('PEXPIRE', each, ms) end
  redis.call('ZADD', EXPIRING, now() + ms / 1e3, a.id)
end

local function keep()
  redis.call('PERSIST', key)
  redis.call('PERSIST', LOG .. a.id)
  redis.call('ZREM', EXPIRING, a.id)
end

local function finish()  -- once a session
  if a.state == 'error' then redis.call('HINCRBY', TOTALS, 'failed', 1) end
  if a.user ~= '' and redis.call('GET', USER .. a.user) == a.id then redis.call('DEL', USER .. a.user) end
  redis.call('XADD', OUTGOING, 'MAXLEN', '~', 100000, '*', 'record', a.record)
  local oldest = tonumber(redis.call('TIME')[1]) * 1e3 - tonumber(a.keep_ms)  -- by the clock that names the entries
  redis.call('XTRIM', OUTGOING, 'MINID', '~', string.format('%.0f', math.max(0, oldest)))
  if tonumber(a.keep_ms) < RESERVED_MS then redis.call('SET', TOMB .. a.id, '1', 'PX', RESERVED_MS) end
  expire_in(a.keep_ms)
  forget_expired()
end

local function publish(kind)
  redis.call('XADD', EVENTS, 'MAXLEN', '~', 10000, '*', 'kind', kind, 'id', a.id)
end

local function watch_over(before)  -- what the dispatchers look at, and what they are told
  if a.deadline == '' then
    redis.call('ZREM', DUE, a.id)
  else
    redis.call('ZADD', DUE, a.deadline, a.id)
    if tonumber(a.deadline) <= now() then publish('due') end
  end
  if a.state == 'ready' then
    redis.call('ZADD', CALLS, 'NX', now(), a.id)
    if before and before ~= 'ready' then publish('ready') end
  else
    redis.call('ZREM', CALLS, a.id)
  end
  if before and SEATED[before] and not SEATED[a.state] then publish('freed') end
end

local function put(before)  -- before: the state so far, false for a new session
  redis.call('HSET', key, 'record', a.record, 'rev', a.rev, 'op', a.op, 'state', a.state, 'attempt', a.attempt,
    'job', a.job)
  if before and before ~= a.state then redis.call('ZREM', STATE .. before, a.id) end
  redis.call('ZADD', STATE .. a.state, a.created_at, a.id)
  redis.call(SEATED[a.state] and 'SADD' or 'SREM', SEATS, a.id)
  if a.owner ~= '' then redis.call(FINAL[a.state] and 'SREM' or 'SADD', OWNED .. a.owner, a.id) end
  watch_over(before)
  if a.startup ~= '' and redis.call('HSETNX', key, 'counted', 1) == 1 then
    redis.call('HINCRBY', TOTALS, 'assigned', 1)
    redis.call('HINCRBYFLOAT', TOTALS, 'startup_seconds', a.startup)
  end
  if FINAL[a.state] then
    if not (before and FINAL[before]) then
      finish()
      publish('over')
    end
  elseif a.state == 'reserved' and a.deadline == '' then
    if not before then expire_in(RESERVED_MS) end
  else
    if before == 'reserved' then keep() end
    if a.user ~= '' and a.state ~= 'reserved' then redis.call('SET', USER .. a.user, a.id, 'NX') end
  end
end
