-- id, rev, op, state, attempt, job, record, created_at, deadline ("" for none), startup ("" until ready),
-- user (digest, "" for none), owner (digest, "" for none), max_seats ("" for no limit), keep_ms; of START also
-- fingerprint ("" for none), max_owned ("" for no limit)
-- -> {'new'} | {'stands' or 'reused', record, last_active} | {'missing'} (it is over) | {'full'} | {'owned'} | {'other'}
-- include: put
local known, asked = string.match(redis.call('GET', OP .. a.op) or a.id, '^(%S*) ?(.*)$')
if redis.call('EXISTS', SESSION .. known) == 1 then
  if asked ~= a.fingerprint and known ~= a.id then return {'other'} end
  return found('stands', known)
end
if redis.call('EXISTS', TOMB .. a.id) == 1 then return {'missing'} end
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
if owner_is_full() then return {'owned'} end
remember(a.id)
put(false)
return {'new'}
