"""What is kept in the store under which key, and the Lua scripts that change it in one step; knows no driver.

Every key begins with `greenroom:{namespace}:`, which the scripts get as KEYS[1]; they make the rest themselves, so the
store must be one server (with replicas), not a cluster. Their arguments are names and values in turn. No script reads
JSON: what it decides by is kept beside the record as fields of their own.
"""

from __future__ import annotations

from session.record import FINAL, SEATED, State
from session.store.ports import KEYED_SECONDS, LOG_LINES, OP_SECONDS, RESERVED_SECONDS, WORKER_SECONDS

# Each key is this name after the prefix, and where the name ends in a colon the id after it.
KEYS = {
    # hash: record (JSON of Session), rev, op (of the last write), state, attempt, job ("" for none), last_active (Unix
    # seconds, newer than the record's), counted (1 once it is in the totals). No expiry while live, RESERVED_SECONDS
    # while reserved and not under way, keep_seconds from its end on.
    "SESSION": "session:",
    # list of JSON of Utterance, oldest first. Expires with its session.
    "TRANSCRIPT": "transcript:",
    # list of "{Unix seconds} {JSON}", oldest first, at most LOG_LINES. Expires with its session.
    "LOG": "log:",
    # string: the id of the user's live session; the key's end is a digest of owner and user. Gone at the session's end.
    "USER": "user:",
    # string: the id of the session that the `start` with this op made, and after a space the fingerprint if it has one.
    # Expires after OP_SECONDS, or KEYED_SECONDS with a fingerprint.
    "OP": "op:",
    # set of the ids that hold a seat. No expiry; a session leaves it with the write that takes it out of SEATED.
    "SEATS": "seats",
    # sorted set of the ids in this state, by created_at. No expiry; trimmed of what has expired when counted.
    "STATE": "state:",
    # sorted set of the ids of sessions that will expire (reserved or ended), by the Unix time when they do. No expiry;
    # trimmed as that time passes.
    "EXPIRING": "expiring",
    # stream, one entry a call that ended, field `record` (JSON of Session). No expiry; the newest 100,000 or so.
    "OUTGOING": "outgoing",
    # hash: spawned, assigned (sessions that became ready), startup_seconds (their sum), refused_claims,
    # refused_checkpoints (those that changed nothing). No expiry.
    "TOTALS": "totals",
    # string: JSON of Worker. Expires after WORKER_SECONDS.
    "WORKER": "worker:",
    # sorted set of the ids of workers, by their last heartbeat. No expiry; trimmed after WORKER_SECONDS.
    "WORKERS": "workers",
    # sorted set of the ids of live sessions that somebody must look at, by their deadline. No expiry; a session leaves
    # it with the write that takes its deadline away.
    "DUE": "due",
    # sorted set of the ids of `ready` sessions, by the last sign of life of their agent. No expiry; as DUE.
    "CALLS": "calls",
    # stream, one entry an event, fields `kind` and `id`; read by the group `dispatchers`. The newest 10,000 or so.
    "EVENTS": "events",
    # hash: last (Unix seconds when somebody watched), until (before it nothing is concluded from silence). No expiry.
    "WATCH": "watch",
    # string: JSON of the conversation as its agent last wrote it down. Expires with its session.
    "CHECKPOINT": "checkpoint:",
    # string: a checkpoint that could not be read. Expires with its session, or after a day.
    "SPOILED": "spoiled:",
    # string "1": something that was seen. Expires after the seconds it was given.
    "SEEN": "seen:",
    # sorted set: ids of sessions whose start failed, by when (Unix seconds); or, once it is open, `opened` and the id
    # of the start that was let through. Expires after CIRCUIT_SECONDS, or CIRCUIT_KEPT_SECONDS once it is open.
    "CIRCUIT": "circuit:",
}


def _lua_set(states: frozenset[State]) -> str:
    return "{" + ", ".join(f"{state} = true" for state in sorted(states)) + "}"


