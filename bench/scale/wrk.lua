-- Requests to tenants in turn, so that each of them is called again and again. `wrk … URL -- 10000 2 5`: 10,000 tenants,
-- 2 threads that share them, 5 ms before each request of a connection.

local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

-- Names under .localhost are not known to every resolver; all that this load is for is this machine.
function wrk.resolve(_, service)
    wrk.addrs = wrk.lookup("127.0.0.1", service)
end

function init(args)
    tenants, step, pause = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
    at = number
end

function delay()
    return pause
end

function request()
    at = (at + step) % tenants
    return "GET /100 HTTP/1.1\r\nHost: tenant-" .. at .. ".bench.localhost\r\n\r\n"
end

function done(summary, _, _)
    local e = summary.errors
    io.write(string.format(
        '\nFIGURES {"requests":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
        summary.requests, e.connect, e.read, e.write, e.status, e.timeout
    ))
end
