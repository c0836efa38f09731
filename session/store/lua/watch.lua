-- gap, window (seconds) -> seconds for which nothing may be concluded
local time = now()
local last, until_ = unpack(redis.call('HMGET', WATCH, 'last', 'until'))
if not last or time - tonumber(last) > tonumber(a.gap) then until_ = time + a.window end
redis.call('HSET', WATCH, 'last', string.format('%.6f', time), 'until', string.format('%.6f', until_ or 0))
return string.format('%.6f', math.max(0, tonumber(until_ or 0) - time))
