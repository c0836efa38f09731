"""The Lua scripts that keep circuits: closed, open, or with one probe under way; knows the keys of scripts.py."""

from __future__ import annotations

from session.store.ports import CIRCUIT_FAILURES, CIRCUIT_KEPT_SECONDS, CIRCUIT_SECONDS
from session.store.redis.scripts import BASE

_CIRCUIT = (
    BASE
    + f"local FAILURES, SECONDS, KEPT = {CIRCUIT_FAILURES}, {CIRCUIT_SECONDS:.0f}, {CIRCUIT_KEPT_SECONDS:.0f}"
    + """
local key, time = CIRCUIT .. a.circuit, now()
local opened = redis.call('ZSCORE', key, 'opened')

local function note(what)
  redis.call('ZADD', key, string.format('%.6f', time), what)
  redis.call('EXPIRE', key, KEPT)
end
"""
)

# circuit, id -> {seconds to wait, 1 for a probe}
PASS_CIRCUIT = (
    _CIRCUIT
    + """
if not opened then return {'0', 0} end
local last, at = unpack(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES'))
local wait = tonumber(at) + SECONDS - time
if wait > 0 and wait <= SECONDS then return {string.format('%.6f', wait), 0} end  -- more: the clock was put back
if last ~= 'opened' then redis.call('ZREM', key, last) end
note(a.id)
return {'0', 1}
"""
)

# circuit, report, id
REPORT_CIRCUIT = (
    _CIRCUIT
    + """
local function open()
  redis.call('DEL', key)
  note('opened')
end
if opened then
  if not redis.call('ZSCORE', key, a.id) then return end  -- not the probe
  if a.report == 'failed' then
    open()
  elseif a.report == 'ready' then
    redis.call('DEL', key)
  else
    redis.call('ZREM', key, a.id)
  end
elseif a.report == 'failed' then
  redis.call('ZREMRANGEBYSCORE', key, '-inf', time - SECONDS)
  redis.call('ZADD', key, 'NX', string.format('%.6f', time), a.id)
  redis.call('EXPIRE', key, SECONDS)
  if redis.call('ZCARD', key) >= FAILURES then open() end
end
"""
)
