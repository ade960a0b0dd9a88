-- Begins the lifetime anew; returns the record.
-- ARGV: lifetime of a key in ms or '0', the same of an upload
local record = redis.call('HMGET', KEYS[1], 'id', 'size', 'sha256', 'key_set', 'present', 'unsealed')
local lifetime = record[6] and ARGV[2] or ARGV[1]
if record[1] and lifetime ~= '0' then
  redis.call('PEXPIRE', KEYS[1], lifetime)
end
return record
