-- Makes an upload a key if it is still the same; returns whether it is. Removing a field works also when memory is full.
-- ARGV: id, lifetime of a key in ms or '0'
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return 0
end
if redis.call('HDEL', KEYS[1], 'unsealed') == 1 then
  if ARGV[2] == '0' then
    redis.call('PERSIST', KEYS[1])
  else
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
end
return 1
