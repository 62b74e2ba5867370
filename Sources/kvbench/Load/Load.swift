import RoostPlatform
import RoostWire

/// The engine of a run: one thread, its connections, its slots and what it has counted.
///
/// Systems encode and decode; verbs decide what is asked next; the engine waits, keeps the time of the turn and counts.
final class Load {
  /// Where requests come from.
  enum Feed {
    case nothing
    /// Every key once, in order.
    case fill
    /// The next one as soon as the last one is answered.
    case closed
    case open(Schedule)
  }

  let options: LoadOptions
  let poller: Poller
  private(set) var links: [Link] = []
  /// How many of the links carry slots: the first ones.
  private(set) var workLinkCount = 0
  let slots: SlotTable
  let slotCount: Int
  /// The time of this turn, in nanoseconds.
  private(set) var now: UInt64
  var random: SplitMix64
  let values: ValueSource

  var feed = Feed.nothing
  /// Slots that have nothing to do: until the next arrival, or for good.
  var idle: [Int] = []
  private var nextKey: UInt64 = 0
  private var touched: [Link] = []

  var tally = Tally()
  /// When the lock that all want was last given back.
  fileprivate var releasedAt: UInt64?
  fileprivate let runName: String
  /// Whether keys are written that may not be there yet.
  var isFilling = false
  /// Whether connections may break, as servers are killed on purpose.
  var toleratesBreaks = false
  /// Called for each request that ended.
  var observer: ((Int, Bool) -> Void)?

  init(_ options: LoadOptions) throws(LoadError) {
    self.options = options
    do throws(SystemError) { poller = try Poller() } catch { throw LoadError("\(error)") }
    slotCount = options.clients
    slots = SlotTable(count: options.clients)
    random = SplitMix64(seed: Machine.randomBits())
    values = ValueSource(byteCount: options.valueBytes, seed: random.next())
    now = Machine.monotonicNanoseconds()
    runName = "bench/" + String(random.next(), radix: 36)
  }

  func readClock() { now = Machine.monotonicNanoseconds() }

  // MARK: Connections

  /// Adds connections, which carry the slots unless they watch.
  func addLinks(_ count: Int, to endpoints: [SocketAddress], areWatchers: Bool = false) {
    for place in 0..<count {
      let address = endpoints[place % endpoints.count]
      let link = options.system.makeLink(self, number: links.count, address: address)
      link.isWatcher = areWatchers
      links.append(link)
      if !areWatchers { workLinkCount += 1 }
    }
  }

  /// Opens every link that is not open and waits until all may be used.
  func connect(within seconds: Double = 20) throws(LoadError) {
    readClock()
    let deadline = now + UInt64(seconds * 1e9)
    for link in links where link.isClosed {
      do throws(SystemError) { try link.open() } catch { throw LoadError("\(error)") }
    }
    while let waiting = links.first(where: { !$0.isReady }) {
      try turn(until: now + 10_000_000)
      guard now < deadline else {
        throw LoadError(
          "\(waiting.address) did not take a connection within \(Int(seconds)) s \(tally.lastError)"
        )
      }
    }
  }

  /// A connection broke.
  func didLose(_ link: Link, because reason: String) throws(LoadError) {
    tally.lastError = reason
    guard !toleratesBreaks else {
      for slot in stride(from: link.number, to: slotCount, by: max(workLinkCount, 1)) {
        slots[slot].isBusy = false
      }
      return
    }
    throw LoadError("connection \(link.number) to \(link.address): \(reason)")
  }

  /// Lets what is under way end.
  func drain(within seconds: Double = 3) throws(LoadError) {
    feed = .nothing
    let deadline = now + UInt64(seconds * 1e9)
    while !isQuiet, now < deadline { try turn(until: now + 50_000_000) }
  }

  /// Ends the sessions.
  func sayGoodbye() throws(LoadError) {
    for link in links { link.sayGoodbye() }
    try flushTouched()
    try turn(until: now + 20_000_000)
  }

  func close() {
    for link in links { link.close() }
    links = []
    workLinkCount = 0
  }

  // MARK: Turns

  /// Waits until something happens or the deadline comes, takes it in and sends what follows.
  func turn(until deadline: UInt64) throws(LoadError) {
    let found = poller.wait(atMost: deadline > now ? deadline - now : 0)
    readClock()
    for place in 0..<found {
      let ready = poller[place]
      try links[Int(ready.token)].handle(ready)
    }
    try takeArrivals()
    try flushTouched()
  }

