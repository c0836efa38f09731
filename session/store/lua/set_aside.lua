-- id, life_ms
if redis.call('EXISTS', CHECKPOINT .. a.id) == 1 then
  redis.call('RENAME', CHECKPOINT .. a.id, SPOILED .. a.id)
  redis.call('PEXPIRE', SPOILED .. a.id, a.life_ms)
end
