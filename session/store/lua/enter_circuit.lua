-- circuit, id -> {seconds to wait, 1 for a probe}
-- include: circuit
if not opened then return {'0', 0} end
local last, at = unpack(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES'))
local wait = tonumber(at) + CIRCUIT_SECONDS - time
if wait > 0 and wait <= CIRCUIT_SECONDS then return {string.format('%.6f', wait), 0} end  -- more: the clock was put back
if last ~= 'opened' then redis.call('ZREM', key, last) end
note(a.id)
return {'0', 1}
