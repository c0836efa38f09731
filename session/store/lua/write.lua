-- as START, and expected: the revision that must be stored
-- -> {'done'} | {'again', record, last_active} | {'missing'} | {'conflict'} | {'full'}
-- include: put
local stored = redis.call('HMGET', key, 'rev', 'op', 'state')
if not stored[1] then return {'missing'} end
if stored[2] == a.op then return found('again', a.id) end
if stored[1] ~= a.expected then return {'conflict'} end
if full() then return {'full'} end
put(stored[3])
return {'done'}
