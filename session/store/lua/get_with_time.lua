-- id -> {} or {record, last_active, Unix seconds}
local kept = redis.call('HMGET', SESSION .. a.id, 'record', 'last_active')
if not kept[1] then return {} end
return {kept[1], kept[2] or '0', string.format('%.6f', now())}
