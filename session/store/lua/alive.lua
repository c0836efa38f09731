-- id, attempt, job -> 1, or 0 when the agent is not the current one of a live session
if not is_current() then return 0 end
redis.call('ZADD', CALLS, 'XX', string.format('%.6f', now()), a.id)
return 1
