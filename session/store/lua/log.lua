-- id, entry
local life = redis.call('PTTL', SESSION .. a.id)
if life == -2 then return end
redis.call('RPUSH', LOG .. a.id, string.format('%.6f ', now()) .. a.entry)
redis.call('LTRIM', LOG .. a.id, -LOG_LINES, -1)
if life > 0 then redis.call('PEXPIRE', LOG .. a.id, life) end
