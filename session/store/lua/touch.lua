-- id
local key = SESSION .. a.id
if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'last_active', string.format('%.6f', now())) end
