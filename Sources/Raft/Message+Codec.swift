package import RoostWire

extension Message {
  /// The most entries in one message; a sender keeps below it by bytes.
  package static let entryLimit = 1 << 16

  private enum Kind: UInt8 {
    case preVoteRequest = 1
    case preVoteReply = 2
    case voteRequest = 3
    case voteReply = 4
    case append = 5
    case heartbeat = 6
    case accepted = 7
    case rejected = 8
    case newerTerm = 9
    case readRequest = 10
    case readReply = 11
    case readRefused = 12
    case campaignNow = 13
    case snapshotChunk = 14
    case snapshotReceived = 15
  }
}

extension Message: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    term = try Term(decoding: &input)
    incarnation = try Incarnation(decoding: &input)
    guard let kind = Kind(rawValue: try input.read()) else { throw .invalid("message kind") }
    guard term.isPlausible else { throw .invalid("term") }
    body = try Self.body(of: kind, decoding: &input)
    if case .append(let request) = body { try request.check(in: term) }
  }

  private static func body(
    of kind: Kind,
    decoding input: inout Span<UInt8>
  ) throws(WireError) -> Body {
    switch kind {
    case .preVoteRequest: .preVoteRequest(try PreVoteRequest(decoding: &input))
    case .preVoteReply: .preVoteReply(round: try input.read(), granted: try input.readFlag("grant"))
    case .voteRequest: .voteRequest(try VoteRequest(decoding: &input))
    case .voteReply: .voteReply(granted: try input.readFlag("grant"))
    case .append: .append(try AppendRequest(decoding: &input))
    case .heartbeat: .heartbeat(try Heartbeat(decoding: &input))
    case .accepted: .accepted(try Acceptance(decoding: &input))
    case .rejected: .rejected(try Rejection(decoding: &input))
    case .newerTerm: .newerTerm
    case .readRequest: .readRequest(try ReadTicket(decoding: &input))
    case .readReply:
      .readReply(try ReadTicket(decoding: &input), try LogIndex(plausible: &input))
    case .readRefused: .readRefused(try ReadTicket(decoding: &input))
    case .campaignNow: .campaignNow
    case .snapshotChunk: .snapshotChunk(try SnapshotChunk(decoding: &input))
    case .snapshotReceived: .snapshotReceived(try SnapshotReceipt(decoding: &input))
    }
  }

  package func encode(into output: inout [UInt8]) {
    term.encode(into: &output)
    incarnation.encode(into: &output)
    output.append(kind.rawValue)
    switch body {
    case .preVoteRequest(let request): request.encode(into: &output)
    case .preVoteReply(let round, let granted):
      output.append(littleEndian: round)
      output.append(granted ? 1 : 0)
    case .voteRequest(let request): request.encode(into: &output)
    case .voteReply(let granted): output.append(granted ? 1 : 0)
    case .append(let request): request.encode(into: &output)
    case .heartbeat(let heartbeat): heartbeat.encode(into: &output)
    case .accepted(let acceptance): acceptance.encode(into: &output)
    case .rejected(let rejection): rejection.encode(into: &output)
    case .readRequest(let ticket), .readRefused(let ticket): ticket.encode(into: &output)
    case .readReply(let ticket, let index):
      ticket.encode(into: &output)
      index.encode(into: &output)
    case .snapshotChunk(let chunk): chunk.encode(into: &output)
    case .snapshotReceived(let receipt): receipt.encode(into: &output)
    case .newerTerm, .campaignNow: break
    }
  }

  private var kind: Kind {
    switch body {
    case .preVoteRequest: .preVoteRequest
    case .preVoteReply: .preVoteReply
    case .voteRequest: .voteRequest
    case .voteReply: .voteReply
    case .append: .append
    case .heartbeat: .heartbeat
    case .accepted: .accepted
    case .rejected: .rejected
    case .newerTerm: .newerTerm
    case .readRequest: .readRequest
    case .readReply: .readReply
    case .readRefused: .readRefused
    case .campaignNow: .campaignNow
    case .snapshotChunk: .snapshotChunk
    case .snapshotReceived: .snapshotReceived
    }
  }
}

