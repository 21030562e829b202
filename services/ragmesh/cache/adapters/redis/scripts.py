"""What Redis decides in one step, in its own language.

A kind of entry (answers, hits) has a memory of changes like the one of `adapters.invalidations`,
under keys that never expire, so that Redis, which may evict what expires, never forgets a part of
it. An entry is judged when it is kept and again when it is found: a change has nothing to drop.

Moments are microseconds, which a number of Lua holds exactly; they are compared as numbers and
stored as the text they came in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1

_ALWAYS = "#!lua flags=allow-oom\n"
"""Also where Redis has no room left: what is not heard for want of room would be served."""
_WITH_ROOM = "#!lua\n"

_LIFE = """
local now = tonumber(ARGV[1])

-- When the memory began: with the server, whose earlier life may have ended before a change was
-- written down, and with whoever emptied it.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local known = redis.call('HMGET', KEYS[1], 'run', 'since')
if known[1] ~= run or not known[2] then
  redis.call('HSET', KEYS[1], 'run', run, 'since', ARGV[1])
  known = {run, ARGV[1]}
end
local since, life = tonumber(known[2]), known[1] .. '/' .. known[2]
"""

_MEMORY = (
    _LIFE
    + """
local latest, floors, touched, sequences, heard = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local memory, collection_life, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function text(number) return string.format('%.0f', number) end

local function raise(key, name, sequence)
  local known = redis.call('HGET', key, name)
  if not known or tonumber(known) < tonumber(sequence) then
    redis.call('HSET', key, name, sequence)
  end
end

local function mention(collection, sequence)
  raise(latest, collection, sequence)
  redis.call('ZADD', touched, ARGV[1], collection)
end

local function overtaken(collection, sequence, tags)
  local floor = redis.call('HGET', floors, collection)
  if floor and sequence < tonumber(floor) then return true end
  for tag in string.gmatch(tags, '[^\\n]+') do
    local change = redis.call('HGET', sequences, collection .. '/' .. tag)
    if change and tonumber(change) > sequence then return true end
  end
  return false
end

local function grown(collection, sequence)
  local known = redis.call('HGET', latest, collection)
  return known and tonumber(known) > sequence
end

-- The oldest of a set: those before a moment, or as many as there are too many; a batch at most,
-- so that nobody waits long. What stays too long makes judgements stricter, never looser.
local function oldest(key, before, batch)
  local aged = redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. text(before), 'LIMIT', 0, batch)
  local over = math.min(redis.call('ZCARD', key) - most, batch)
  if over > #aged then return redis.call('ZRANGE', key, 0, over - 1), true end
  return aged, false
end

local function forget(batch)
  for _, change in ipairs((oldest(heard, now - memory, batch))) do
    local collection = string.match(change, '^[^/]*')
    local sequence = redis.call('HGET', sequences, change)
    if sequence and redis.call('HEXISTS', latest, collection) == 1 then
      raise(floors, collection, sequence)
    end
    redis.call('HDEL', sequences, change)
    redis.call('ZREM', heard, change)
  end
  local gone, for_want_of_room = oldest(touched, now - collection_life, batch)
  for _, collection in ipairs(gone) do
    redis.call('HDEL', latest, collection)
    redis.call('HDEL', floors, collection)
    redis.call('ZREM', touched, collection)
  end
  -- A collection that still mattered: what was read until now can no longer be judged.
  if for_want_of_room then
    redis.call('HSET', KEYS[1], 'since', ARGV[1])
    since, life = now, run .. '/' .. ARGV[1]
  end
end
"""
)

_JUDGE = (
    _MEMORY
    + """
local ttl, refresh = tonumber(ARGV[5]), tonumber(ARGV[6])

local function outdated(collection, sequence, moment)
  local age = now - moment
  return age >= ttl or (age > refresh and grown(collection, sequence))
end

local function refused(collection, sequence, tags, read)
  return read < now - memory or read <= since or overtaken(collection, sequence, tags)
end
"""
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name under which Redis remembers it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


BEGIN = Script(f"{_ALWAYS}{_LIFE}return life")
"""Begin the memory, if it has not begun. KEYS: life. ARGV: now."""

FIND = Script(
    _ALWAYS
    + _JUDGE
    + """
local found = redis.call(
  'HMGET', KEYS[7], 'life', 'collection', 'sequence', 'moment', 'tags', 'entry')
if not found[1] then return false end
local collection, sequence, moment = found[2], tonumber(found[3]), tonumber(found[4])
if found[1] ~= life or overtaken(collection, sequence, found[5])
  or outdated(collection, sequence, moment) then
  redis.call('UNLINK', KEYS[7])
  return false
end
return found[6]
"""
)
"""The entry that may be served. KEYS: the memory's, the entry's. ARGV: the limits."""

KEEP = Script(
    _WITH_ROOM
    + _JUDGE
    + """
local collection, sequence, read, tags = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
forget(100)
if refused(collection, sequence, tags, read) then return 0 end
local before = redis.call('HMGET', KEYS[7], 'life', 'sequence')
if before[1] == life and tonumber(before[2]) > sequence then
  return 2 -- a slower twin of the question: what is there was read later
end
mention(collection, ARGV[8])
local moment = read < now and ARGV[9] or ARGV[1]
redis.call('HSET', KEYS[7], 'life', life, 'collection', collection, 'sequence', ARGV[8],
  'moment', moment, 'tags', tags, 'entry', ARGV[11])
local left = math.ceil((ttl - (now - tonumber(moment))) / 1000)
redis.call('PEXPIRE', KEYS[7], text(math.max(1, left)))
return 1
"""
)
"""1 = kept, 0 = refused, 2 = not needed. ARGV: the limits, then what FIND reads."""

HOLDS = Script(
    _ALWAYS
    + _JUDGE
    + """
local collection, sequence, read, tags = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
if refused(collection, sequence, tags, read) then return 0 end
if outdated(collection, sequence, math.min(read, now)) then return 0 end
return 1
"""
)
"""1 = an entry of this read could be kept and found. ARGV: the limits, then the read."""

HEAR = Script(
    _ALWAYS
    + _MEMORY
    + """
for place = 7, #ARGV, 3 do
  local collection, document, sequence = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  mention(collection, sequence)
  if document == '' then
    raise(floors, collection, sequence)
  else
    local change = collection .. '/' .. document
    raise(sequences, change, sequence)
    redis.call('ZADD', heard, ARGV[1], change)
  end
end
forget(100 + #ARGV)
return 1
"""
)
"""Remember changes. ARGV: the limits, then collection, document and sequence of each."""

COUNT = Script(
    _ALWAYS
    + """
local entries, bytes, seen = 0, 0, 0
local function look(key)
  seen = seen + 1
  if string.sub(key, 1, #ARGV[1]) == ARGV[1] then
    entries = entries + 1
    bytes = bytes + (redis.call('MEMORY', 'USAGE', key) or 0)
  end
end
local all, most = redis.call('DBSIZE'), tonumber(ARGV[2])
if all <= most then
  local cursor = '0'
  repeat
    local page = redis.call('SCAN', cursor, 'COUNT', most)
    cursor = page[1]
    for _, key in ipairs(page[2]) do look(key) end
  until cursor == '0'
  return {entries, bytes}
end
for _ = 1, most do
  local key = redis.call('RANDOMKEY')
  if key then look(key) end
end
local share = all / math.max(1, seen)
return {math.floor(entries * share), math.floor(bytes * share)}
"""
)
"""Entries and bytes under a prefix: counted in a small database, else estimated from as many keys
as may be looked at. ARGV: prefix, most keys to look at."""
