package import RoostWire

/// Watches: asked for at one endpoint after another, so that the application sees one sequence without gap or repeat.
extension ClientMachine {
  /// What tells the answer to a watch frame from the answer to a call.
  static let watchMark: UInt64 = 1 << 63
  /// How often a watch may be asked for before its numbers would meet those of the next one.
  private static let numberBits: UInt64 = 24

  /// Watches a range, until ``cancelWatch(_:now:into:)`` or a notice that ends it.
  ///
  /// The number in `wanted` is the machine's business, and ignored.
  package mutating func watch(
    _ wanted: WatchRequest,
    now: Instant,
    into effects: inout ClientEffects
  ) -> WatchID {
    lastWatch += 1
    let id = WatchID(lastWatch)
    watches.append(ClientWatch(id: id, wanted: wanted))
    idleWatches.append(id)
    advance(now: now, into: &effects)
    return id
  }

  /// Ends a watch: nothing more is told of it.
  package mutating func cancelWatch(
    _ id: WatchID,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let place = place(of: id) else { return }
    leave(place, into: &effects)
    watches.remove(at: place)
    advance(now: now, into: &effects)
  }

  /// The application has read so many bytes of what a watch told, as ``WatchEvent/Change/byteCount`` counts them.
  package mutating func didRead(
    _ byteCount: Int,
    of id: WatchID,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let place = place(of: id) else { return }
    watches[place].unreadByteCount -= byteCount
    guard watches[place].state == .behind,
      watches[place].unreadByteCount <= settings.watchByteBudget / 2
    else { return }
    watches[place].state = .idle
    idleWatches.append(id)
    advance(now: now, into: &effects)
  }

  /// Its place in the list, which ascends.
  private func place(of id: WatchID) -> Int? {
    var (low, high) = (0, watches.count)
    while low < high {
      let middle = (low + high) / 2
      if watches[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low < watches.count && watches[low].id == id ? low : nil
  }

  private func place(ofNumber number: UInt64) -> Int? {
    guard let place = place(of: WatchID(number >> Self.numberBits)) else { return nil }
    return watches[place].number == number ? place : nil
  }

  // MARK: Asking

  mutating func startWatches(now: Instant, into effects: inout ClientEffects) {
    while let first = pausedWatches.first, now >= first.until {
      pausedWatches.removeFirst()
      guard let place = place(of: first.id), watches[place].state == .paused else { continue }
      watches[place].state = .idle
      idleWatches.append(first.id)
    }
    guard !idleWatches.isEmpty, endpoints[preferred].isOpen, let link = endpoints[preferred].link
    else { return }
    let idle = idleWatches
    idleWatches = []
    for id in idle {
      guard let place = place(of: id), watches[place].state == .idle else { continue }
      start(place, at: preferred, on: link, now: now, into: &effects)
    }
  }

  private mutating func start(
    _ place: Int,
    at index: Int,
    on link: LinkID,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    let id = watches[place].id.rawValue
    let mask: UInt64 = 1 << Self.numberBits - 1
    watches[place].number = id << Self.numberBits | (watches[place].number + 1) & mask
    watches[place].state = .running(index)
    // What is told of the newest state alone is not the same list another time.
    watches[place].skipCount = watches[place].wanted.newestOnly ? 0 : watches[place].toldCount
    if !endpoints[index].isBusy { endpoints[index].lastHeard = now }
    endpoints[index].listenerCount += 1
    let request = watches[place].request
    effects.send(on: link) { bytes in
      bytes.appendFrame(.watch, correlation: Self.watchMark | request.watch) {
        request.encode(into: &$0)
      }
    }
  }

  /// Ends the present watch at its node, if there is one.
  private mutating func leave(_ place: Int, into effects: inout ClientEffects) {
    guard case .running(let index) = watches[place].state else { return }
    endpoints[index].listenerCount -= 1
    let number = watches[place].number
    watches[place].state = .idle
    guard let link = endpoints[index].link, endpoints[index].isOpen else { return }
    // Nobody waits for the answer.
    effects.send(on: link) { bytes in
      bytes.appendFrame(.cancelWatch, correlation: 0) { $0.append(littleEndian: number) }
    }
  }

  /// Watches at an endpoint go on elsewhere: its link is gone, or it hears of nothing new.
  mutating func moveWatches(from index: Int, into effects: inout ClientEffects) {
    for place in watches.indices where watches[place].state == .running(index) {
      leave(place, into: &effects)
      idleWatches.append(watches[place].id)
    }
  }

  // MARK: News

  /// The answer to a watch frame.
  mutating func didAnswerWatch(
    _ number: UInt64,
    _ body: [UInt8],
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) throws(WireError) {
    guard let place = place(ofNumber: number), watches[place].state == .running(index) else {
      return
    }
    switch try Reply(decodingAll: body) {
    case .watching(let start):
      if watches[place].next == .zero { watches[place].next = start }
      guard !watches[place].isStarted else { return }
      watches[place].isStarted = true
      effects.notices.append(.watch(watches[place].id, .started(from: watches[place].next)))
    case .failure(let failure):
      didRefuse(failure, place, at: index, now: now, into: &effects)
    default: throw .invalid("answer to a watch")
    }
  }

  private mutating func didRefuse(
    _ failure: Failure,
    _ place: Int,
    at index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    let id = watches[place].id
    endpoints[index].listenerCount -= 1
    switch failure.code {
    case .compacted:
      let oldest = Revision(failure.detail)
      watches.remove(at: place)
      effects.notices.append(.watch(id, .compacted(oldest: oldest)))
    case .notLeader, .noQuorum, .shuttingDown, .busy, .leadershipLost, .diverged, .notMember,
      .timedOut, .overloaded, .limitReached:
      watches[place].state = .paused
      pausedWatches.append((now.advanced(by: .milliseconds(100)), id))
      endpoints[index].failure = failure.code.sentence
      if index == preferred { preferred = (preferred + 1) % endpoints.count }
    default:
      watches.remove(at: place)
      effects.notices.append(.watch(id, .refused(failure)))
    }
  }

  /// News of one watch, or of several that are told the same.
  mutating func didSee(_ event: WatchEvent, now: Instant, into effects: inout ClientEffects) {
    for number in event.watches { didSee(event, ofNumber: number, into: &effects) }
  }

  private mutating func didSee(
    _ event: WatchEvent,
    ofNumber number: UInt64,
    into effects: inout ClientEffects
  ) {
    guard let place = place(ofNumber: number), case .running(let index) = watches[place].state
    else { return }
    let id = watches[place].id
    if let oldest = event.compactedBelow {
      endpoints[index].listenerCount -= 1
      watches.remove(at: place)
      return effects.notices.append(.watch(id, .compacted(oldest: oldest)))
    }
    newestRevision = max(newestRevision, event.revision)
    let changes = watches[place].take(event)
    guard !changes.isEmpty || watches[place].wanted.wantsProgress else { return }
    effects.notices.append(
      .watch(id, .changes(changes, revision: event.revision, isWhole: !event.hasMore))
    )
    watches[place].unreadByteCount += changes.reduce(0) { $0 + $1.byteCount }
    guard watches[place].unreadByteCount > settings.watchByteBudget else { return }
    leave(place, into: &effects)
    watches[place].state = .behind
  }
}
