import RoostPlatform

/// Puts, reads and own locks: every slot asks for itself.
struct KeyRun {
  let options: LoadOptions
  let target: [SocketAddress]

  func run() throws(LoadError) -> JSONLine {
    if options.fills, options.verb.needsKeys {
      try Fill(options: options, target: target).run()
    }
    let load = try Load(options)
    load.addLinks(options.connections, to: target)
    try load.connect()
    defer { load.close() }
    let measurement = try Self.measure(load)
    try load.drain()
    try load.sayGoodbye()
    return measurement.report(options, load.tally)
  }

  /// Lets every slot work through the warm-up, and then counts.
  static func measure(_ load: Load) throws(LoadError) -> Measurement {
    let options = load.options
    var progress = Progress(options.verb.rawValue, isQuiet: options.isQuiet, now: load.now)
    defer { progress.end() }
    load.readClock()
    let start = load.now
    let begin = start + UInt64(max(options.warmUp, 0) * 1e9)
    let end = begin + UInt64(options.seconds * 1e9)
    let schedule = options.rate.map { Schedule(perSecond: $0, start: start) }
    try load.start(schedule.map { .open($0) } ?? .closed)
    while load.now < begin {
      try load.turn(until: min(begin, wakeUp(load)))
      try progress.look(load.tally, now: load.now)
    }
    var measurement = Measurement(options, load.tally)
    load.tally.beginMeasuring()
    while load.now < end {
      try load.turn(until: min(end, wakeUp(load)))
      try progress.look(load.tally, now: load.now)
    }
    measurement.end(load.tally)
    if case .open(let schedule) = load.feed { measurement.backlog = schedule.backlog(at: load.now) }
    load.tally.isMeasuring = false
    return measurement
  }

  /// When the engine has to look again at the latest: at the next arrival, if a slot is free for it.
  private static func wakeUp(_ load: Load) -> UInt64 {
    let look = load.now + 100_000_000
    guard case .open(let schedule) = load.feed, !load.idle.isEmpty else { return look }
    return min(look, schedule.next)
  }
}

/// Writes every key once, with enough under way to be quick.
struct Fill {
  let options: LoadOptions
  let target: [SocketAddress]

  /// Answers how long it took, in seconds.
  @discardableResult
  func run() throws(LoadError) -> (seconds: Double, tally: Tally) {
    var options = options
    options.clients = min(max(options.clients, 500), Int(clamping: options.keys))
    options.connections = min(max(options.connections, 50), options.clients)
    let load = try Load(options)
    load.isFilling = true
    load.addLinks(options.connections, to: target)
    try load.connect()
    defer { load.close() }
    var progress = Progress("fill", isQuiet: options.isQuiet, now: load.now)
    defer { progress.end() }
    load.readClock()
    let start = load.now
    load.tally.beginMeasuring()
    try load.start(.fill)
    while load.idle.count < load.slotCount {
      try load.turn(until: load.now + 100_000_000)
      try progress.look(load.tally, now: load.now)
    }
    let seconds = Double(load.now - start) / 1e9
    guard load.tally.errors == 0 else {
      throw LoadError("\(load.tally.errors) keys were not written: \(load.tally.lastError)")
    }
    try load.sayGoodbye()
    return (seconds, load.tally)
  }
}
