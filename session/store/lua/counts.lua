-- states -> how many are in each, in the order asked
forget_expired()
local counts = {}
for state in string.gmatch(a.states, '%S+') do counts[#counts + 1] = redis.call('ZCARD', STATE .. state) end
return counts