extension LogIndex {
  /// Takes an index from the front and refuses one from which counting on could overflow.
  fileprivate init(plausible input: inout Span<UInt8>) throws(WireError) {
    self = try LogIndex(decoding: &input)
    guard isPlausible else { throw .invalid("log index") }
  }
}

extension PreVoteRequest: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    proposed = try Term(decoding: &input)
    last = try LogPosition(decoding: &input)
    round = try input.read()
    guard proposed.isPlausible else { throw .invalid("term") }
  }

  package func encode(into output: inout [UInt8]) {
    proposed.encode(into: &output)
    last.encode(into: &output)
    output.append(littleEndian: round)
  }
}

extension VoteRequest: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    last = try LogPosition(decoding: &input)
    isTransfer = try input.readFlag("transfer")
  }

  package func encode(into output: inout [UInt8]) {
    last.encode(into: &output)
    output.append(isTransfer ? 1 : 0)
  }
}

extension AppendRequest: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    previous = try LogPosition(decoding: &input)
    commit = try LogIndex(plausible: &input)
    let count = Int(try input.read(UInt32.self))
    guard count <= Message.entryLimit, count <= input.count / Entry.overhead else {
      throw .tooLarge(what: "entries", byteCount: UInt64(count), limit: Message.entryLimit)
    }
    var entries: [Entry] = []
    entries.reserveCapacity(count)
    for _ in 0..<count { entries.append(try Entry(decoding: &input)) }
    self.entries = entries
  }

  package func encode(into output: inout [UInt8]) {
    previous.encode(into: &output)
    commit.encode(into: &output)
    output.append(littleEndian: UInt32(entries.count))
    for entry in entries { entry.encode(into: &output) }
  }

  /// Refuses holes, terms and times that fall, and entries from the future of the message's term.
  func check(in term: Term) throws(WireError) {
    var before = previous
    var time = ClusterTime.zero
    for entry in entries {
      guard entry.index == before.index.next else { throw .invalid("entry index") }
      guard entry.term >= before.term else { throw .invalid("entry term") }
      guard entry.time >= time else { throw .invalid("entry time") }
      guard entry.kind != .membership || entry.membership != nil else {
        throw .invalid("membership entry")
      }
      before = entry.position
      time = entry.time
    }
    guard before.term <= term else { throw .invalid("entry term") }
  }
}

extension Heartbeat: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    commit = try LogIndex(plausible: &input)
    round = try input.read()
    time = try ClusterTime(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    commit.encode(into: &output)
    output.append(littleEndian: round)
    time.encode(into: &output)
  }
}

extension Acceptance: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    match = try LogIndex(plausible: &input)
    received = try LogIndex(plausible: &input)
    round = try input.read()
    guard match <= received else { throw .invalid("match") }
  }

  package func encode(into output: inout [UInt8]) {
    match.encode(into: &output)
    received.encode(into: &output)
    output.append(littleEndian: round)
  }
}

extension Rejection: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    previous = try LogIndex(plausible: &input)
    hint = try LogPosition(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    previous.encode(into: &output)
    hint.encode(into: &output)
  }
}

extension ReadTicket: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    boot = try input.read()
    sequence = try input.read()
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: boot)
    output.append(littleEndian: sequence)
  }
}

extension SnapshotChunk: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    snapshot = try SnapshotDescriptor(decoding: &input)
    offset = try input.read()
    bytes = try input.readPrefixedBytes("snapshot chunk", limit: Self.byteLimit)
    guard offset <= snapshot.byteCount, UInt64(bytes.count) <= snapshot.byteCount - offset else {
      throw .invalid("chunk offset")
    }
    guard snapshot.mark.index > .zero else { throw .invalid("snapshot index") }
  }

  package func encode(into output: inout [UInt8]) {
    snapshot.encode(into: &output)
    output.append(littleEndian: offset)
    output.append(prefixed: bytes)
  }
}

extension SnapshotReceipt: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    index = try LogIndex(plausible: &input)
    checksum = try input.read()
    byteCount = try input.read()
  }

  package func encode(into output: inout [UInt8]) {
    index.encode(into: &output)
    output.append(littleEndian: checksum)
    output.append(littleEndian: byteCount)
  }
}