BASE = "\n".join(
    [
        *(f"local {name} = KEYS[1] .. '{key}'" for name, key in KEYS.items()),
        f"local SEATED, FINAL = {_lua_set(SEATED)}, {_lua_set(FINAL)}",
        f"local RESERVED_MS, WORKER_MS, OP_MS = {RESERVED_SECONDS * 1e3:.0f}, {WORKER_SECONDS * 1e3:.0f}, "
        f"{OP_SECONDS * 1e3:.0f}",
        f"local KEYED_MS = {KEYED_SECONDS * 1e3:.0f}",
        f"local LOG_LINES = {LOG_LINES}",
        """
local a = {}
for i = 1, #ARGV, 2 do a[ARGV[i]] = ARGV[i + 1] end

local function now()  -- Unix seconds
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
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
""",
    ]
)

_PUT = (
    BASE
    + """
local key = SESSION .. a.id

local function full()
  return SEATED[a.state] and a.max_seats ~= '' and redis.call('SISMEMBER', SEATS, a.id) == 0
    and redis.call('SCARD', SEATS) >= tonumber(a.max_seats)
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
  if a.user ~= '' and redis.call('GET', USER .. a.user) == a.id then redis.call('DEL', USER .. a.user) end
  redis.call('XADD', OUTGOING, 'MAXLEN', '~', 100000, '*', 'record', a.record)
  expire_in(a.keep_ms)
  forget_expired()
end

local function tell(kind)
  redis.call('XADD', EVENTS, 'MAXLEN', '~', 10000, '*', 'kind', kind, 'id', a.id)
end

local function watch_over(before)  -- what the dispatchers look at, and what they are told
  if a.deadline == '' then
    redis.call('ZREM', DUE, a.id)
  else
    redis.call('ZADD', DUE, a.deadline, a.id)
    if tonumber(a.deadline) <= now() then tell('due') end
  end
  if a.state == 'ready' then
    redis.call('ZADD', CALLS, 'NX', now(), a.id)
    if before and before ~= 'ready' then tell('ready') end
  else
    redis.call('ZREM', CALLS, a.id)
  end
  if before and SEATED[before] and not SEATED[a.state] then tell('freed') end
end

local function put(before)  -- before: the state so far, false for a new session
  redis.call('HSET', key, 'record', a.record, 'rev', a.rev, 'op', a.op, 'state', a.state, 'attempt', a.attempt,
    'job', a.job)
  if before and before ~= a.state then redis.call('ZREM', STATE .. before, a.id) end
  redis.call('ZADD', STATE .. a.state, a.created_at, a.id)
  redis.call(SEATED[a.state] and 'SADD' or 'SREM', SEATS, a.id)
  watch_over(before)
  if a.startup ~= '' and redis.call('HSETNX', key, 'counted', 1) == 1 then
    redis.call('HINCRBY', TOTALS, 'assigned', 1)
    redis.call('HINCRBYFLOAT', TOTALS, 'startup_seconds', a.startup)
  end
  if FINAL[a.state] then
    if not (before and FINAL[before]) then finish() end
  elseif a.state == 'reserved' and a.deadline == '' then
    if not before then expire_in(RESERVED_MS) end
  else
    if before == 'reserved' then keep() end
    if a.user ~= '' and a.state ~= 'reserved' then redis.call('SET', USER .. a.user, a.id, 'NX') end
  end
end
"""
)

# id, rev, op, state, attempt, job, record, created_at, deadline ("" for none), startup ("" until ready),
# user (digest, "" for none), max_seats ("" for no limit), keep_ms; of START also fingerprint ("" for none)
# -> {'new'} | {'stands' or 'reused', record, last_active} | {'full'} | {'other'}
START = (
    _PUT
    + """
local known, asked = string.match(redis.call('GET', OP .. a.op) or a.id, '^(%S*) ?(.*)$')
if redis.call('EXISTS', SESSION .. known) == 1 then
  if asked ~= a.fingerprint and known ~= a.id then return {'other'} end
  return found('stands', known)
end
local function remember(id)
  if a.fingerprint ~= '' then
    redis.call('SET', OP .. a.op, id .. ' ' .. a.fingerprint, 'PX', KEYED_MS)
  else
    redis.call('SET', OP .. a.op, id, 'PX', OP_MS)
  end
end
if a.user ~= '' and a.state ~= 'reserved' then
  local theirs = redis.call('GET', USER .. a.user)
  if theirs then
    local state = redis.call('HGET', SESSION .. theirs, 'state')
    if state and not FINAL[state] then
      redis.call('HSET', SESSION .. theirs, 'last_active', string.format('%.6f', now()))
      if a.fingerprint ~= '' then remember(theirs) end
      return found('reused', theirs)
    end
    redis.call('DEL', USER .. a.user)
  end
end
if full() then return {'full'} end
remember(a.id)
put(false)
return {'new'}
"""
)

