//! What must happen in one step on the server, in Lua.
//!
//! All keys begin with [`PREFIX`]; `s:` a session, `i:` the sessions of a mark, `l:` a lock, `o:` what was used once,
//! `f` the last fence, `r` the stream of what has ended or changed. Digests are in hexadecimal. Times to live are relative:
//! the server's clock may differ from ours.

use std::sync::LazyLock;

use ::redis::Script;

/// Of every key. The number changes when an older replica would misread what is stored.
pub(super) const PREFIX: &str = "portcullis:2:";
/// The stream of what has ended or changed.
pub(super) const STREAM: &str = "portcullis:2:r";

/// Functions for the others.
const COMMON: &str = r"
local P = 'portcullis:2:'
local function drop(key)
  local marks = redis.call('HMGET', P..'s:'..key, 'u', 'p')
  for i = 1, 2 do
    if marks[i] then redis.call('ZREM', P..'i:'..marks[i], key) end
  end
  redis.call('DEL', P..'s:'..key, P..'l:'..key)
end
local function tell(mark, not_before, ends, kept)
  local first = (tonumber(redis.call('TIME')[1]) - tonumber(kept)) * 1000
  redis.call('XADD', P..'r', 'MINID', '~', string.format('%.0f', math.max(first, 0)), '*',
    'm', mark, 'n', not_before, 'u', ends)
end
local function write(key, value, fence, seen, u, p, now, expires)
  local time = tonumber(expires) - tonumber(now)
  if time <= 0 then return drop(key) end
  local s = P..'s:'..key
  local former = redis.call('HMGET', s, 'u', 'p')
  -- First of all what a full server refuses: it refuses nothing any more once a script has written.
  redis.call('HSET', s, 'v', value, 'f', fence, 'n', seen, 'u', u, 'p', p)
  redis.call('EXPIRE', s, time)
  for i = 1, 2 do
    if former[i] then redis.call('ZREM', P..'i:'..former[i], key) end
  end
  for _, mark in ipairs({u, p}) do
    if mark ~= '' then
      local i = P..'i:'..mark
      redis.call('ZREMRANGEBYSCORE', i, '-inf', now)
      redis.call('ZADD', i, expires, key)
      if redis.call('TTL', i) < time then redis.call('EXPIRE', i, time) end
    end
  end
end
local function first(once, time)
  return redis.call('SET', P..'o:'..once, '1', 'NX', 'EX', math.max(tonumber(time), 1))
end
";

fn script(body: &str) -> Script {
    Script::new(&format!("{COMMON}{body}"))
}

/// key, value, u, p, now, expires; key that it replaces, its mark, `not_before`, ends, kept
pub(super) static PUT: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local key, value, u, p, now, expires, former = unpack(ARGV, 1, 7)
write(key, value, '0', now, u, p, now, expires)
if former ~= '' then
  drop(former)
  tell(ARGV[8], ARGV[9], ARGV[10], ARGV[11])
end
return 1
",
    )
});

/// key, value, u, p, now, expires, fence; its mark, `not_before`, ends, kept. 0: gone, 1: stored, 2: superseded
pub(super) static PUT_FENCED: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local key, value, u, p, now, expires, fence = unpack(ARGV, 1, 7)
local known = redis.call('HMGET', P..'s:'..key, 'f', 'n')
if not known[1] then return 0 end
if tonumber(known[1]) > tonumber(fence) then return 2 end
write(key, value, fence, known[2], u, p, now, expires)
tell(ARGV[8], ARGV[9], ARGV[10], ARGV[11])
return 1
",
    )
});

/// key; its mark, `not_before`, ends, kept
pub(super) static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop(ARGV[1])
tell(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
return 1
",
    )
});

/// now; for each session: key, when, expires
pub(super) static SEEN: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
for at = 2, #ARGV, 3 do
  local s = P..'s:'..ARGV[at]
  local known = redis.call('HGET', s, 'n')
  if known and tonumber(known) < tonumber(ARGV[at + 1]) then
    redis.call('HSET', s, 'n', ARGV[at + 1])
    local time = math.max(tonumber(ARGV[at + 2]) - tonumber(ARGV[1]), 1)
    redis.call('EXPIRE', s, time)
    for _, mark in ipairs(redis.call('HMGET', s, 'u', 'p')) do
      if mark and mark ~= '' then
        local i = P..'i:'..mark
        redis.call('ZADD', i, ARGV[at + 2], ARGV[at])
        if redis.call('TTL', i) < time then redis.call('EXPIRE', i, time) end
      end
    end
  end
end
return 1
",
    )
});

/// key, milliseconds. 0: held by another one, else the fence
pub(super) static LOCK: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local l = P..'l:'..ARGV[1]
if redis.call('EXISTS', l) == 1 then return 0 end
local fence = redis.call('INCR', P..'f')
redis.call('SET', l, fence, 'PX', ARGV[2])
return fence
",
    )
});

/// key, fence
pub(super) static UNLOCK: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local l = P..'l:'..ARGV[1]
if redis.call('GET', l) == ARGV[2] then redis.call('DEL', l) end
return 1
",
    )
});

/// To end sessions is never refused: the first command makes room, and after it a full server refuses nothing.
/// what is used once or nothing, seconds; a mark, `not_before`, ends, kept. 0: used before
pub(super) static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if ARGV[1] ~= '' and not first(ARGV[1], ARGV[2]) then return 0 end
for _, key in ipairs(redis.call('ZRANGE', P..'i:'..ARGV[3], 0, -1)) do drop(key) end
redis.call('DEL', P..'i:'..ARGV[3])
tell(ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 1
",
    )
});

/// The same on the word of anybody: nothing is kept where no session has the mark.
/// a mark, `not_before`, ends, kept. 0: none has it
pub(super) static REVOKE_STORED: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local i = P..'i:'..ARGV[1]
if redis.call('EXISTS', i) == 0 then return 0 end
for _, key in ipairs(redis.call('ZRANGE', i, 0, -1)) do drop(key) end
redis.call('DEL', i)
tell(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1
",
    )
});

/// what is used once, seconds. 0: used before
pub(super) static FIRST_USE: LazyLock<Script> =
    LazyLock::new(|| script("if first(ARGV[1], ARGV[2]) then return 1 end\nreturn 0\n"));
