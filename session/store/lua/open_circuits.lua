-- prefix -> {name, seconds to wait} of each open circuit whose name begins so, one after the other
local answer, time = {}, now()
for _, name in ipairs(redis.call('SMEMBERS', OPEN_CIRCUITS)) do
  if not redis.call('ZSCORE', CIRCUIT .. name, 'opened') then
    redis.call('SREM', OPEN_CIRCUITS, name)  -- it has expired
  elseif string.sub(name, 1, #a.prefix) == a.prefix then
    local at = redis.call('ZRANGE', CIRCUIT .. name, -1, -1, 'WITHSCORES')[2]
    local wait = tonumber(at) + CIRCUIT_SECONDS - time
    if wait > CIRCUIT_SECONDS then wait = 0 end  -- the clock was put back
    answer[#answer + 1] = name
    answer[#answer + 1] = string.format('%.6f', wait)
  end
end
return answer
