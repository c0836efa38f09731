-- -> how many seats were given back
local mended = 0
for _, id in ipairs(redis.call('SMEMBERS', SEATS)) do
  local state = redis.call('HGET', SESSION .. id, 'state')
  if not state or not SEATED[state] then
    redis.call('SREM', SEATS, id)
    mended = mended + 1
  end
end
return mended
