-- Announces an upload unless there is a record already; returns the record.
-- ARGV: id, size, sha256, key set, lifetime of the upload in ms
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'size', ARGV[2], 'sha256', ARGV[3], 'key_set', ARGV[4],
    'present', '', 'unsealed', '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return redis.call('HMGET', KEYS[1], 'id', 'size', 'sha256', 'key_set', 'present', 'unsealed')
