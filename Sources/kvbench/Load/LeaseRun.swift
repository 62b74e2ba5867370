import RoostPlatform

/// Leases: granted by a few clients, and then all of them renewed as fast as answers come, one in each request.
struct LeaseRun {
  let options: LoadOptions
  let target: [SocketAddress]

  func run() throws(LoadError) -> [JSONLine] {
    var all = options
    all.clients = options.leases
    all.connections = min(max(options.connections, 100), all.clients)
    let load = try Load(all)
    load.addLinks(all.connections, to: target)
    try load.connect()
    defer { load.close() }
    let granted = try grant(load)
    let renewed = try KeyRun.measure(load)
    var line = renewed.report(all, load.tally)
    line.add("leases", options.leases)
    try load.drain()
    try load.sayGoodbye()
    return [granted, line]
  }

  /// Grants every slot its lease, with as many requests under way as there are clients.
  private func grant(_ load: Load) throws(LoadError) -> JSONLine {
    var progress = Progress("grant", isQuiet: options.isQuiet, now: load.now)
    defer { progress.end() }
    load.feed = .nothing
    load.readClock()
    var measurement = Measurement(load.options, load.tally)
    load.tally.beginMeasuring()
    var next = 0
    while load.tally.done < UInt64(options.leases) {
      guard load.tally.errors == 0 else {
        throw LoadError("a lease was not granted: \(load.tally.lastError)")
      }
      while next < options.leases, next < Int(load.tally.done) + options.clients {
        try load.issue(next, .grantLease, at: load.now, on: load.link(of: next))
        next += 1
      }
      try load.flushTouched()
      try load.turn(until: load.now + 100_000_000)
      try progress.look(load.tally, now: load.now)
    }
    measurement.end(load.tally)
    load.tally.isMeasuring = false
    var line = measurement.report(options, load.tally)
    line.add("part", "grant")
    return line
  }
}
