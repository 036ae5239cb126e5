-- Each request has the next of the cookies in a file, and the last lines say what was answered, as JSON.
local cookies, number = {}, 0

function init(arguments)
   for line in io.lines(arguments[1]) do
      cookies[#cookies + 1] = line
   end
end

function request()
   number = number % #cookies + 1
   return wrk.format(nil, nil, {["Cookie"] = cookies[number], ["Host"] = "localhost"})
end

function done(summary, latency, requests)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "failed": %d, "p99": %d}\n',
      summary.requests, summary.duration, failed, latency:percentile(99)))
end
