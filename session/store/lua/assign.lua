-- target:{id} of each worker: idle processes
redis.call('DEL', TARGETS)
for name, target in pairs(a) do
  if string.sub(name, 1, 7) == 'target:' then redis.call('HSET', TARGETS, string.sub(name, 8), target) end
end
