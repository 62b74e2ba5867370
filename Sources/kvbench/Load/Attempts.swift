import RoostPlatform

/// Writes that are tried at every endpoint again and again, whatever breaks: until one succeeds.
struct Attempts {
  private let load: Load
  private let interval: UInt64
  private var next: UInt64

  /// When the first write succeeded that began at or after `since`.
  private final class Found {
    var moment: UInt64?
    var since = UInt64.max
  }

  private let found = Found()

  init(_ options: LoadOptions, interval: Duration) throws(LoadError) {
    var options = options
    // As many as a link may have under way within a few seconds.
    options.connections = options.endpoints.count
    options.clients = 400 * options.connections
    load = try Load(options)
    load.toleratesBreaks = true
    load.addLinks(options.connections, to: options.endpoints)
    self.interval = UInt64(interval.components.attoseconds / 1_000_000_000)
    next = load.now
    let (found, load) = (found, load)
    load.observer = { slot, isDone in
      guard isDone, found.moment == nil, load.slots[slot].intended >= found.since else { return }
      found.moment = load.now
    }
  }

  var now: UInt64 { load.now }
  var lastError: String { load.tally.lastError }
  var successCount: UInt64 { load.tally.done }

  /// When the first write succeeded that began at or after `since`; nil if none has.
  mutating func run(since: UInt64, until deadline: UInt64) throws(LoadError) -> UInt64? {
    found.since = since
    found.moment = nil
    load.readClock()
    while load.now < deadline, found.moment == nil {
      if load.now >= next {
        next = load.now + interval
        try tryEverywhere()
      }
      try load.turn(until: min(next, deadline))
    }
    return found.moment
  }

  private func tryEverywhere() throws(LoadError) {
    for link in load.links {
      if link.isClosed {
        do throws(SystemError) { try link.open() } catch { link.close() }
      } else if link.isReady {
        let slots = stride(from: link.number, to: load.slotCount, by: load.workLinkCount)
        guard let slot = slots.first(where: { !load.slots[$0].isBusy }) else { continue }
        load.slots[slot].key = UInt64(slot)
        try load.issue(slot, .put, at: load.now, on: link)
      }
    }
    try load.flushTouched()
  }

  func close() { load.close() }
}

/// How long until a cluster takes a write: after its start, or after its leader's death.
struct ProbeRun {
  let options: LoadOptions

  func run() throws(LoadError) -> JSONLine {
    var attempts = try Attempts(options, interval: .milliseconds(5))
    defer { attempts.close() }
    let start = Machine.monotonicNanoseconds()
    let deadline = start + UInt64(max(options.seconds, 60) * 1e9)
    guard let moment = try attempts.run(since: start, until: deadline) else {
      throw LoadError("no write succeeded: \(attempts.lastError)")
    }
    var line = JSONLine()
    line.add("system", options.system.rawValue)
    line.add("verb", options.verb.rawValue)
    if !options.tag.isEmpty { line.add("tag", options.tag) }
    line.add("milliseconds", Double(moment - start) / 1e6, digits: 1)
    return line
  }
}
