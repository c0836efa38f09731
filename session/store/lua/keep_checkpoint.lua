-- id, attempt, job, text -> 1, or 0 when the agent is not the current one of a live session
if not is_current() then
  local state = redis.call('HGET', SESSION .. a.id, 'state')
  if state and not FINAL[state] then redis.call('HINCRBY', TOTALS, 'refused_checkpoints', 1) end
  return 0
end
redis.call('SET', CHECKPOINT .. a.id, a.text)
return 1
