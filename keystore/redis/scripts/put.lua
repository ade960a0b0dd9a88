-- Compares a piece with what is stored, and stores it unless it is only to be compared; returns a verdict and the record.
-- ARGV: offset, piece, '1' to store or '0' to compare, length of a block, most separate ranges,
--       lifetime of the upload in ms
local size, present, unsealed = unpack(redis.call('HMGET', KEYS[1], 'size', 'present', 'unsealed'))
if not size then
  return {'unknown'}
end
local first, piece, block = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[4])
local last = first + #piece
if last > tonumber(size) then
  return {'outside'}
end

-- stretch calls visit(n, from, to) for the part of the bytes from first to last that each block n has.
local function stretch(first, last, visit)
  while first < last do
    local n = math.floor(first / block)
    local to = math.min(last, (n + 1) * block)
    if not visit(string.format('%.0f', n), first - n * block, to - n * block, first) then
      return false
    end
    first = to
  end
  return true
end

-- The bytes of the piece that are meant for from to to of the block whose part begins at offset.
local function part(offset, from, to)
  return string.sub(piece, offset - first + 1, offset - first + to - from)
end

-- Compare what is there, and merge the new range with those that it touches.
local merged, known, low, high, placed = {}, 0, first, last, false
local function add(b, e)
  merged[#merged + 1] = string.format('%.0f-%.0f', b, e)
end
for b, e in string.gmatch(present, '(%d+)-(%d+)') do
  b, e = tonumber(b), tonumber(e)
  local from, to = math.max(b, first), math.min(e, last)
  if from < to then
    known = known + to - from
    local same = stretch(from, to, function(n, begin, finish, offset)
      local stored = redis.call('HGET', KEYS[1], n) or ''
      return string.sub(stored, begin + 1, finish) == part(offset, begin, finish)
    end)
    if not same then
      return {'conflict'}
    end
  end
  if e < low then
    add(b, e)
  elseif b > high then
    if not placed then
      add(low, high)
      placed = true
    end
    add(b, e)
  else
    low, high = math.min(low, b), math.max(high, e)
  end
end
if not placed then
  add(low, high)
end
if #merged > tonumber(ARGV[5]) then
  return {'scattered'}
end

if ARGV[3] == '1' then
  if known < #piece then
    stretch(first, last, function(n, begin, finish, offset)
      local bytes = part(offset, begin, finish)
      if begin > 0 or finish < block then
        local stored = redis.call('HGET', KEYS[1], n) or ''
        stored = stored .. string.rep('\0', begin - #stored)
        bytes = string.sub(stored, 1, begin) .. bytes .. string.sub(stored, finish + 1)
      end
      redis.call('HSET', KEYS[1], n, bytes)
      return true
    end)
    redis.call('HSET', KEYS[1], 'present', table.concat(merged, ','))
  end
  if unsealed then
    redis.call('PEXPIRE', KEYS[1], ARGV[6])
  end
end
return {'ok', redis.call('HMGET', KEYS[1], 'id', 'size', 'sha256', 'key_set', 'present', 'unsealed')}