# as START, and expected: the revision that must be stored
# -> {'done'} | {'again', record, last_active} | {'missing'} | {'conflict'} | {'full'}
WRITE = (
    _PUT
    + """
local stored = redis.call('HMGET', key, 'rev', 'op', 'state')
if not stored[1] then return {'missing'} end
if stored[2] == a.op then return found('again', a.id) end
if stored[1] ~= a.expected then return {'conflict'} end
if full() then return {'full'} end
put(stored[3])
return {'done'}
"""
)

# id
TOUCH = (
    BASE
    + """
local key = SESSION .. a.id
if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'last_active', string.format('%.6f', now())) end
"""
)

# states (separated by spaces), limit, score and id of the last session of the page before ("+inf" and "" at first)
# -> {cursor's score ("" when that was all), cursor's id, then id, record, last_active of each session in turn}
PAGE = (
    BASE
    + """
local limit, last = tonumber(a.limit), tonumber(a.score)
if a.score == '+inf' then last = math.huge end
local rows = {}
local function collect(index)
  local taken, offset, batch = 0, 0, limit + 1
  while taken <= limit do
    local some = redis.call('ZRANGE', index, a.score, '-inf', 'BYSCORE', 'REV', 'LIMIT', offset, batch, 'WITHSCORES')
    for i = 1, #some, 2 do
      local id, at = some[i], tonumber(some[i + 1])
      local after = at < last or id < a.id
      if taken <= limit and after and redis.call('EXISTS', SESSION .. id) == 1 then
        taken = taken + 1
        rows[#rows + 1] = {id = id, at = at, score = some[i + 1]}
      end
    end
    if #some < 2 * batch then return end
    offset = offset + batch
  end
end
for state in string.gmatch(a.states, '%S+') do collect(STATE .. state) end
table.sort(rows, function(x, y)
  if x.at == y.at then return x.id > y.id end
  return x.at > y.at
end)
local answer = {'', ''}
if rows[limit + 1] then answer = {rows[limit].score, rows[limit].id} end
for i = 1, math.min(limit, #rows) do
  local kept = found(rows[i].id, rows[i].id)
  for j = 1, 3 do answer[#answer + 1] = kept[j] end
end
return answer
"""
)

# states -> how many are in each, in the order asked
COUNTS = (
    BASE
    + """
forget_expired()
local counts = {}
for state in string.gmatch(a.states, '%S+') do counts[#counts + 1] = redis.call('ZCARD', STATE .. state) end
return counts
"""
)

# id, attempt, job, utterance -> 1, or 0 when the agent is not the current one of a live session
SAY = (
    BASE
    + """
if not is_current() then return 0 end
redis.call('RPUSH', TRANSCRIPT .. a.id, a.utterance)
return 1
"""
)

# id, entry
NOTE = (
    BASE
    + """
local life = redis.call('PTTL', SESSION .. a.id)
if life == -2 then return end
redis.call('RPUSH', LOG .. a.id, string.format('%.6f ', now()) .. a.entry)
redis.call('LTRIM', LOG .. a.id, -LOG_LINES, -1)
if life > 0 then redis.call('PEXPIRE', LOG .. a.id, life) end
"""
)

# id, worker
BEAT = (
    BASE
    + """
redis.call('SET', WORKER .. a.id, a.worker, 'PX', WORKER_MS)
redis.call('ZADD', WORKERS, now(), a.id)
"""
)

# seen_within (seconds) -> JSON and seen_at of each worker in turn
SEEN_WORKERS = (
    BASE
    + """
local time, answer = now(), {}
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', time - WORKER_MS / 1e3)
local seen = redis.call('ZRANGE', WORKERS, time - a.seen_within, '+inf', 'BYSCORE', 'WITHSCORES')
for i = 1, #seen, 2 do
  local worker = redis.call('GET', WORKER .. seen[i])
  if worker then
    answer[#answer + 1] = worker
    answer[#answer + 1] = seen[i + 1]
  end
end
return answer
"""
)
