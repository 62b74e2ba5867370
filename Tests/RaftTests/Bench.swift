import RoostRaft
import RoostWire

/// One node by itself, to which a test says what it likes.
struct Bench {
  var core: Consensus
  var effects = Effects()
  var now = Instant(nanoseconds: 1_000_000_000)

  /// Node 1 of the voters 1 to `count`, with a log of entries in these terms.
  init(
    voters count: UInt64 = 3,
    term: UInt64 = 0,
    log terms: [UInt64] = [],
    settings: Settings = Settings()
  ) {
    let membership = Membership(voters: (1...count).map { NodeID($0) })
    let restored = Restored(
      hardState: HardState(term: Term(max(term, terms.last ?? 0))),
      mark: SnapshotMark(founding: membership),
      entries: Self.entries(terms, after: 0)
    )
    core = Consensus(
      id: NodeID(1),
      settings: settings,
      restored: restored,
      random: SplitMix64(seed: 1),
      now: now
    )
  }

  static func entries(_ terms: [UInt64], after index: UInt64) -> [Entry] {
    terms.enumerated().map { place, term in
      Entry(
        term: Term(term),
        index: LogIndex(index + UInt64(place) + 1),
        time: .zero,
        kind: .requests,
        payload: [UInt8(place)]
      )
    }
  }

  static func place(_ index: UInt64, _ term: UInt64) -> LogPosition {
    LogPosition(term: Term(term), index: LogIndex(index))
  }

  /// Node 1 as the leader of the next term, elected by 2, with nothing of its own on the disk but that.
  mutating func lead() {
    core.expireTimer(now: now, into: &effects)
    answer { body in
      if case .preVoteRequest(let request) = body {
        return .preVoteReply(round: request.round, granted: true)
      }
      return nil
    }
    sync()
    hear(.voteReply(granted: true), from: 2)
  }

  /// Node 2 answers the newest message that `reply` has an answer for.
  private mutating func answer(_ reply: (Message.Body) -> Message.Body?) {
    for envelope in effects.messages.reversed() {
      guard let body = reply(envelope.message.body) else { continue }
      return hear(body, from: 2)
    }
  }

  /// Gives the node a message of its own term, or of another.
  mutating func hear(_ body: Message.Body, from sender: UInt64, term: UInt64? = nil) {
    effects.removeAllButWrite()
    let message = Message(
      term: term.map { Term($0) } ?? core.term,
      incarnation: .zero,
      body: body
    )
    core.step(message, from: NodeID(sender), now: now, into: &effects)
  }

  mutating func append(
    after previous: LogPosition,
    _ terms: [UInt64],
    commit: UInt64 = 0,
    from sender: UInt64 = 2,
    term: UInt64? = nil
  ) {
    let request = AppendRequest(
      previous: previous,
      commit: LogIndex(commit),
      entries: Self.entries(terms, after: previous.index.rawValue)
    )
    hear(.append(request), from: sender, term: term)
  }

  /// All that is to be written reaches the disk.
  mutating func sync() {
    let ticket = effects.write.ticket
    effects.removeAll()
    if ticket > .zero { core.didPersist(through: ticket, now: now, into: &effects) }
  }

  mutating func wait(_ milliseconds: Int64) {
    now = now.advanced(by: .milliseconds(milliseconds))
  }

  mutating func tick() {
    effects.removeAllButWrite()
    core.tick(now: now, into: &effects)
  }

  /// What the node said since it was last given something.
  var said: [Message.Body] { effects.messages.map(\.message.body) }

  /// The terms of the log's entries.
  var terms: [UInt64] {
    var terms: [UInt64] = []
    var index = core.firstIndex
    while let entry = core.entry(at: index) {
      terms.append(entry.term.rawValue)
      index = LogIndex(index.rawValue + 1)
    }
    return terms
  }
}
