-- wrk with a host of its own choice, uploads, and figures that a program can read.

-- Names under .localhost are not known to every resolver; all that this load is for is this machine.
function wrk.resolve(_, service)
    wrk.addrs = wrk.lookup("127.0.0.1", service)
end

-- `wrk … URL -- pause=5 upload=FILE`: each connection waits 5 ms before each request, which has the file as its body.
function init(args)
    local options = {}
    for _, argument in ipairs(args) do
        local key, value = argument:match("^(%w+)=(.*)$")
        options[key or ""] = value
    end
    local pause = tonumber(options.pause or 0)
    if pause > 0 then
        function delay()
            return pause
        end
    end
    if options.upload then
        local file = assert(io.open(options.upload, "rb"))
        wrk.method, wrk.body = "POST", file:read("*a")
        file:close()
    end
end

function done(summary, _, _)
    local e = summary.errors
    io.write(string.format(
        '\nFIGURES {"requests":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
        summary.requests, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout
    ))
end
