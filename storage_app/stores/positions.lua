-- Every change of a book of positions, each one atomic; mirrors contract/positions.py.
--
-- KEYS[1] book: a hash of one entry per code and _rev, _gen, _lease, _was, _inc_date
-- KEYS[2] applied fills and increments: a sorted set of identities by the day they were applied,
--         YYYYMMDD
-- ARGV    the host that takes the lease of a book that nobody holds, '' for none; operation; its
--         arguments (the first nine are its parameters)
-- An entry is days|max|min|volume|opened|flag: unknown is empty, prices are steps of 0.001
-- yuan, dates ISO. Each operation reads and checks before it writes, as Redis rolls nothing back.
-- An operation returns the revision, which rises by one with each change, and its answer; the
-- script puts in place of the revision {revision, revision before, generation, lease}.

local book, fills = KEYS[1], KEYS[2]
local CHUNK = 1000

local function revision()
    return tonumber(redis.call('HGET', book, '_rev') or 0)
end

local function parse(code, text)
    if not text then return nil end
    local days, max, min, volume, opened, flag =
        string.match(text, '^(%d*)|(%d*)|(%d*)|(%d*)|([%d-]*)|(%a*)$')
    if not days then error('damaged entry ' .. code .. ': ' .. text, 0) end
    return {days = days, max = max, min = min, volume = volume, opened = opened, flag = flag}
end

local function format(entry)
    return table.concat({entry.days, entry.max, entry.min, entry.volume, entry.opened,
        entry.flag}, '|')
end

local function blank(days, flag)
    return {days = days, max = '', min = '', volume = '', opened = '', flag = flag}
end

local function read(code)
    local text = redis.call('HGET', book, code)
    return parse(code, text), text
end

local function whole(number)
    return string.format('%d', number)
end

