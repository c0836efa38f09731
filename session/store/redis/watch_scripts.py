"""The Lua scripts by which no session is forgotten: deadlines, signs of life, events; knows the keys of scripts.py."""

from __future__ import annotations

from session.store.redis.scripts import BASE

# id -> {} or {record, last_active, Unix seconds}
LOOK = (
    BASE
    + """
local kept = redis.call('HMGET', SESSION .. a.id, 'record', 'last_active')
if not kept[1] then return {} end
return {kept[1], kept[2] or '0', string.format('%.6f', now())}
"""
)

# limit -> ids
DUE = (
    BASE
    + """
local due = {}
for _, id in ipairs(redis.call('ZRANGE', DUE, '-inf', string.format('%.6f', now()), 'BYSCORE', 'LIMIT', 0, a.limit)) do
  if redis.call('EXISTS', SESSION .. id) == 1 then due[#due + 1] = id else redis.call('ZREM', DUE, id) end
end
return due
"""
)

# id, attempt, job -> 1, or 0 when the agent is not the current one of a live session
ALIVE = (
    BASE
    + """
if not is_current() then return 0 end
redis.call('ZADD', CALLS, 'XX', string.format('%.6f', now()), a.id)
return 1
"""
)

# seconds -> ids
SILENT = (
    BASE
    + """
return redis.call('ZRANGE', CALLS, '-inf', string.format('%.6f', now() - a.seconds), 'BYSCORE')
"""
)

# gap, window (seconds) -> seconds for which nothing may be concluded
WATCH = (
    BASE
    + """
local time = now()
local last, until_ = unpack(redis.call('HMGET', WATCH, 'last', 'until'))
if not last or time - tonumber(last) > tonumber(a.gap) then until_ = time + a.window end
redis.call('HSET', WATCH, 'last', string.format('%.6f', time), 'until', string.format('%.6f', until_ or 0))
return string.format('%.6f', math.max(0, tonumber(until_ or 0) - time))
"""
)

# id, seconds
GONE = (
    BASE
    + """
redis.call('ZADD', WORKERS, 'XX', string.format('%.6f', now() - a.seconds), a.id)
"""
)

# -> how many seats were given back
MEND_SEATS = (
    BASE
    + """
local mended = 0
for _, id in ipairs(redis.call('SMEMBERS', SEATS)) do
  local state = redis.call('HGET', SESSION .. id, 'state')
  if not state or not SEATED[state] then
    redis.call('SREM', SEATS, id)
    mended = mended + 1
  end
end
return mended
"""
)

# id, attempt, job, text -> 1, or 0 when the agent is not the current one of a live session
KEEP_CHECKPOINT = (
    BASE
    + """
if not is_current() then
  local state = redis.call('HGET', SESSION .. a.id, 'state')
  if state and not FINAL[state] then redis.call('HINCRBY', TOTALS, 'refused_checkpoints', 1) end
  return 0
end
redis.call('SET', CHECKPOINT .. a.id, a.text)
return 1
"""
)

# id, life_ms
SET_ASIDE = (
    BASE
    + """
if redis.call('EXISTS', CHECKPOINT .. a.id) == 1 then
  redis.call('RENAME', CHECKPOINT .. a.id, SPOILED .. a.id)
  redis.call('PEXPIRE', SPOILED .. a.id, a.life_ms)
end
"""
)
