-- wrk with a host of its own choice, and figures that a program can read.

-- Names under .localhost are not known to every resolver; all that this load is for is this machine.
function wrk.resolve(_, service)
    wrk.addrs = wrk.lookup("127.0.0.1", service)
end

-- `wrk … URL -- 5`: each connection waits 5 ms before each request.
function init(args)
    local pause = tonumber(args[1])
    if pause then
        function delay()
            return pause
        end
    end
end

function done(summary, _, _)
    local e = summary.errors
    io.write(string.format(
        '\nFIGURES {"requests":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
        summary.requests, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout
    ))
end