local function in_chunks(command, key, values)
    for first = 1, #values, CHUNK do
        redis.call(command, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
    end
end

local function next_revision()
    local number = redis.call('HINCRBY', book, '_rev', 1)
    if number == 1 then
        -- Tells a book that was lost and begun anew from the one a client remembers.
        local now = redis.call('TIME')
        redis.call('HSET', book, '_gen', now[1] .. '.' .. now[2])
    end
    return number
end

local function save(changes)
    if #changes == 0 then return revision() end
    in_chunks('HSET', book, changes)
    return next_revision()
end

local function put(code, entry, before)
    local text = format(entry)
    return save(text == before and {} or {code, text})
end


local function entries()
    local all, result = redis.call('HGETALL', book), {}
    for i = 1, #all, 2 do
        if string.byte(all[i]) ~= 95 then result[all[i]] = all[i + 1] end  -- 95 is '_'
    end
    return result
end

local function open_count()
    local count = 0
    for _, text in pairs(entries()) do
        if string.byte(text) ~= 124 then count = count + 1 end  -- 124 is '|': no days
    end
    return count
end

local function opened(before)
    if not before or before.flag == 'leftover' then return blank('0', '') end
    local entry = blank('0', before.flag)
    if before.volume ~= '0' then entry.volume = before.volume end
    return entry
end

local function sold(entry, volume)
    if entry.volume == '' then
        entry.flag = 'unconfirmed'
        return entry
    end
    local left = tonumber(entry.volume) - volume
    if left == 0 then return nil end
    if left < 0 then
        left, entry.flag = 0, 'oversold'
    end
    entry.volume = whole(left)
    return entry
end

local function after_fill(entry, side, volume, remaining, date)
    if remaining == '0' then return nil end
    if not entry then
        entry = blank('', '')
        entry.volume = '0'
    elseif entry.flag == 'leftover' then
        entry.volume = '0'
    end
    if side == 'BUY' and entry.days == '' then
        entry = opened(entry)
        entry.opened = date
        if entry.volume == '' then entry.volume = '0' end
    end
    if remaining ~= '' then
        entry.volume = remaining
        entry.flag = entry.days == '' and 'unconfirmed' or ''
        return entry
    end
    if side == 'SELL' then return sold(entry, tonumber(volume)) end
    if entry.volume ~= '' then entry.volume = whole(tonumber(entry.volume) + tonumber(volume)) end
    return entry
end

-- Adds before it removes: a server that is full refuses the first command only.
local function note(identity, today, kept_since)
    redis.call('ZADD', fills, today, identity)
    redis.call('ZREMRANGEBYSCORE', fills, '-inf', '(' .. kept_since)
end

local operations = {}

function operations.fill(code, side, volume, remaining, date, identity, today, kept_since)
    local entry, before = read(code)
    local applied = redis.call('ZSCORE', fills, identity)
    if applied and tonumber(applied) >= tonumber(kept_since) then
        return {revision(), before, 0}
    end
    note(identity, today, kept_since)
    local after = after_fill(entry, side, volume, remaining, date)
    local text = after and format(after)
    if after then redis.call('HSET', book, code, text) else redis.call('HDEL', book, code) end
    return {next_revision(), text or false, open_count()}
end

function operations.increment(date, today, kept_since)
    local done = redis.call('HGET', book, '_inc_date')
    if done and done >= date then return {revision(), 0} end
    local changes = {'_inc_date', date}
    for code, text in pairs(entries()) do
        local entry = parse(code, text)
        if entry.days ~= '' and (entry.opened == '' or entry.opened < date) then
            entry.days = whole(tonumber(entry.days) + 1)
            changes[#changes + 1] = code
            changes[#changes + 1] = format(entry)
        end
    end
    note('increment|' .. date, today, kept_since)
    return {save(changes), 1}
end

function operations.widen()
    local held, changes = entries(), {}
    for i = 3, #ARGV, 3 do
        local text = held[ARGV[i]]
        if text and string.byte(text) ~= 124 then
            local days, max, min, rest = string.match(text, '^(%d+)|(%d*)|(%d*)(|.*)$')
            if not days then parse(ARGV[i], text) end
            local high, low = tonumber(max), tonumber(min)
            local new_high, new_low = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
            local higher, lower = not high or new_high > high, not low or new_low < low
            if higher or lower then
                changes[#changes + 1] = ARGV[i]
                changes[#changes + 1] = days .. '|' .. (higher and ARGV[i + 1] or max)
                    .. '|' .. (lower and ARGV[i + 2] or min) .. rest
            end
        end
    end
    return {save(changes)}
end

function operations.age(code, days)
    local entry, before = read(code)
    if not entry then
        entry = blank(days, '')
    elseif entry.days == '' then
        local known = entry
        entry = blank(days, '')
        entry.max, entry.min = known.max, known.min
    else
        entry.days = days
    end
    return {put(code, entry, before), open_count()}
end

function operations.extreme(code, which, ticks)
    local entry, before = read(code)
    entry = entry or blank('', 'leftover')
    entry[which] = ticks
    return {put(code, entry, before)}
end

function operations.forget(code)
    if redis.call('HDEL', book, code) == 0 then return {revision()} end
    return {next_revision()}
end

function operations.open()
    local changes, codes = {}, {}
    for i = 3, #ARGV do
        local entry = read(ARGV[i])
        if not entry or entry.days == '' then
            codes[#codes + 1] = ARGV[i]
            changes[#changes + 1] = ARGV[i]
            changes[#changes + 1] = format(opened(entry))
        end
    end
    return {save(changes), codes, open_count()}
end

function operations.replace(date)
    local obsolete, changes, gone = entries(), {}, {}
    if date ~= '' then
        changes = {'_inc_date', date}
    else
        gone = {'_inc_date'}
    end
    for i = 4, #ARGV, 2 do
        obsolete[ARGV[i]] = nil
        changes[#changes + 1] = ARGV[i]
        changes[#changes + 1] = ARGV[i + 1]
    end
    for code in pairs(obsolete) do gone[#gone + 1] = code end
    in_chunks('HDEL', book, gone)
    in_chunks('HSET', book, changes)
    return {next_revision(), open_count()}
end

function operations.claim(host)
    local holder = redis.call('HGET', book, '_lease')
    if holder == host then return {revision(), holder} end
    redis.call('HSET', book, '_lease', host)
    return {next_revision(), holder or ''}
end

-- Puts a copy in place of all there is, unless the book has moved on from what the caller saw.
function operations.load(seen_generation, seen_revision, generation, number, lease, lineage, date,
                         fields)
    local found = redis.call('HGET', book, '_gen') or ''
    if found ~= seen_generation or revision() ~= tonumber(seen_revision) then
        return {revision(), 0}
    end
    local changes, applied = {'_gen', generation, '_rev', number}, {}
    for name, value in pairs({_lease = lease, _was = lineage, _inc_date = date}) do
        if value ~= '' then
            changes[#changes + 1] = name
            changes[#changes + 1] = value
        end
    end
    local first_applied = 11 + tonumber(fields)
    for i = 11, first_applied - 1 do changes[#changes + 1] = ARGV[i] end
    for i = first_applied, #ARGV do applied[#applied + 1] = ARGV[i] end
    redis.call('DEL', book, fills)
    in_chunks('HSET', book, changes)
    in_chunks('ZADD', fills, applied)
    return {tonumber(number), 1}
end

local claimant, before = ARGV[1], revision()
local answer = operations[ARGV[2]](unpack(ARGV, 3, 11))
local after, marks = answer[1], redis.call('HMGET', book, '_gen', '_lease')
if claimant ~= '' and after > 0 and not marks[2] then
    redis.call('HSET', book, '_lease', claimant)
    marks[2] = claimant
    if after == before then after = next_revision() end
end
answer[1] = {after, before, marks[1] or '', marks[2] or ''}
return answer
