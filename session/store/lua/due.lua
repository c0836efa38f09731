-- limit -> id, record, last_active of each session in turn
local due = {}
for _, id in ipairs(redis.call('ZRANGE', DUE, '-inf', string.format('%.6f', now()), 'BYSCORE', 'LIMIT', 0, a.limit)) do
  if redis.call('TYPE', SESSION .. id)['ok'] == 'hash' then
    local kept = found(id, id)
    for i = 1, 3 do due[#due + 1] = kept[i] or '' end
  else
    redis.call('ZREM', DUE, id)
  end
end
return due
