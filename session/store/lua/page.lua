-- states (separated by spaces), limit, score and id of the last session of the page before ("+inf" and "" at first)
-- -> {cursor's score ("" when that was all), cursor's id, then id, record, last_active of each session in turn}
local limit, last = tonumber(a.limit), tonumber(a.score)
if a.score == '+inf' then last = math.huge end
local rows = {}
local function collect(index)
  local taken, offset, batch = 0, 0, limit + 1
  while taken <= limit do
    local some = redis.call('ZRANGE', index, a.score, '-inf', 'BYSCORE', 'REV', 'LIMIT', offset, batch, 'WITHSCORES')
    for i = 1, #some, 2 do
      local id, at = some[i], tonumber(some[i + 1])
      local after = at < last or id < a.id
      if taken <= limit and after and redis.call('TYPE', SESSION .. id)['ok'] == 'hash' then
        taken = taken + 1
        rows[#rows + 1] = {id = id, at = at, score = some[i + 1]}
      end
    end
    if #some < 2 * batch then return end
    offset = offset + batch
  end
end
for state in string.gmatch(a.states, '%S+') do collect(STATE .. state) end
table.sort(rows, function(x, y)
  if x.at == y.at then return x.id > y.id end
  return x.at > y.at
end)
local answer = {'', ''}
if rows[limit + 1] then answer = {rows[limit].score, rows[limit].id} end
for i = 1, math.min(limit, #rows) do
  local kept = found(rows[i].id, rows[i].id)
  for j = 1, 3 do answer[#answer + 1] = kept[j] or '' end
end
return answer
