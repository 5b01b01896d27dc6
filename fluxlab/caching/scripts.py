"""The few Lua scripts: what has to be one step in the server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from fluxlab.caching.wire import Command, Word


@dataclass(frozen=True, slots=True)
class Script:
    """A script, sent by its hash; whole when the server has lost it (NOSCRIPT)."""

    text: str = field(repr=False)
    keys: int
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)

    def call(self, *words: Word) -> Command:
        """Return the command: keys first, then arguments."""
        return ("EVALSHA", self.sha, self.keys, *words)

    def whole(self, command: Command) -> Command:
        """Return the same command with the text in place of the hash."""
        return ("EVAL", self.text, *command[2:])


#: Store an entry. Keys: entry, lease, the key's own version. Arguments: the lease's token,
#: the entry, its life in ms, the version it was loaded under, that version's life in ms.
#: The version is given a longer life than the entry, or the entry would die with it.
FILL = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('GET', KEYS[3]) ~= ARGV[4] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return 1
""",
    keys=3,
)

#: Give a lease back. Key: lease. Argument: its token.
RELEASE = Script(
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""",
    keys=1,
)

#: Forget a version, so that every entry loaded under it is dead. Keys: the version, and
#: the entry of the same key, whose room is given back. Argument: the barrier to take away,
#: or nothing. Returns how many entries went. Under a barrier of somebody else nothing is
#: valid, and when it goes the version goes with it; so it stays. Deleting needs no memory,
#: so this works on a server that is full.
FORGET = Script(
    """
local version = redis.pcall('GET', KEYS[1])
local entries = redis.call('UNLINK', KEYS[2])
if type(version) ~= 'string' or string.sub(version, 1, 1) ~= '!' then
  redis.call('DEL', KEYS[1])
  return entries
end
local at = ARGV[1] ~= '' and string.find(version, ARGV[1], 1, true)
if not at then return entries end
local rest = string.sub(version, 1, at - 1) .. string.sub(version, at + #ARGV[1])
if rest == '' then
  redis.call('DEL', KEYS[1])
else
  redis.pcall('SET', KEYS[1], rest, 'KEEPTTL')
end
return entries
""",
    keys=2,
)

#: Raise a barrier, or renew it. Key: version. Arguments: the barrier, its life in ms. One
#: version holds the barriers of all its writers, each nine bytes.
BAR = Script(
    """
local version = redis.pcall('GET', KEYS[1])
if type(version) == 'string' and string.sub(version, 1, 1) == '!' then
  if not string.find(version, ARGV[1], 1, true) then version = version .. ARGV[1] end
else
  version = ARGV[1]
end
redis.call('SET', KEYS[1], version, 'PX', ARGV[2])
return 1
""",
    keys=1,
)