  /// Marks a link as having something to send at the end of the turn.
  func touch(_ link: Link) {
    guard !link.isTouched else { return }
    link.isTouched = true
    touched.append(link)
  }

  func flushTouched() throws(LoadError) {
    guard !touched.isEmpty else { return }
    for link in touched {
      link.isTouched = false
      try link.flush()
    }
    touched.removeAll(keepingCapacity: true)
  }

  private func takeArrivals() throws(LoadError) {
    guard case .open(var schedule) = feed else { return }
    while !idle.isEmpty, let moment = schedule.take(by: now) {
      let slot = idle.removeLast()
      try begin(slot, at: moment, on: link(of: slot))
    }
    feed = .open(schedule)
  }

  // MARK: Requests

  func link(of slot: Int) -> Link { links[slot % workLinkCount] }

  /// Gives every slot its first request.
  func start(_ feed: Feed) throws(LoadError) {
    self.feed = feed
    idle = []
    nextKey = 0
    readClock()
    for slot in 0..<slotCount {
      try next(slot, on: link(of: slot))
    }
    try takeArrivals()
    try flushTouched()
  }

  /// A slot's request has ended; the link is the slot's own.
  func finish(_ slot: Int, _ isDone: Bool, on link: Link) throws(LoadError) {
    slots[slot].isBusy = false
    if isDone {
      let latency = now > slots[slot].intended ? now - slots[slot].intended : 0
      tally.count(latency, isRead: slots[slot].work == .get)
    } else {
      tally.errors += 1
      if tally.errors > 100_000, tally.errors > tally.done {
        throw LoadError("most requests fail: \(tally.lastError)")
      }
    }
    if let observer { observer(slot, isDone) }
    try next(slot, on: link)
  }

  private func next(_ slot: Int, on link: Link) throws(LoadError) {
    switch feed {
    case .nothing: return
    case .closed: try begin(slot, at: now, on: link)
    case .fill:
      guard nextKey < options.keys else { return idle.append(slot) }
      slots[slot].key = nextKey
      nextKey += 1
      try issue(slot, .put, at: now, on: link)
    case .open: idle.append(slot)
    }
  }

  /// Draws what the verb asks next and asks it.
  private func begin(_ slot: Int, at moment: UInt64, on link: Link) throws(LoadError) {
    var work = options.verb.work
    if options.verb == .mix {
      work = random.below(100) < UInt64(options.readPercent) ? .get : .put
    }
    switch work {
    case .put, .get, .staleGet:
      slots[slot].key = options.verb == .watch ? 0 : random.below(options.keys)
    case .lock, .contendedLock, .grantLease, .renewLease:
      slots[slot].key = UInt64(slot)
    }
    try issue(slot, work, at: moment, on: link)
  }

  func issue(_ slot: Int, _ work: Work, at moment: UInt64, on link: Link) throws(LoadError) {
    slots[slot].work = work
    slots[slot].isBusy = true
    slots[slot].step = 0
    slots[slot].intended = moment
    if options.verb == .watch { values.stamp(moment) }
    try link.send(slot)
    touch(link)
  }

  /// So many watchers were told of a value, which begins with the moment at which its write began.
  func didSee(_ value: Span<UInt8>, times: UInt64 = 1) {
    guard tally.isMeasuring, value.count >= 16 else { return }
    var moment: UInt64 = 0
    for index in 0..<16 {
      let byte = value[index]
      moment = moment << 4 | UInt64(byte < 58 ? byte &- 48 : byte &- 87) & 15
    }
    tally.events.add(now > moment ? now - moment : 0, times: times)
  }

  var isQuiet: Bool { (0..<slotCount).allSatisfy { !slots[$0].isBusy } }
}

/// Locks: what a grant and a release mean for the count.
extension Load {
  /// What the locks of this run are called, so that none of another run is ever met.
  var lockName: String { runName }

  /// A slot holds its lock.
  func didAcquire(_ slot: Int) {
    guard tally.isMeasuring else { return }
    let intended = slots[slot].intended
    tally.acquisitions.add(now > intended ? now - intended : 0)
    if slots[slot].work == .contendedLock, let releasedAt, now > releasedAt {
      tally.handovers.add(now - releasedAt)
    }
  }

  /// A slot has asked to give its lock back.
  func didRelease(_ slot: Int) {
    if slots[slot].work == .contendedLock { releasedAt = now }
  }
}
