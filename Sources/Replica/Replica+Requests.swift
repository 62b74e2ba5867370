internal import RoostRaft
package import RoostWire

/// Who waits for the reply to a request or a query.
enum Waiter: Hashable, Sendable {
  case client(ClientTicket)
  /// A client of another member, which handed its request on to this one.
  case member(ForwardTicket)
}

/// Requests that have come since the last proposal, in pieces that each become an entry.
struct OpenBatch: Sendable {
  /// The payload of one entry, and those who wait for the replies to its requests.
  struct Piece: Sendable {
    var bytes: [UInt8] = []
    var waiters: [Waiter] = []
  }

  /// A piece takes no more requests beyond that.
  ///
  /// An entry is applied in one go, and what came meanwhile waits: so many bytes take a fraction of a millisecond.
  static let pieceByteCount = 64 << 10

  private var pieces: [Piece] = []
  private var byteCount = 0

  var isEmpty: Bool { pieces.isEmpty }

  /// Whether another request of that length can still be taken.
  func hasRoom(for requestByteCount: Int) -> Bool {
    byteCount + 4 + requestByteCount <= Entry.payloadLimit
  }

  mutating func add(_ request: borrowing Span<UInt8>, from waiter: Waiter) {
    let needed = 4 + request.count
    byteCount += needed
    if let last = pieces.indices.last, pieces[last].bytes.count + needed <= Self.pieceByteCount {
      pieces[last].add(request, from: waiter)
    } else {
      var piece = Piece()
      // Where one piece is full, the next one mostly gets full too.
      if !pieces.isEmpty { piece.bytes.reserveCapacity(Self.pieceByteCount) }
      piece.add(request, from: waiter)
      pieces.append(piece)
    }
  }

  mutating func take() -> [Piece] {
    defer {
      pieces = []
      byteCount = 0
    }
    return pieces
  }
}

extension OpenBatch.Piece {
  fileprivate mutating func add(_ request: borrowing Span<UInt8>, from waiter: Waiter) {
    RequestBatch.append(request, to: &bytes)
    waiters.append(waiter)
  }
}

/// A batch that is in the log, with those who wait for its replies, one for each request.
struct ProposedBatch: Sendable {
  let position: LogPosition
  let waiters: [Waiter]
}

/// Requests that were handed on to the leader, by the number that its reply will carry.
struct ForwardTable: Sendable {
  private struct Item: Sendable {
    let correlation: UInt64
    let leader: NodeID
    let client: ClientTicket
    /// When the answer is taken for lost.
    let expiry: Instant
  }

  /// Ascending by correlation.
  private var items: [Item] = []
  private var lastCorrelation: UInt64
  /// No answer is taken for lost before that.
  private(set) var nextExpiry = Instant.distantFuture

  var isEmpty: Bool { items.isEmpty }

  /// Numbers must not be those of an earlier start: the leader may still answer what that one handed on.
  init(random: inout SplitMix64) { lastCorrelation = random.next() >> 1 }

  mutating func add(
    _ client: ClientTicket,
    to leader: NodeID,
    until expiry: Instant
  ) -> ForwardTicket {
    lastCorrelation += 1
    items.append(
      Item(correlation: lastCorrelation, leader: leader, client: client, expiry: expiry)
    )
    nextExpiry = min(nextExpiry, expiry)
    return ForwardTicket(member: leader, correlation: lastCorrelation)
  }

  mutating func take(_ ticket: ForwardTicket) -> ClientTicket? {
    let place = items.firstIndex { $0.correlation >= ticket.correlation }
    guard let place, items[place].correlation == ticket.correlation,
      items[place].leader == ticket.member
    else { return nil }
    return items.remove(at: place).client
  }

  mutating func takeAll(to leader: NodeID) -> [ClientTicket] {
    take { $0.leader == leader }
  }

  mutating func takeAll(exceptTo leader: NodeID) -> [ClientTicket] {
    take { $0.leader != leader }
  }

  mutating func takeExpired(_ now: Instant) -> [ClientTicket] {
    guard now >= nextExpiry else { return [] }
    let taken = take { $0.expiry <= now }
    nextExpiry = items.map(\.expiry).min() ?? .distantFuture
    return taken
  }

  private mutating func take(where isTaken: (Item) -> Bool) -> [ClientTicket] {
    let taken = items.filter(isTaken).map(\.client)
    items.removeAll(where: isTaken)
    return taken
  }
}

