"""The Lua scripts of the Redis store. Redis runs each as a whole: nothing comes between its commands.

They ask for no clock, and all keys that they touch are in ``KEYS``, so that they are safe for replication and Cluster.
A value holds its version, 16 characters, from its third byte on, as :func:`packed.pack` writes it.

An *index* is the sorted set of a user: its members are session keys. See ``index`` for their scores.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple

WORD_START = 2
WORD_LENGTH = 16

NEVER = 2**33
"""The score of an entry for a session that never expires: a time in the year 2242."""

CLOCKS = 86400
"""Seconds by which the clock of the server may be ahead of ours, before it would remove a set too early."""


class Script(NamedTuple):
    text: str
    sha: str


def _script(text: str) -> Script:
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_WORD = f"""
local function word(name) return redis.call('GETRANGE', name, {WORD_START}, {WORD_START + WORD_LENGTH - 1}) end
"""

# One command, so that what is refused has changed nothing.
_KEEP = """
local function keep(name, value, lasts)
  if lasts == '' then redis.call('SET', name, value) else redis.call('SET', name, value, 'PX', lasts) end
end
"""

# A set lives as long as the last of its entries, and without limit while one of them is negative or never expires.
_INDEX = f"""
local function live_as_long_as_its_entries(index)
  local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
  if not first[2] then return end
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
  if tonumber(first[2]) < 0 or tonumber(last[2]) >= {NEVER} then
    redis.call('PERSIST', index)
  else
    redis.call('PEXPIREAT', index, string.format('%.0f', (math.ceil(tonumber(last[2])) + {CLOCKS}) * 1000))
  end
end
local function add(index, key, score)
  local size = 0
  if redis.call('ZADD', index, score, key) == 1 then size = redis.call('ZCARD', index) end
  live_as_long_as_its_entries(index)
  return size
end
local function remove(index, key)
  redis.call('ZREM', index, key)
  live_as_long_as_its_entries(index)
end
"""

# KEYS: the session [, its user's index]. ARGV: version, value, milliseconds to keep it or '' [, session key, score].
# 0 if the key is taken, else 1 + the size of the index if it grew. It may run twice: what is there may be its own.
# A script that Redis refuses half-way is not undone. So the index comes first here too.
CREATE = _script(f"""{_WORD}{_KEEP}{_INDEX}
if redis.call('EXISTS', KEYS[1]) == 1 then
  return word(KEYS[1]) == ARGV[1] and 1 or 0
end
local size = KEYS[2] and add(KEYS[2], ARGV[4], ARGV[5]) or 0
keep(KEYS[1], ARGV[2], ARGV[3])
return 1 + size
""")

# KEYS: the session. ARGV: the version that it must have, value, milliseconds to keep it or ''.
UPDATE = _script(f"""{_WORD}{_KEEP}
if word(KEYS[1]) ~= ARGV[1] then return 0 end
keep(KEYS[1], ARGV[2], ARGV[3])
return 1
""")

# The same, with an index that the session is put into, or one that it is taken out of, or both in this order.
# ARGV, besides: session key, score or '' to put it into none, the number of the KEYS to take it out of or ''.
UPDATE_AND_INDEX = _script(f"""{_WORD}{_KEEP}{_INDEX}
if word(KEYS[1]) ~= ARGV[1] then return 0 end
local size = ARGV[5] ~= '' and add(KEYS[2], ARGV[4], ARGV[5]) or 0
keep(KEYS[1], ARGV[2], ARGV[3])
if ARGV[6] ~= '' then remove(KEYS[tonumber(ARGV[6])], ARGV[4]) end
return 1 + size
""")

# KEYS: the session [, its user's index]. ARGV: the version that it must have [, session key].
DELETE = _script(f"""{_WORD}{_INDEX}
if word(KEYS[1]) ~= ARGV[1] or redis.call('DEL', KEYS[1]) == 0 then return 0 end
if KEYS[2] then remove(KEYS[2], ARGV[2]) end
return 1
""")

# KEYS: an index. ARGV: session key, score. The size of the index if it grew, else 0.
ADD = _script(f"""{_INDEX}
return add(KEYS[1], ARGV[1], ARGV[2])
""")

# KEYS: an index. ARGV: for each entry its session key, the score that it must have, a new score or '' to remove it.
# An entry that changed since it was read stays as it is.
HEAL = _script(f"""{_INDEX}
for at = 1, #ARGV, 3 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if score and tonumber(score) == tonumber(ARGV[at + 1]) then
    if ARGV[at + 2] == '' then
      redis.call('ZREM', KEYS[1], ARGV[at])
    else
      redis.call('ZADD', KEYS[1], ARGV[at + 2], ARGV[at])
    end
  end
end
live_as_long_as_its_entries(KEYS[1])
return 1
""")
