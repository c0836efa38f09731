-- limit -> ids
local due = {}
for _, id in ipairs(redis.call('ZRANGE', DUE, '-inf', string.format('%.6f', now()), 'BYSCORE', 'LIMIT', 0, a.limit)) do
  if redis.call('EXISTS', SESSION .. id) == 1 then due[#due + 1] = id else redis.call('ZREM', DUE, id) end
end
return due
