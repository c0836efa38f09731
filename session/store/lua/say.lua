-- id, attempt, job, utterance -> 1, or 0 when the agent is not the current one of a live session
if not is_current() then return 0 end
redis.call('RPUSH', TRANSCRIPT .. a.id, a.utterance)
return 1
