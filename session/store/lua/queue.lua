-- -> id, record, last_active of each session that waits, the oldest first
local waiting = {}
for _, id in ipairs(redis.call('ZRANGE', STATE .. 'queued', 0, -1)) do
  if redis.call('TYPE', SESSION .. id)['ok'] == 'hash' then
    local kept = found(id, id)
    for i = 1, 3 do waiting[#waiting + 1] = kept[i] or '' end
  else
    redis.call('ZREM', STATE .. 'queued', id)
  end
end
return waiting