/// Requests: how they come in, and how their replies go out.
extension Replica {
  /// Takes in a client's mutating request: for the next batch, or to be handed on to the leader.
  package mutating func request(
    _ bytes: borrowing Span<UInt8>,
    from client: ClientTicket,
    now: Instant,
    into effects: inout ReplicaEffects
  ) {
    guard bytes.count <= Request.byteLimit else {
      let limit = UInt64(Request.byteLimit)
      return answer(.client(client), Failure(.tooLarge, detail: limit), into: &effects)
    }
    if let refusal {
      answer(.client(client), Failure(refusal), into: &effects)
    } else if consensus.isLeader {
      add(bytes, from: .client(client), now: now, into: &effects)
    } else if leader != .zero {
      let ticket = forwards.add(client, to: leader, until: now.advanced(by: forwardPatience))
      effects.forwards.append(Forward(ticket: ticket, isReply: false, bytes: bytes.copied()))
    } else {
      let quiet = now.nanoseconds(since: heardAt)
      answer(.client(client), Failure(.noQuorum, detail: quiet), into: &effects)
    }
  }

  /// Takes in a request that another member handed on because it believes that this node leads.
  ///
  /// It is never handed on again, so that nothing goes round in circles.
  package mutating func receiveForward(
    _ bytes: borrowing Span<UInt8>,
    from ticket: ForwardTicket,
    now: Instant,
    into effects: inout ReplicaEffects
  ) {
    guard bytes.count <= Request.byteLimit else {
      let limit = UInt64(Request.byteLimit)
      return answer(.member(ticket), Failure(.tooLarge, detail: limit), into: &effects)
    }
    guard !isStopping else {
      return answer(.member(ticket), Failure(.shuttingDown), into: &effects)
    }
    guard consensus.isLeader else {
      let hint = leader.rawValue
      return answer(.member(ticket), Failure(.notLeader, detail: hint), into: &effects)
    }
    add(bytes, from: .member(ticket), now: now, into: &effects)
  }

  /// Takes in the leader's reply to what was handed on.
  package mutating func receiveForwardReply(
    _ bytes: borrowing Span<UInt8>,
    for ticket: ForwardTicket,
    into effects: inout ReplicaEffects
  ) {
    guard let client = forwards.take(ticket) else { return }
    answer(.client(client), bytes, into: &effects)
  }

  /// How long an answer to what was handed on may take.
  ///
  /// The leader answers over a connection of its own, and what is lost with that one nobody tells.
  private var forwardPatience: Duration { consensus.settings.electionTimeout.upperBound * 5 }

  /// Whoever waits for an answer of the leader that must have been lost asks again.
  mutating func giveUpLostForwards(now: Instant, into effects: inout ReplicaEffects) {
    for client in forwards.takeExpired(now) {
      answer(.client(client), Failure(.leadershipLost), into: &effects)
    }
  }

  /// What was to be handed on never left this node.
  package mutating func didNotForward(_ ticket: ForwardTicket, into effects: inout ReplicaEffects) {
    guard let client = forwards.take(ticket) else { return }
    answer(.client(client), Failure(.noQuorum), into: &effects)
  }

  /// The way to a member is lost, and with it the replies to what was handed on over it.
  package mutating func lostLink(to member: NodeID, into effects: inout ReplicaEffects) {
    for client in forwards.takeAll(to: member) {
      answer(.client(client), Failure(.leadershipLost), into: &effects)
    }
  }

  /// Why this node takes no client's work at all, if it does not.
  var refusal: ErrorCode? {
    if isStopping { return .shuttingDown }
    // What an outsider has is old and gets older, if it has anything.
    return isOutsider ? .notMember : nil
  }

  private mutating func add(
    _ bytes: borrowing Span<UInt8>,
    from waiter: Waiter,
    now: Instant,
    into effects: inout ReplicaEffects
  ) {
    guard batch.hasRoom(for: bytes.count) else {
      // The batch before is full and waits for the disk: so does whoever sent this.
      return answer(waiter, Failure(.busy), into: &effects)
    }
    batch.add(bytes, from: waiter)
  }

  // MARK: Replies

  func answer(_ waiter: Waiter, _ failure: Failure, into effects: inout ReplicaEffects) {
    answer(waiter, failure.encoded().span, into: &effects)
  }

  func answer(
    _ waiter: Waiter,
    _ bytes: borrowing Span<UInt8>,
    into effects: inout ReplicaEffects
  ) {
    switch waiter {
    case .client(let ticket):
      let start = effects.replyBytes.count
      effects.replyBytes.append(contentsOf: bytes)
      effects.replies.append(ReplyPlace(ticket: ticket, range: start..<effects.replyBytes.count))
    case .member(let ticket):
      effects.forwards.append(Forward(ticket: ticket, isReply: true, bytes: bytes.copied()))
    }
  }
}
