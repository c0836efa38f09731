"""The Lua scripts that keep circuits: closed, open, or with one probe under way; knows the keys of scripts.py."""

from __future__ import annotations

from session.scripts import BASE
from session.store import CIRCUIT_FAILURES, CIRCUIT_KEPT_SECONDS, CIRCUIT_SECONDS

_CIRCUIT = (
    BASE
    + f"local FAILURES, SECONDS, KEPT = {CIRCUIT_FAILURES}, {CIRCUIT_SECONDS:.0f}, {CIRCUIT_KEPT_SECONDS:.0f}"
    + """
local key, time = CIRCUIT .. a.circuit, now()
local opened, probe = unpack(redis.call('ZMSCORE', key, 'opened', 'probe'))

local function note(what)
  redis.call('ZADD', key, string.format('%.6f', time), what)
  redis.call('EXPIRE', key, KEPT)
end
"""
)

# circuit -> {seconds to wait, and when the probe was let through: "" for none}
PASS_CIRCUIT = (
    _CIRCUIT
    + """
if not opened then return {'0', ''} end
local wait = tonumber(probe or opened) + SECONDS - time
if wait > 0 and wait <= SECONDS then return {string.format('%.6f', wait), ''} end  -- more: the clock was put back
note('probe')
return {'0', string.format('%.6f', time)}
"""
)

# circuit, report, id, at (Unix seconds)
REPORT_CIRCUIT = (
    _CIRCUIT
    + """
local of_probe = probe and tonumber(a.at) >= tonumber(probe)
local function open()
  redis.call('DEL', key)
  note('opened')
end
if a.report == 'ready' then
  if of_probe then redis.call('DEL', key) end
elseif a.report == 'unused' then
  if probe and tonumber(a.at) == tonumber(probe) then redis.call('ZREM', key, 'probe') end
elseif opened then
  if of_probe then open() end
else
  redis.call('ZREMRANGEBYSCORE', key, '-inf', time - SECONDS)
  redis.call('ZADD', key, 'NX', string.format('%.6f', time), a.id)
  redis.call('EXPIRE', key, SECONDS)
  if redis.call('ZCARD', key) >= FAILURES then open() end
end
"""
)
