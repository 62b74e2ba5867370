import Glibc
import RoostPlatform

/// One writer, and many who are told: how many events a second, and how late.
struct WatchRun {
  let options: LoadOptions
  let target: [SocketAddress]

  func run() throws(LoadError) -> JSONLine {
    // The key has to be there, for systems that watch what is.
    var first = options
    first.keys = 100
    first.clients = 1
    try Fill(options: first, target: target).run()

    try awaitAll(within: 20)
    let load = try Load(options)
    load.addLinks(options.connections, to: target)
    let each = min(options.system.watchesAConnection, (options.watchers + 99) / 100)
    let connections = (options.watchers + each - 1) / each
    load.addLinks(connections, to: options.endpoints, areWatchers: true)
    try load.connect(within: 40)
    defer { load.close() }
    try subscribe(load, each)
    let measurement = try KeyRun.measure(load)
    var line = measurement.report(options, load.tally)
    line.add("watchers", options.watchers)
    line.add("watcher_connections", connections)
    line.add("events", load.tally.events.count)
    line.add("events_per_second", Double(load.tally.events.count) / measurement.seconds, digits: 0)
    line.add("event_", load.tally.events)
    let events = Double(max(load.tally.events.count, 1))
    line.add("server_cpu_us_per_event", measurement.serverSeconds / events * 1e6, digits: 3)
    try load.drain()
    let heard = load.links.flatMap(\.heard)
    if let least = heard.min(), let most = heard.max() {
      line.add("watcher_events_min", least)
      line.add("watcher_events_max", most)
    }
    try load.sayGoodbye()
    return line
  }

  /// Waits until every server takes connections: one that has just started may not, though the others have a leader.
  private func awaitAll(within seconds: UInt64) throws(LoadError) {
    let load = try Load(options)
    load.toleratesBreaks = true
    load.addLinks(options.endpoints.count, to: options.endpoints, areWatchers: true)
    defer { load.close() }
    load.readClock()
    let deadline = load.now + seconds * 1_000_000_000
    while let waiting = load.links.first(where: { !$0.isReady }) {
      for link in load.links where link.isClosed {
        usleep(2000)
        do throws(SystemError) { try link.open() } catch { throw LoadError("\(error)") }
      }
      try load.turn(until: load.now + 10_000_000)
      guard load.now < deadline else {
        throw LoadError("\(waiting.address) takes no connection: \(load.tally.lastError)")
      }
    }
  }

  private func subscribe(_ load: Load, _ each: Int) throws(LoadError) {
    var left = options.watchers
    for link in load.links where link.isWatcher {
      try link.subscribe(min(each, left))
      left -= min(each, left)
      try link.flush()
    }
    load.readClock()
    let deadline = load.now + 30_000_000_000
    while load.links.reduce(0, { $0 + $1.confirmedWatches }) < options.watchers {
      try load.turn(until: load.now + 10_000_000)
      let confirmed = load.links.reduce(0) { $0 + $1.confirmedWatches }
      guard load.now < deadline else {
        throw LoadError("only \(confirmed) of \(options.watchers) watches were confirmed in 30 s")
      }
    }
  }
}
