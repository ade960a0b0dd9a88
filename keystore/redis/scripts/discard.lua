-- Removes an upload, never a key.
-- ARGV: id, or '' for whichever upload is there
local id, unsealed = unpack(redis.call('HMGET', KEYS[1], 'id', 'unsealed'))
if unsealed and (ARGV[1] == '' or ARGV[1] == id) then
  redis.call('UNLINK', KEYS[1])
end
return 0
